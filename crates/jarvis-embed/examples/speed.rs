//! Measures loading, memory and speed on this machine: `cargo run --release --example speed -- WEIGHTS`.
#![expect(clippy::print_stdout, reason = "the measures are what the program is for")]

use std::path::Path;
use std::time::{Duration, Instant};

use jarvis_embed::{Kind, LocalEmbedder};

const TEXTS: [(&str, &str); 3] = [
    ("short", "J'ai mal au genou droit depuis janvier."),
    (
        "turn",
        "I would like to lose eight kilos before my wedding in June, and I can come three times a week.",
    ),
    (
        "summary",
        "Sophie signale une douleur au genou droit depuis janvier, surtout en descendant les escaliers. Elle évite les squats et les fentes et demande des exercices de remplacement pour les cuisses.",
    ),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let weights = std::env::args().nth(1).ok_or("usage: speed WEIGHTS")?;
    let started = Instant::now();
    let embedder = LocalEmbedder::load(Path::new(&weights))?;
    println!("load          {:>8.1} ms", milliseconds(started.elapsed()));
    for (name, text) in TEXTS {
        let tokens = embedder.count_tokens(Kind::Passage, text);
        let mut spent: Vec<Duration> = (0..20)
            .map(|_| {
                let started = Instant::now();
                embedder.embed_passage(text);
                started.elapsed()
            })
            .collect();
        spent.sort();
        let (best, median) = (milliseconds(spent[0]), milliseconds(spent[spent.len() / 2]));
        println!(
            "{name:<8}{tokens:>5} tokens: median {median:>7.1} ms, best {best:>7.1} ms, {:.0}/s",
            1e3 / median
        );
    }
    // Only Linux tells; elsewhere the line is left out.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"))
        .for_each(|line| println!("{line}"));
    Ok(())
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

//! Measures loading, memory and speed on this machine: `cargo run --release --example speed -- E5_FILE USE_FOLDER`.
#![expect(clippy::print_stdout, reason = "the measures are what the program is for")]

use std::time::{Duration, Instant};

use jarvis_embed::{Kind, LocalEmbedder, LocalModel, WeightPaths};

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
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [e5, universal] = arguments.as_slice() else {
        return Err("usage: speed E5_FILE USE_FOLDER".into());
    };
    let paths = WeightPaths {
        e5: e5.into(),
        universal: universal.into(),
    };
    let started = Instant::now();
    let embedder = LocalEmbedder::load(&paths)?;
    println!("load          {:>8.1} ms", milliseconds(started.elapsed()));
    for model in LocalModel::ALL {
        println!("{}", model.name());
        for (name, text) in TEXTS {
            measure(&embedder, model, name, text);
        }
    }
    // Only Linux tells; elsewhere the line is left out.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"))
        .for_each(|line| println!("{line}"));
    Ok(())
}

fn measure(embedder: &LocalEmbedder, model: LocalModel, name: &str, text: &str) {
    let tokens = embedder.count_tokens(Kind::Passage, text);
    let mut spent: Vec<Duration> = (0..20)
        .map(|_| {
            let started = Instant::now();
            embedder.embed(model, Kind::Passage, text);
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

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

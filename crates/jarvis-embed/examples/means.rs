//! Writes the mean vectors of `data/utterances.txt`, read as queries, then as passages:
//! `cargo run --release -p jarvis-embed --example means -- WEIGHTS crates/jarvis-embed/data/means.f32`.

use std::path::Path;

use jarvis_embed::{DIMENSIONS, E5, Kind};

const UTTERANCES: &str = include_str!("../data/utterances.txt");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [weights, output] = arguments.as_slice() else {
        return Err("usage: means WEIGHTS OUTPUT".into());
    };
    let model = E5::load(Path::new(weights))?;
    let lines: Vec<&str> = UTTERANCES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let count = f64::from(u32::try_from(lines.len())?);
    let mut bytes = Vec::new();
    for kind in [Kind::Query, Kind::Passage] {
        let mut sum = vec![0.0_f64; DIMENSIONS];
        for line in &lines {
            sum.iter_mut()
                .zip(model.embed(kind, line))
                .for_each(|(sum, x)| *sum += f64::from(x));
        }
        bytes.extend(sum.iter().flat_map(|sum| as_f32(sum / count).to_le_bytes()));
    }
    std::fs::write(output, bytes)?;
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "the file holds single precision")]
fn as_f32(x: f64) -> f32 {
    x as f32
}

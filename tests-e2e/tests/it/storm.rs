//! What all storms share: whether they are long, their seed, and the line each leaves behind.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};
use std::io::Write as _;

/// Whether this is `make storm`, not a test among many.
pub fn is_long() -> bool {
    std::env::var_os("JARVIS_STORM").is_some_and(|set| !set.is_empty())
}

/// A number by the length of the storm.
pub fn of<T>(short: T, long: T) -> T {
    if is_long() { long } else { short }
}

/// The chance of one storm, and its seed; `JARVIS_TEST_SEED` makes the same choices again.
pub fn chance() -> (u64, StdRng) {
    let seed =
        std::env::var("JARVIS_TEST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("JARVIS_TEST_SEED={seed} makes the same choices again");
    (seed, StdRng::seed_from_u64(seed))
}

/// Tells what was counted, and adds it to the report of `make storm`.
pub fn report(storm: &str, counts: &[(&str, Value)]) {
    let counts: Map<String, Value> = counts
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    let line = json!({"storm": storm, "counts": counts}).to_string();
    println!("{line}");
    if let Some(path) = std::env::var_os("JARVIS_STORM_REPORT").filter(|path| !path.is_empty()) {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        writeln!(file.unwrap(), "{line}").unwrap();
    }
}

//! Measures recall on a labelled set and fits the calibration, for every local model:
//! `cargo run --release --example calibrate -- E5_FILE USE_FOLDER SET`.
//!
//! SET is JSON: `summaries` (id, member, text) and `queries` (q, member, kind, and gold, the id of the one summary that
//! answers, absent when none does).
#![expect(clippy::print_stdout, reason = "the measures are what the program is for")]

use std::collections::BTreeMap;

use jarvis_embed::{Kind, LocalEmbedder, LocalModel, WeightPaths, cosine};

#[derive(serde::Deserialize)]
struct Set {
    summaries: Vec<Summary>,
    queries: Vec<Query>,
}

#[derive(serde::Deserialize)]
struct Summary {
    id: String,
    member: String,
    text: String,
}

#[derive(serde::Deserialize)]
struct Query {
    q: String,
    member: Option<String>,
    gold: Option<String>,
    kind: String,
}

/// A query against a summary.
struct Pair {
    cosine: f32,
    relevant: bool,
    same_member: bool,
}

#[derive(Default)]
struct Recall {
    queries: u32,
    first: u32,
    first_three: u32,
}

impl Recall {
    fn count(&mut self, pairs: &[&Pair]) {
        let gold = pairs.iter().find(|pair| pair.relevant).map(|pair| pair.cosine);
        let Some(gold) = gold else { return };
        let before = pairs.iter().filter(|pair| pair.cosine > gold).count();
        self.queries += 1;
        self.first += u32::from(before < 1);
        self.first_three += u32::from(before < 3);
    }
}

impl std::fmt::Display for Recall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = |found: u32| f64::from(found) / f64::from(self.queries.max(1));
        write!(
            f,
            "R@1 {:.3}  R@3 {:.3}  ({} queries)",
            share(self.first),
            share(self.first_three),
            self.queries
        )
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [e5, universal, set] = arguments.as_slice() else {
        return Err("usage: calibrate E5_FILE USE_FOLDER SET".into());
    };
    let paths = WeightPaths {
        e5: e5.into(),
        universal: universal.into(),
    };
    let embedder = LocalEmbedder::load(&paths)?;
    let set: Set = serde_json::from_str(&std::fs::read_to_string(set)?)?;
    for model in LocalModel::ALL {
        println!("{}", model.name());
        measure(&embedder, model, &set)
            .ok_or("the weights of the universal sentence encoder cannot be used")?;
    }
    Ok(())
}

fn measure(embedder: &LocalEmbedder, model: LocalModel, set: &Set) -> Option<()> {
    let passages: Vec<Vec<f32>> = set
        .summaries
        .iter()
        .map(|summary| embedder.embed(model, Kind::Passage, &summary.text))
        .collect::<Option<_>>()?;
    let mut recall: BTreeMap<(&str, String), Recall> = BTreeMap::new();
    let mut pairs = Vec::new();
    for query in &set.queries {
        let vector = embedder.embed(model, Kind::Query, &query.q)?;
        let found: Vec<Pair> = set
            .summaries
            .iter()
            .zip(&passages)
            .map(|(summary, passage)| Pair {
                cosine: cosine(&vector, passage),
                relevant: query.gold.as_ref() == Some(&summary.id),
                same_member: query
                    .member
                    .as_ref()
                    .is_none_or(|member| *member == summary.member),
            })
            .collect();
        let everyone: Vec<&Pair> = found.iter().collect();
        let own: Vec<&Pair> = found.iter().filter(|pair| pair.same_member).collect();
        for kind in ["(all)", &query.kind] {
            recall
                .entry(("all summaries", kind.to_owned()))
                .or_default()
                .count(&everyone);
            recall
                .entry(("own summaries", kind.to_owned()))
                .or_default()
                .count(&own);
        }
        pairs.extend(found);
    }
    for ((scope, kind), recall) in recall.iter().filter(|(_, recall)| recall.queries > 0) {
        println!("{scope:<14}{kind:<6}{recall}");
    }
    report(model, "all pairs", pairs.iter());
    report(model, "own pairs", pairs.iter().filter(|pair| pair.same_member));
    Some(())
}

/// Fits on some pairs, with the two classes as they come and with each class weighing as much, and says what these and
/// the shipped calibration keep at each threshold.
fn report<'a>(model: LocalModel, name: &str, pairs: impl Iterator<Item = &'a Pair>) {
    let pairs: Vec<&Pair> = pairs.collect();
    let relevant = pairs.iter().filter(|pair| pair.relevant).count();
    let others = pairs.len() - relevant;
    let shipped = model.calibration();
    let shipped = (f64::from(shipped.a), f64::from(shipped.c));
    let natural = fit(&pairs, 1.0);
    let balanced = fit(&pairs, count(others) / count(relevant));
    for (weighting, (a, c)) in [
        ("as they come", natural),
        ("balanced", balanced),
        ("shipped", shipped),
    ] {
        println!("{name}, {weighting}: a {a:.2} c {c:.4}");
        for threshold in [0.3_f64, 0.5, 0.7] {
            let least = c + (threshold / (1.0 - threshold)).ln() / a;
            let kept: Vec<_> = pairs
                .iter()
                .filter(|pair| f64::from(pair.cosine) >= least)
                .collect();
            let right = kept.iter().filter(|pair| pair.relevant).count();
            let wrong = kept.len() - right;
            println!(
                "  {threshold} (cosine {least:.3}): {right} of {relevant} relevant, {wrong} of {others} others"
            );
        }
    }
}

fn count(pairs: usize) -> f64 {
    f64::from(u32::try_from(pairs).unwrap_or(u32::MAX))
}

/// Logistic regression by Newton's method: P = 1 / (1 + exp(−(slope · cosine + intercept))); `weight` counts for each
/// relevant pair. Returns the slope and the cosine where P is one half.
fn fit(pairs: &[&Pair], weight: f64) -> (f64, f64) {
    let (mut slope, mut intercept) = (0.0, 0.0);
    for _ in 0..60 {
        // A touch of ridge on the slope keeps separable classes finite.
        let (mut g0, mut g1, mut h00, mut h01, mut h11) = (0.0, -1e-3 * slope, 1e-9, 0.0, 1e-3);
        for pair in pairs {
            let x = f64::from(pair.cosine);
            let p = 1.0 / (1.0 + (-(slope * x + intercept)).exp());
            let (target, weight) = if pair.relevant { (1.0, weight) } else { (0.0, 1.0) };
            let (gradient, curvature) = (weight * (target - p), weight * p * (1.0 - p));
            g0 += gradient;
            g1 += gradient * x;
            h00 += curvature;
            h01 += curvature * x;
            h11 += curvature * x * x;
        }
        let determinant = h00 * h11 - h01 * h01;
        intercept += (h11 * g0 - h01 * g1) / determinant;
        slope += (h00 * g1 - h01 * g0) / determinant;
    }
    (slope, -intercept / slope)
}

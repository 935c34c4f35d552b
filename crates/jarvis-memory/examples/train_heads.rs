//! Fits the heads for sentiment and category and writes their file:
//! `cargo run -p jarvis-memory --example train_heads -- E5_FILE USE_FOLDER [OUTPUT]`.
//!
//! Vectors are those of e5 (centred, passages); the fit is ridge regression in closed form (see
//! `jarvis_embed::ridge`). λ and the share of the rules are chosen together by cross-validation, one group of
//! utterances that resemble each other left out at a time, so that no head is asked what it has seen the like of.
//! Nothing but `eval/utterances_train.json` is read. The share is a constant of the product: copy it when it changes.
#![expect(clippy::print_stdout, reason = "the measures are what the program is for")]

use jarvis_embed::heads::{Head, Heads, digest_of_texts, head_vector};
use jarvis_embed::ridge::{ClassWeights, Example, fit, score};
use jarvis_embed::{LocalEmbedder, WeightPaths};
use jarvis_memory::eval::utterances::{Task, Utterance, read};
use jarvis_memory::heads::{CATEGORY, SENTIMENT};
use jarvis_memory::{category, sentiment};
use std::error::Error;

const UTTERANCES: &str = include_str!("../eval/utterances_train.json");
const LAMBDAS: [f64; 5] = [0.3, 1.0, 3.0, 10.0, 30.0];
const SHARES: [f64; 7] = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5];

/// A labelled utterance, ready to be fitted.
struct Labelled {
    features: Vec<f32>,
    /// What the rules alone would add to each class.
    rules: Vec<f64>,
    class: usize,
    group: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (e5, universal, output) = match arguments.as_slice() {
        [e5, universal] => (
            e5,
            universal,
            concat!(env!("CARGO_MANIFEST_DIR"), "/data/heads.bin"),
        ),
        [e5, universal, output] => (e5, universal, output.as_str()),
        _ => return Err("usage: train_heads E5_FILE USE_FOLDER [OUTPUT]".into()),
    };
    let paths = WeightPaths {
        e5: e5.into(),
        universal: universal.into(),
    };
    let model = LocalEmbedder::load(&paths)?;
    let utterances = read(UTTERANCES, Task::Category)?;
    let vectors: Vec<Vec<f32>> = utterances
        .iter()
        .filter_map(|u| head_vector(&model, &u.text))
        .collect();
    let mut heads = Vec::new();
    for (name, task) in [(SENTIMENT, Task::Sentiment), (CATEGORY, Task::Category)] {
        println!("{name}");
        let labelled = labelled(&utterances, &vectors, task);
        heads.push(train(name, task, &labelled)?);
    }
    let heads = Heads {
        trained_on: digest_of_texts(UTTERANCES),
        heads,
    };
    std::fs::write(output, heads.to_bytes())?;
    println!("written to {output}");
    Ok(())
}

fn labelled(utterances: &[Utterance], vectors: &[Vec<f32>], task: Task) -> Vec<Labelled> {
    let mut groups: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for (utterance, vector) in utterances.iter().zip(vectors) {
        let group = utterance.group.as_deref().unwrap_or(&utterance.text);
        let place = groups.iter().position(|g| *g == group).unwrap_or_else(|| {
            groups.push(group);
            groups.len() - 1
        });
        let class = task
            .labelled(utterance)
            .and_then(|label| task.classes().iter().position(|c| *c == label));
        let Some(class) = class else { continue };
        found.push(Labelled {
            features: vector.clone(),
            rules: rules(&utterance.text, task),
            class,
            group: place,
        });
    }
    found
}

fn rules(text: &str, task: Task) -> Vec<f64> {
    match task {
        Task::Sentiment => sentiment::by_words(text).to_vec(),
        Task::Category => {
            let told = category::place(category::by_rules(text));
            (0..task.classes().len())
                .map(|c| f64::from(u8::from(c == told)))
                .collect()
        }
    }
}

/// Chooses λ and the share of the rules, and fits on everything.
fn train(name: &str, task: Task, labelled: &[Labelled]) -> Result<Head, Box<dyn Error>> {
    let classes = task.classes().len();
    let mut best = (f64::NEG_INFINITY, 0.0, 0.0);
    for lambda in LAMBDAS {
        let scores = held_out(labelled, classes, lambda).ok_or("a fold cannot be fitted")?;
        for share in SHARES {
            let (accuracy, f1) = figures(labelled, &scores, share, classes);
            println!("  λ {lambda:<4} rules × {share:<4} accuracy {accuracy:.3}  macro F1 {f1:.3}");
            if f1 > best.0 {
                best = (f1, lambda, share);
            }
        }
    }
    let (_, lambda, share) = best;
    println!("  chosen: λ {lambda}, rules × {share}");
    let all: Vec<Example<'_>> = labelled.iter().map(example).collect();
    Ok(Head {
        name: name.to_owned(),
        lambda,
        classes: task.classes().iter().map(|&c| c.to_owned()).collect(),
        weights: fit(&all, classes, lambda).ok_or("the heads cannot be fitted")?,
    })
}

fn example(labelled: &Labelled) -> Example<'_> {
    Example {
        features: &labelled.features,
        class: labelled.class,
    }
}

/// The scores of each utterance by heads that were fitted on the other groups.
fn held_out(labelled: &[Labelled], classes: usize, lambda: f64) -> Option<Vec<Vec<f64>>> {
    let groups = labelled.iter().map(|u| u.group).max()? + 1;
    let heads: Vec<Vec<ClassWeights>> = (0..groups)
        .map(|group| {
            let others: Vec<_> = labelled
                .iter()
                .filter(|u| u.group != group)
                .map(example)
                .collect();
            fit(&others, classes, lambda)
        })
        .collect::<Option<_>>()?;
    let told = labelled.iter().map(|u| {
        let weights = heads[u.group].iter();
        weights.map(|w| score(w, &u.features)).collect()
    });
    Some(told.collect())
}

/// Accuracy and macro F1 of head scores with a share of the rules.
fn figures(labelled: &[Labelled], scores: &[Vec<f64>], share: f64, classes: usize) -> (f64, f64) {
    let mut confusion = vec![vec![0_u32; classes]; classes];
    for (utterance, scores) in labelled.iter().zip(scores) {
        let fused: Vec<f64> = scores
            .iter()
            .zip(&utterance.rules)
            .map(|(head, rules)| head + share * rules)
            .collect();
        let told = (0..classes).fold(0, |best, at| if fused[at] > fused[best] { at } else { best });
        confusion[utterance.class][told] += 1;
    }
    let right: u32 = (0..classes).map(|c| confusion[c][c]).sum();
    let f1 = (0..classes).map(|c| {
        let labelled: u32 = confusion[c].iter().sum();
        let told: u32 = confusion.iter().map(|row| row[c]).sum();
        2.0 * f64::from(confusion[c][c]) / f64::from((labelled + told).max(1))
    });
    let all = f64::from(u32::try_from(labelled.len()).unwrap_or(u32::MAX));
    (
        f64::from(right) / all,
        f1.sum::<f64>() / f64::from(u32::try_from(classes).unwrap_or(1)),
    )
}

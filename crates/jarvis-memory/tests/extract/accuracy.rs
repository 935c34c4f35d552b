//! Accuracy on the shared dev sets, when they lie beside the checkout. The rules were tuned on them.

use super::{facts, said};
use jarvis_memory::sentiment::sentiment;
use serde_json::Value;
use std::path::Path;

fn shared(name: &str) -> Option<Vec<Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/eval")
        .join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: the shared set {name} is not beside the checkout");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

/// The share of `entries` for which `label` gives what `wanted` names.
#[expect(clippy::cast_precision_loss, reason = "counts of a hundred")]
fn accuracy(entries: &[Value], wanted: &str, label: impl Fn(&str) -> String) -> f64 {
    let right = entries.iter().filter(|entry| {
        let text = entry["text"].as_str().unwrap();
        let got = label(text);
        let right = entry[wanted] == got.as_str();
        if !right {
            println!("{text:?}: wanted {}, got {got}", entry[wanted]);
        }
        right
    });
    right.count() as f64 / entries.len() as f64
}

/// The category of the first fact; a recovery tells progress before it ends an injury.
#[test]
fn categories_of_the_shared_dev_set_are_found() {
    let Some(entries) = shared("fact_category_dev.json") else {
        return;
    };
    let reached = accuracy(&entries, "category", |text| {
        facts(&said(&[text]))
            .first()
            .map_or("none", |f| f.category.as_str())
            .to_owned()
    });
    println!(
        "fact_category_dev: accuracy {reached:.3} on {} utterances",
        entries.len()
    );
    assert!(reached >= 0.95, "{reached}");
}

#[test]
fn sentiment_of_the_shared_dev_set_is_found() {
    let Some(entries) = shared("sentiment_dev.json") else {
        return;
    };
    let reached = accuracy(&entries, "label", |text| {
        sentiment(&said(&[text])).0.as_str()[..3].to_owned()
    });
    println!(
        "sentiment_dev: accuracy {reached:.3} on {} utterances",
        entries.len()
    );
    assert!(reached >= 0.95, "{reached}");
}

#[test]
fn denied_and_intensified_feelings_are_told_apart() {
    let strength = |text: &str| sentiment(&said(&[text])).1;
    assert!(strength("c'est pas génial") < 0.0);
    assert!(strength("c'est vraiment génial") > strength("c'est génial"));
    assert!(strength("the class was not good") < 0.0);
    let (label, _) = sentiment(&said(&[
        "Le cours était génial",
        "mais les vestiaires sont sales",
    ]));
    assert_eq!(label.as_str(), "mixed");
    assert!(
        strength("La salle est propre ?").abs() < f64::EPSILON,
        "a question feels nothing"
    );
}

//! Health is left out of every sentence of `health_mask.json`, and harmless talk stays.

use jarvis_core::Language;
use jarvis_memory::extract::{HEALTH_MASK, mask_health};
use serde_json::Value;

fn corpus(name: &str) -> Vec<String> {
    let all: Value = serde_json::from_str(include_str!("health_mask.json")).unwrap();
    all[name]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_sentence_about_health_is_left_out() {
    let sentences = corpus("health");
    assert!(sentences.len() >= 40);
    for text in sentences {
        let masked = mask_health(&text, Language::Fr);
        assert_eq!(masked.spans, 1, "{text}");
        let left: String = masked.text.replace(HEALTH_MASK, "");
        assert!(!left.chars().any(char::is_alphanumeric), "{text} leaves {left:?}");
    }
}

#[test]
fn harmless_sentences_stay_as_they_are() {
    let sentences = corpus("harmless");
    assert!(sentences.len() >= 30);
    for text in sentences {
        let masked = mask_health(&text, Language::En);
        assert_eq!((masked.text.as_str(), masked.spans), (text.as_str(), 0));
    }
}

#[test]
fn what_goes_on_about_the_injury_goes_too_and_the_goal_stays() {
    let text = "J'ai mal au genou droit. C'est depuis janvier. Plus de squats pour moi. Mon objectif c'est de perdre cinq kilos.";
    let masked = mask_health(text, Language::Fr);
    assert_eq!(masked.text, "[santé]. Mon objectif c'est de perdre cinq kilos.");
    assert_eq!(masked.spans, 3);
}

#[test]
fn the_assistants_advice_is_left_out_too() {
    let text = "Ménage ton genou aujourd'hui ! Remplace les squats par du vélo. Bonne séance !";
    assert_eq!(mask_health(text, Language::Fr).text, "[santé]. Bonne séance !");
}

#[test]
fn masking_twice_changes_nothing_more() {
    for text in corpus("health").into_iter().chain(corpus("harmless")) {
        let once = mask_health(&text, Language::Fr).text;
        assert_eq!(mask_health(&once, Language::Fr).text, once, "{text}");
    }
}

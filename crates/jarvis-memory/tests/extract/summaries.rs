//! Summaries in the member's own words.

use super::{facts, said, turn};
use jarvis_core::Language;
use jarvis_memory::extract::Speaker;
use jarvis_memory::summary::{LONGEST_SUMMARY, summarise};

#[test]
fn a_summary_quotes_the_injury_before_the_goal() {
    let turns = [
        turn(
            Speaker::Member,
            "Mon objectif c'est de perdre cinq kilos avant l'été",
        ),
        turn(Speaker::Assistant, "Beau projet, on commence par le rameur ?"),
        turn(
            Speaker::Member,
            "J'ai mal au genou droit depuis janvier, plus de squats pour moi",
        ),
    ];
    let summary = summarise(&turns, &facts(&turns), "Sophie", Language::Fr);
    assert_eq!(
        summary.text,
        "Sophie a dit : « J'ai mal au genou droit depuis janvier, plus de squats pour moi » \
         « Mon objectif c'est de perdre cinq kilos avant l'été »"
    );
    assert_eq!(summary.key_topics, ["santé: right knee", "objectif: lose weight"]);
    assert!(
        !summary.text.contains("rameur"),
        "the assistant's words are nobody's memory"
    );
}

#[test]
fn a_talk_without_facts_keeps_the_members_sentences() {
    let turns = said(&["Bonjour", "Je cherche un casier près de la fenêtre"]);
    let summary = summarise(&turns, &[], "Léa", Language::En);
    assert_eq!(
        summary.text,
        "Léa said: “Je cherche un casier près de la fenêtre”"
    );
}

#[test]
fn nothing_said_is_nothing_summarised() {
    let turns = [turn(Speaker::Assistant, "Bonjour Sophie, comment va ton genou ?")];
    assert_eq!(summarise(&turns, &[], "Sophie", Language::Fr).text, "");
}

#[test]
fn many_quotes_are_shortened_to_fit() {
    let long = "J'ai mal au genou droit depuis janvier et vraiment beaucoup quand je descends les escaliers du métro le matin";
    let texts: Vec<String> = ["genou droit", "dos", "poignet", "cou", "coude", "mollet", "talon"]
        .iter()
        .map(|part| long.replace("genou droit", part))
        .collect();
    let turns = said(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let found = facts(&turns);
    let summary = summarise(&turns, &found, "Sophie", Language::Fr);
    assert!(found.len() >= 6, "{}", found.len());
    assert!(summary.text.chars().count() <= LONGEST_SUMMARY);
    assert_eq!(summary.text.matches('«').count(), found.len(), "{}", summary.text);
}

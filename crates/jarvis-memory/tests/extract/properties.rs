//! What holds for any text whatever.

use super::{facts, said};
use jarvis_core::Language;
use jarvis_memory::extract::{HEALTH_MASK, MOST_FACTS, mask_health, passes_evidence_gate};
use jarvis_memory::sentiment::sentiment;
use jarvis_memory::summary::{LONGEST_SUMMARY, summarise};
use proptest::prelude::*;
use std::time::Instant;

/// Fragments the rules know, glued in any order, with odd characters between them.
fn talk() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        Just("j'ai mal au genou droit".to_owned()),
        Just("plus de squats".to_owned()),
        Just("depuis janvier".to_owned()),
        Just("mon objectif c'est de perdre cinq kilos".to_owned()),
        Just("je n'ai plus mal".to_owned()),
        Just("non pardon c'est le gauche".to_owned()),
        Just("en fait trois kilos".to_owned()),
        Just("I hurt my shoulder".to_owned()),
        Just("j'adore le rameur".to_owned()),
        Just("et à l'épaule".to_owned()),
        Just("ma femme".to_owned()),
        Just("si j'avais".to_owned()),
        Just("depuis le 31 février".to_owned()),
        Just("il y a 99999999 ans".to_owned()),
        Just("je suis allergique aux œufs".to_owned()),
        "\\PC{0,12}",
        "[0-9.,]{0,9}",
    ];
    let separator = prop_oneof![
        Just(" "),
        Just(", "),
        Just(". "),
        Just(" ? "),
        Just("\u{2019}"),
        Just("\u{0}"),
        Just("\u{301}")
    ];
    proptest::collection::vec((fragment, separator), 0..10).prop_map(|parts| {
        parts
            .into_iter()
            .map(|(text, separator)| text + separator)
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_talk_yields_quoted_facts_or_nothing(first in talk(), second in talk()) {
        let turns = said(&[&first, &second]);
        let found = facts(&turns);
        prop_assert!(found.len() <= MOST_FACTS);
        for fact in &found {
            prop_assert!(turns[fact.turn].text.contains(&fact.source_quote));
            prop_assert!(passes_evidence_gate(fact, &turns));
        }
        let summary = summarise(&turns, &found, "Sophie", Language::Fr);
        prop_assert!(summary.text.chars().count() <= LONGEST_SUMMARY);
        let (_, strength) = sentiment(&turns);
        prop_assert!((-1.0..=1.0).contains(&strength));
    }

    #[test]
    fn any_unicode_is_survived(text in any::<String>()) {
        let turns = said(&[&text]);
        for fact in facts(&turns) {
            prop_assert!(text.contains(&fact.source_quote));
        }
        sentiment(&turns);
    }

    #[test]
    fn masked_talk_tells_no_health(text in talk()) {
        let masked = mask_health(&text, Language::Fr);
        prop_assert_eq!(masked.spans > 0, masked.text.contains(HEALTH_MASK) && masked.text != text);
        prop_assert!(facts(&said(&[&masked.text])).iter().all(|f| !f.health));
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64()
}

/// A conversation is worked with up to 200 000 characters; whoever makes them up must not stop a worker with them.
#[test]
fn reading_takes_time_in_proportion_to_length_whatever_is_said() {
    let patterns = [
        "j'ai mal au genou droit depuis janvier, ",
        "plus de squats ",
        "non pardon ",
        "a",
        "'",
        "1,5",
        "\u{301}",
        "à l'épaule et ",
        "?! ",
        "il y a 3 ans et depuis le 31 février et ",
    ];
    for pattern in patterns {
        let long = |bytes: usize| pattern.repeat(bytes / pattern.len());
        let read = |text: &str| {
            let turns = said(&[text]);
            let found = facts(&turns);
            sentiment(&turns);
            summarise(&turns, &found, "Sophie", Language::Fr);
            mask_health(text, Language::Fr);
        };
        let (short, full) = (long(6_000), long(24_000));
        let (quarter, whole) = (seconds(|| read(&short)), seconds(|| read(&full)));
        println!("{pattern:?}: 6 kB {quarter:.3} s, 24 kB {whole:.3} s");
        // Linear is 4, quadratic 16; a busy machine adds its own.
        assert!(
            whole < 10.0 * quarter + 2.0,
            "{pattern:?}: {quarter:.3} s, {whole:.3} s"
        );
    }
}

//! The bars of the labelled sets in `eval/`. `extract_test.json` is never looked at while tuning, so only its figures are
//! printed; `jarvis eval extract --set …` tells its misses.

use chrono::NaiveDate;
use jarvis_memory::eval::{extract, set, summary};

fn read(json: &str) -> Vec<set::Conversation> {
    set::read(json).unwrap()
}

fn day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, 18).unwrap()
}

fn sets() -> [(&'static str, Vec<set::Conversation>); 2] {
    [
        ("test", read(include_str!("../../eval/extract_test.json"))),
        ("dev", read(include_str!("../../eval/extract_dev.json"))),
    ]
}

#[test]
fn the_sets_are_large_and_have_no_conversation_in_common() {
    let [(_, test), (_, dev)] = sets();
    let facts = |set: &[set::Conversation]| set.iter().map(|c| c.labels.len()).sum::<usize>();
    assert!(test.len() + dev.len() >= 40 && facts(&test) + facts(&dev) >= 120);
    assert!(facts(&test) >= 50, "the test split has too few facts");
    assert!(
        test.iter()
            .all(|t| dev.iter().all(|d| d.id != t.id && d.turns != t.turns))
    );
    for set in [&test, &dev] {
        assert!(
            set.iter().filter(|c| c.labels.is_empty()).count() >= 5,
            "too few harmless talks"
        );
    }
}

#[test]
fn unseen_conversations_are_understood() {
    for (split, set) in sets().into_iter().rev() {
        let report = extract::measure(&set, day());
        println!(
            "{split}: precision {:.3}, recall {:.3}, f1 {:.3}",
            report.total.precision, report.total.recall, report.total.f1
        );
        if split == "dev" {
            report
                .misses
                .iter()
                .for_each(|m| println!("  missed {} {:?} {}", m.id, m.category, m.matches));
            report
                .false_positives
                .iter()
                .for_each(|e| println!("  extra  {} {:?} {} “{}”", e.id, e.category, e.fact_key, e.quote));
        }
        assert_eq!(report.facts_from_assistant, 0, "{split}");
        assert!(report.total.precision >= 0.90, "{split}: {:?}", report.total);
        assert!(report.total.recall >= 0.65, "{split}: {:?}", report.total);
    }
}

#[test]
fn summaries_keep_the_facts_and_invent_nothing() {
    for (split, set) in sets() {
        let report = summary::measure(&set, day());
        assert_eq!(report.invented, 0, "{split}: {:?}", report.misses);
        assert!(
            report.kept >= 0.95 && report.facts > 30,
            "{split}: {} of {:?}",
            report.kept,
            report.misses
        );
    }
}

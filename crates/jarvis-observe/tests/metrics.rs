//! The table, its page and the rules; and that what is scraped is what the format promises.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something unexpected happens"
)]

use jarvis_observe::METRICS;
use jarvis_observe::metrics::{ALERTS, TABLE, page, rules_file};
use std::collections::BTreeSet;
use std::path::PathBuf;

fn committed(name: &str, current: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    if std::env::var_os("JARVIS_UPDATE").is_some() {
        std::fs::write(&path, current).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == current,
        "{name} is not current; write it with JARVIS_UPDATE=1 cargo nextest run -p jarvis-observe"
    );
}

#[test]
fn the_committed_pages_and_rules_are_current() {
    committed("docs/metrics.md", &page(false));
    committed("docs/metrics.fr.md", &page(true));
    committed("deploy/prometheus-rules.yml", &rules_file());
}

#[test]
fn every_metric_is_named_as_prometheus_names_them() {
    let names: BTreeSet<_> = TABLE.iter().map(|spec| spec.name).collect();
    assert_eq!(names.len(), TABLE.len(), "a name is there twice");
    for spec in TABLE {
        let plain = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(
            spec.name.starts_with("jarvis_") && spec.name.chars().all(plain),
            "{}",
            spec.name
        );
        let counter = spec.kind.as_str() == "counter";
        assert_eq!(spec.name.ends_with("_total"), counter, "{}", spec.name);
        if spec.kind.as_str() == "histogram" {
            assert!(spec.name.ends_with("_seconds"), "{} has no unit", spec.name);
        }
        assert!(
            !spec.meaning.en.is_empty() && !spec.meaning.fr.is_empty(),
            "{}",
            spec.name
        );
        assert_eq!(
            spec.worry.en.is_empty(),
            spec.worry.fr.is_empty(),
            "{}",
            spec.name
        );
    }
}

#[test]
fn a_rule_asks_for_nothing_but_metrics_of_the_table() {
    for alert in ALERTS {
        let words = alert.expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|word| word.starts_with("jarvis_")) {
            assert!(
                TABLE.iter().any(|spec| spec.name == word),
                "{}: {word}",
                alert.name
            );
        }
    }
}

#[test]
fn what_should_be_there_from_the_start_is_and_nothing_is_that_the_table_does_not_name() {
    METRICS.show_job("memory.process_session");
    for part in ["database", "worker"] {
        METRICS.ready.set(&[part], 1.0);
    }
    METRICS.db_up.set(&[], 1.0);
    METRICS.db_pool.set(&["idle"], 1.0);
    let text = METRICS.render();
    let told: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .collect();
    for spec in TABLE {
        let name = spec.name.strip_suffix("_total").unwrap_or(spec.name);
        let line = format!("{name} {}", spec.kind.as_str());
        assert!(
            told.contains(line.as_str()) || !spec.from_the_start,
            "{line} is not shown"
        );
    }
    let names: BTreeSet<_> = TABLE
        .iter()
        .map(|s| s.name.strip_suffix("_total").unwrap_or(s.name))
        .collect();
    for line in told {
        let name = line.split(' ').next().unwrap();
        assert!(names.contains(name), "{name} is not in the table");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_label_cannot_break_out_of_its_quotes() {
    METRICS.http_requests.inc(&["GET", "/a\"} 1\n# EOF\\", "2xx"]);
    let text = METRICS.render();
    assert!(text.contains(r#"route="/a\"} 1\n# EOF\\""#), "{text}");
    assert_eq!(text.matches("\n# EOF\n").count(), 1);
}

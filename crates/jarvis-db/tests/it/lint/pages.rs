//! The pages say what the program says.

use jarvis_db::lint;

/// The page with the rules in its middle written again.
fn with_rules(page: &str, french: bool) -> String {
    let (head, rest) = page
        .split_once("<!-- rules -->")
        .expect("the page has a place for the rules");
    let (_, tail) = rest.split_once("<!-- /rules -->").expect("the place ends");
    let rules = lint::RULES.iter().map(|rule| {
        let severity = match (rule.severity, french) {
            (lint::Severity::Error, false) => "error",
            (lint::Severity::Error, true) => "erreur",
            (lint::Severity::Warning, false) => "warning",
            (lint::Severity::Warning, true) => "avertissement",
            (lint::Severity::Unknown, false) => "unknown",
            (lint::Severity::Unknown, true) => "inconnu",
        };
        let say = |said: lint::Said| if french { said.fr } else { said.en };
        format!(
            "### `{}` ({severity})\n\n{}. {}\n",
            rule.code,
            capital(say(rule.title)),
            say(rule.danger)
        )
    });
    format!(
        "{head}<!-- rules -->\n\n{}\n<!-- /rules -->{tail}",
        rules.collect::<Vec<_>>().join("\n")
    )
}

fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

#[test]
fn the_pages_explain_every_rule_as_the_program_does() {
    for (name, french) in [("lint.md", false), ("lint.fr.md", true)] {
        let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
        let page = std::fs::read_to_string(&path).unwrap();
        let current = with_rules(&page, french);
        if std::env::var_os("JARVIS_UPDATE").is_some() {
            std::fs::write(&path, &current).unwrap();
        } else {
            assert_eq!(
                page, current,
                "{name} is behind: JARVIS_UPDATE=1 cargo nextest run -p jarvis-db the_pages"
            );
        }
    }
}

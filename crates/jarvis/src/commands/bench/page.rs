//! The figures on the pages `bench.md` and `bench.fr.md`.

use super::machine::Machine;
use crate::failure::WrongUse;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// The words of a page's tables.
pub struct Words {
    file: &'static str,
    /// Head of the rounds of ingestion.
    pub rounds_head: &'static str,
    /// The middle of the rounds.
    pub middle: &'static str,
    /// Head of single events.
    pub singles_head: &'static str,
    /// Head of the waiting times of a visit.
    pub open_head: &'static str,
    /// A badge is read.
    pub open: &'static str,
    /// A question is asked.
    pub ask: &'static str,
    /// What the numbers below a visit's table are.
    pub open_gym: &'static str,
    /// Head of the designs of recall.
    pub designs_head: &'static str,
    /// Our design, the guide's, and what nothing goes below.
    pub ours: &'static str,
    pub guide: &'static str,
    pub floor: &'static str,
    /// Our answers a second over the guide's.
    pub ratio: &'static str,
    /// Head of recall by size of member.
    pub buckets_head: &'static str,
    /// What the numbers below recall's tables are.
    pub recall_gym: &'static str,
    /// Head of the data API, its four requests, and what the numbers below are.
    pub rest_head: &'static str,
    pub rest_requests: [&'static str; 4],
    pub rest_clients: &'static str,
    measured_on: &'static str,
}

const PAGES: [Words; 2] = [
    Words {
        file: "bench.md",
        rounds_head: "| round | ours, rows/s | COPY, rows/s | ours / COPY | load |",
        middle: "middle",
        singles_head: "| single events/s | p50 ms | p95 ms | p99 ms | refused | load |",
        open_head: "| | p50 ms | p95 ms | p99 ms | of it model | SQL | program | HTTP |",
        open: "badge to context",
        ask: "question to memories",
        open_gym: "Members, conversations, turns of each, conversations of the heaviest member, those a visit meets, \
                   kiosks at once, load",
        designs_head: "| design | p50 ms | p99 ms | answers/s | recall@5 | empty |",
        ours: "ours",
        guide: "the guide's",
        floor: "floor",
        ratio: "Our answers a second over the guide's, middle of the rounds",
        buckets_head: "| summaries of the member | questions | recall@5, ours | recall@5, the guide's |",
        recall_gym: "Summaries, members, summaries of the heaviest, rows a question meets, clients, load",
        rest_head: "| | ours/s | pgbench/s | ours / pgbench | p50 ms | p99 ms |",
        rest_requests: [
            "read a row",
            "read a row with two embedded",
            "insert a row",
            "call `match_conversation_summaries`",
        ],
        rest_clients: "Clients, load",
        measured_on: "Measured on",
    },
    Words {
        file: "bench.fr.md",
        rounds_head: "| tour | nous, lignes/s | COPY, lignes/s | nous / COPY | charge |",
        middle: "médiane",
        singles_head: "| événements isolés/s | p50 ms | p95 ms | p99 ms | refusés | charge |",
        open_head: "| | p50 ms | p95 ms | p99 ms | dont modèle | SQL | programme | HTTP |",
        open: "du badge au contexte",
        ask: "de la question aux souvenirs",
        open_gym: "Membres, conversations, tours de chacune, conversations du membre qui en a le plus, celles qu'une \
                   visite rencontre, bornes à la fois, charge",
        designs_head: "| conception | p50 ms | p99 ms | réponses/s | recall@5 | vides |",
        ours: "nous",
        guide: "le guide",
        floor: "plancher",
        ratio: "Nos réponses par seconde sur celles du guide, médiane des tours",
        buckets_head: "| résumés du membre | questions | recall@5, nous | recall@5, le guide |",
        recall_gym: "Résumés, membres, résumés du membre qui en a le plus, lignes qu'une question rencontre, clients, charge",
        rest_head: "| | nous/s | pgbench/s | nous / pgbench | p50 ms | p99 ms |",
        rest_requests: [
            "lire une ligne",
            "lire une ligne avec deux imbriquées",
            "insérer une ligne",
            "appeler `match_conversation_summaries`",
        ],
        rest_clients: "Clients, charge",
        measured_on: "Mesuré sur",
    },
];

/// Whether the pages are there to be written, before a long run.
pub fn check(folder: Option<&Path>) -> anyhow::Result<()> {
    let Some(folder) = folder else {
        return Ok(());
    };
    for words in &PAGES {
        let path = folder.join(words.file);
        if !path.is_file() {
            return Err(WrongUse(format!("--page: there is no {}", path.display())).into());
        }
    }
    Ok(())
}

/// Puts a section's figures between its two marks on each page.
pub fn write(folder: Option<&Path>, name: &str, section: impl Fn(&Words) -> String) -> anyhow::Result<()> {
    let Some(folder) = folder else {
        return Ok(());
    };
    for words in &PAGES {
        let path = folder.join(words.file);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = replaced(&text, name, &section(words))
            .with_context(|| format!("{} has no marks for `{name}`", path.display()))?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// `text` with `section` between `<!-- name -->` and `<!-- /name -->`.
pub fn replaced(text: &str, name: &str, section: &str) -> Option<String> {
    let (opening, closing) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let begin = text.find(&opening)? + opening.len();
    let end = begin + text.get(begin..)?.find(&closing)?;
    let (before, after) = (text.get(..begin)?, text.get(end..)?);
    Some(format!("{before}\n{}\n\n{after}", section.trim()))
}

/// The settings of PostgreSQL, in one line.
pub fn settings(of_postgresql: &BTreeMap<String, String>) -> String {
    let mut line = String::new();
    for (name, value) in of_postgresql {
        let _ = write!(line, "{name} {value}  ");
    }
    line.trim_end().to_owned()
}

/// On what the figures of a section were measured.
pub fn measured_on(words: &Words, machine: &Machine, of_postgresql: &BTreeMap<String, String>) -> String {
    let settings: Vec<_> = of_postgresql
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    format!(
        "{} {}; PostgreSQL: {}.",
        words.measured_on,
        machine.describe(),
        settings.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_put_between_their_marks_and_nowhere_else() {
        let page = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n<!-- y -->\n<!-- /y -->\n";
        let once = replaced(page, "x", "new\n").unwrap();
        assert_eq!(
            once,
            "a\n<!-- x -->\n\nnew\n\n<!-- /x -->\nb\n<!-- y -->\n<!-- /y -->\n"
        );
        assert_eq!(replaced(&once, "x", "new").unwrap(), once);
        assert_eq!(replaced(page, "z", "new"), None);
        assert_eq!(replaced("<!-- /x --> <!-- x -->\n", "x", "new"), None);
    }
}

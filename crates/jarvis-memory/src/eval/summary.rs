//! Whether summaries keep the facts and invent nothing.

use super::set::Conversation;
use crate::summary::summarise;
use chrono::NaiveDate;
use jarvis_core::text::fold;
use serde::Serialize;

/// What the figures mean.
pub const DEFINITION: &str = "kept: the share of extracted facts of which at least the first half of the quote stands in \
    the summary of their conversation. invented: pieces of summaries, between quotation marks, that no turn of the \
    member holds word for word (an ellipsis ends a piece that was cut).";

/// The figures of a set.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// [`DEFINITION`].
    pub definition: &'static str,
    /// How many conversations were summarised.
    pub conversations: usize,
    /// Extracted facts.
    pub facts: usize,
    /// Facts whose quote is in the summary.
    pub facts_kept: usize,
    /// `facts_kept / facts`; 1 without facts.
    pub kept: f64,
    /// Pieces of summaries in all.
    pub pieces: usize,
    /// Pieces that the member did not say; must be 0.
    pub invented: usize,
    /// Characters of the average summary.
    pub mean_length: f64,
    /// Conversations with a fact that was not kept or a piece that was invented.
    pub misses: Vec<String>,
}

/// Extracts from and summarises every conversation.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a labelled set are far below 2^52"
)]
pub fn measure(conversations: &[Conversation], today: NaiveDate) -> Report {
    let mut report = Report {
        definition: DEFINITION,
        conversations: conversations.len(),
        facts: 0,
        facts_kept: 0,
        kept: 1.0,
        pieces: 0,
        invented: 0,
        mean_length: 0.0,
        misses: Vec::new(),
    };
    let mut length = 0;
    for conversation in conversations {
        length += report.add(conversation, today);
    }
    if report.facts > 0 {
        report.kept = report.facts_kept as f64 / report.facts as f64;
    }
    if report.conversations > 0 {
        report.mean_length = length as f64 / report.conversations as f64;
    }
    report
}

impl Report {
    /// Counts one conversation; the length of its summary, in characters.
    fn add(&mut self, conversation: &Conversation, today: NaiveDate) -> usize {
        let facts = conversation.extract(today);
        let summary = summarise(&conversation.turns, &facts, "", conversation.language);
        let text = fold(&summary.text);
        let kept = facts
            .iter()
            .filter(|fact| text.contains(&first_half(&fold(&fact.source_quote))))
            .count();
        let pieces = pieces(&summary.text);
        let invented = pieces
            .iter()
            .filter(|piece| conversation.is_foreign(piece))
            .count();
        self.facts += facts.len();
        self.facts_kept += kept;
        self.pieces += pieces.len();
        self.invented += invented;
        if kept < facts.len() || invented > 0 {
            self.misses.push(conversation.id.clone());
        }
        summary.text.chars().count()
    }
}

fn first_half(quote: &str) -> String {
    let length = quote.chars().count();
    let half: String = quote.chars().take(length.div_ceil(2)).collect();
    half.trim_end().to_owned()
}

/// What stands between quotation marks, French or English, without the ellipsis of a cut.
fn pieces(summary: &str) -> Vec<String> {
    let opening = |c: char| matches!(c, '«' | '“');
    let mut found = Vec::new();
    for piece in summary.split(opening).skip(1) {
        let piece = piece
            .trim_end()
            .trim_end_matches(['»', '”'])
            .trim()
            .trim_end_matches('…')
            .trim_end();
        found.push(piece.to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::set::read;
    use super::*;

    #[test]
    fn a_summary_in_the_members_words_invents_nothing_and_a_foreign_piece_is_seen() {
        let json = r#"[{"id": "a", "transcript": "Member: J'ai mal au genou\nJARVIS: On évite les squats", "facts": []}]"#;
        let set = read(json).unwrap();
        let report = measure(&set, NaiveDate::from_ymd_opt(2026, 3, 18).unwrap());
        assert_eq!(
            (report.facts, report.facts_kept, report.pieces, report.invented),
            (1, 1, 1, 0)
        );
        assert_eq!(pieces("Léa a dit : « J'ai mal… » « x »"), ["J'ai mal", "x"]);
        assert!(set[0].is_foreign("On évite les squats"));
    }
}

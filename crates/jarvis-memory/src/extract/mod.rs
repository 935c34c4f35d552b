//! Facts from what a member said, by rules: French and English, no model, no network, no clock.
//!
//! A turn is split into folded words, sentences and clauses ([`reading`](self)); rule files match patterns on
//! them (`rules/*.rules`, words in `rules/lexicon.txt`); what is asked, supposed, denied, joked, claimed by somebody
//! else or about somebody else is left out. Confidence is the kind of statement (`c` in the rules, .75 to .97) ×
//! .75 when hedged × (.5 + .5 × the confidence of the speech recognition). The figures are ours, chosen on the dev set.
//!
//! A turn that says it is a joke, or that tries to steer the assistant ("ignore tes instructions"), yields nothing.

mod avoid;
mod clause;
mod concern;
mod dates;
mod found;
mod gate;
mod goal;
mod injury;
mod lexicon;
mod mask;
mod merge;
mod number;
pub(crate) mod pattern;
mod place;
mod preference;
mod progress;
mod reading;
mod recovery;
pub(crate) mod token;

pub use gate::passes_evidence_gate;
pub(crate) use gate::{is_plain, is_plain_text};
pub use mask::{HEALTH_MASK, Masked, mask_health};
pub use merge::{ends, retires};

use chrono::NaiveDate;
use found::{Found, Scene};
use jarvis_core::{EventId, FactDraft, Language};
use merge::Session;
use reading::Reading;

/// The name under which this engine signs its facts.
pub const EXTRACTOR: &str = "rules-fr-en-2";
/// A session yields at most so many facts.
pub const MOST_FACTS: usize = 10;

/// Who said a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The member.
    Member,
    /// JARVIS.
    Assistant,
}

/// One turn of a conversation, in the order in which it was heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Who spoke.
    pub speaker: Speaker,
    /// What was said.
    pub text: String,
    /// How sure the speech recognition was, 0 to 1; `None` for typed text.
    pub confidence: Option<f64>,
    /// The event that carried the turn.
    pub event_id: Option<EventId>,
}

/// What an extraction reads.
#[derive(Debug, Clone, Copy)]
pub struct ExtractionInput<'a> {
    /// Member and assistant turns, in order. Assistant turns are never a source.
    pub turns: &'a [Turn],
    /// The member's language. The rules of both languages always apply: members switch.
    pub language: Language,
    /// The day of the session in the gym's zone; relative dates resolve at it.
    pub session_date: NaiveDate,
}

/// The facts a member told in a conversation: at most [`MOST_FACTS`], one for each slot, each quoting one member
/// turn to the byte. A later statement replaces an earlier one about the same thing.
pub fn extract(input: &ExtractionInput<'_>) -> Vec<FactDraft> {
    let mut session = Session::default();
    for (index, turn) in input.turns.iter().enumerate() {
        if turn.speaker != Speaker::Member {
            continue;
        }
        let reading = Reading::of(&turn.text);
        let scene = Scene {
            reading: &reading,
            turn: index,
            heard: turn.confidence,
            today: input.session_date,
        };
        session.read(&scene, findings(&scene));
    }
    let mut facts = session.finish();
    facts.retain(|fact| passes_evidence_gate(fact, input.turns));
    if facts.len() > MOST_FACTS {
        facts.sort_by(|a, b| {
            a.category
                .cmp(&b.category)
                .then(b.confidence.total_cmp(&a.confidence))
        });
        facts.truncate(MOST_FACTS);
    }
    facts
}

/// Everything the rules of all categories find in one turn. A clause about health tells nothing else, and a clause
/// that tells a wish tells no progress. Whatever quotes health needs `health_memory`, be it a goal.
fn findings(scene: &Scene<'_, '_>) -> Vec<Found> {
    let mut found = injury::find(scene);
    let health = clauses(&found);
    found.extend(
        goal::find(scene)
            .into_iter()
            .filter(|f| !health.contains(&f.clause)),
    );
    let taken = clauses(&found);
    found.extend(progress::find(scene, &taken));
    found.extend(preference::find(scene, &clauses(&found)));
    found.extend(concern::find(scene, &health));
    let mut masked = mask::Told::of(scene.reading);
    for finding in &mut found {
        finding.health |= masked.tells(&finding.quote);
    }
    found
}

fn clauses(found: &[Found]) -> Vec<usize> {
    found.iter().map(|f| f.clause).collect()
}

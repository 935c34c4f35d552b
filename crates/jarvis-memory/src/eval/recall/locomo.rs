//! The questions of LoCoMo, in its own form.

use super::{Asked, Corpus, SetError, Unit};
use chrono::NaiveDateTime;
use jarvis_core::Language;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

#[derive(Deserialize)]
struct LocomoSample {
    sample_id: String,
    conversation: serde_json::Map<String, serde_json::Value>,
    qa: Vec<LocomoQuestion>,
}

#[derive(Deserialize)]
struct LocomoQuestion {
    question: String,
    #[serde(default)]
    evidence: Vec<String>,
    category: u8,
}

#[derive(Deserialize)]
struct LocomoTurn {
    speaker: String,
    dia_id: String,
    text: String,
}

/// Reads `locomo10.json` of LoCoMo (Maharana et al., ACL 2024): every turn of ten conversations as "Name: words", and all
/// questions of the five categories whose evidence names at least one turn that is there.
///
/// # Errors
/// When the file has another form.
pub fn read_locomo(json: &str) -> Result<Corpus, SetError> {
    let samples: Vec<LocomoSample> = serde_json::from_str(json)?;
    let mut corpus = Corpus {
        turns: true,
        language: Language::En,
        units: Vec::new(),
        questions: Vec::new(),
        unscorable: 0,
    };
    for sample in samples {
        let places = add_conversation(&mut corpus, &sample)?;
        for question in sample.qa {
            let cited = question.evidence.iter().flat_map(|evidence| cited(evidence));
            let mut gold: Vec<usize> = cited.filter_map(|id| places.get(&id).copied()).collect();
            gold.sort_unstable();
            gold.dedup();
            if gold.is_empty() {
                corpus.unscorable += 1;
                continue;
            }
            corpus.questions.push(Asked {
                text: question.question,
                owner: Some(sample.sample_id.clone()),
                gold,
                groups: BTreeMap::from([("category", question.category.to_string())]),
            });
        }
    }
    if corpus.questions.is_empty() {
        return Err(SetError::Empty);
    }
    Ok(corpus)
}

type Places = HashMap<(u32, u32), usize>;

fn add_conversation(corpus: &mut Corpus, sample: &LocomoSample) -> Result<Places, SetError> {
    let mut places = Places::new();
    let first = sample
        .conversation
        .get("speaker_a")
        .and_then(|name| name.as_str());
    for number in 1.. {
        let Some(turns) = sample.conversation.get(&format!("session_{number}")) else {
            break;
        };
        let turns: Vec<LocomoTurn> = serde_json::from_value(turns.clone())?;
        let at = sample.conversation.get(&format!("session_{number}_date_time"));
        let at = at.and_then(|at| NaiveDateTime::parse_from_str(at.as_str()?, "%I:%M %P on %d %B, %Y").ok());
        for turn in turns {
            if let Some(id) = cited(&turn.dia_id).next() {
                places.insert(id, corpus.units.len());
            }
            corpus.units.push(Unit {
                owner: sample.sample_id.clone(),
                session: format!("session_{number}"),
                by_member: Some(turn.speaker.as_str()) == first,
                text: format!("{}: {}", turn.speaker, turn.text),
                at: at.map(|at| at.and_utc()),
            });
        }
    }
    Ok(places)
}

/// The turns that a piece of evidence cites, such as `D8:6; D9:17`; some are written `D30:05` or `D:11:26`.
pub(super) fn cited(evidence: &str) -> impl Iterator<Item = (u32, u32)> + '_ {
    evidence.split('D').filter_map(|piece| {
        let mut numbers = piece
            .split(|c: char| !c.is_ascii_digit())
            .filter(|digits| !digits.is_empty())
            .map_while(|digits| digits.parse().ok());
        Some((numbers.next()?, numbers.next()?))
    })
}

//! Sets of our own form: summaries and queries, or turns and questions.

use super::{Asked, Corpus, Unit};
use jarvis_core::Language;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// Why a set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// It is no JSON of the expected form.
    #[error("not a set of recall questions: {0}")]
    Form(#[from] serde_json::Error),
    /// A question names an answer that is not there.
    #[error("question {question}: there is no {gold}")]
    UnknownGold {
        /// The question, from 1.
        question: usize,
        /// What it names.
        gold: String,
    },
    /// Nothing to measure.
    #[error("the set has no question")]
    Empty,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Summaries {
        summaries: Vec<SummaryForm>,
        queries: Vec<QueryForm>,
    },
    Turns {
        turns: Vec<TurnForm>,
        questions: Vec<QuestionForm>,
    },
}

#[derive(Deserialize)]
struct SummaryForm {
    id: String,
    member: String,
    text: String,
}

#[derive(Deserialize)]
struct QueryForm {
    q: String,
    gold: Option<String>,
    member: Option<String>,
    lang: Option<String>,
    kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TurnForm {
    Words(String),
    Turn {
        text: String,
        speaker: Option<String>,
        session: Option<String>,
    },
}

#[derive(Deserialize)]
struct QuestionForm {
    q: String,
    gold: Vec<usize>,
    lang: Option<String>,
    kind: Option<String>,
}

/// Reads `{"summaries": […], "queries": […]}` or `{"turns": […], "questions": […]}`.
///
/// # Errors
/// When it has another form, or a question names an answer that is not there.
pub fn read(json: &str) -> Result<Corpus, SetError> {
    let corpus = match serde_json::from_str(json)? {
        Form::Summaries { summaries, queries } => of_summaries(&summaries, queries)?,
        Form::Turns { turns, questions } => of_turns(turns, questions)?,
    };
    if corpus.questions.is_empty() {
        return Err(SetError::Empty);
    }
    Ok(corpus)
}

fn of_summaries(summaries: &[SummaryForm], queries: Vec<QueryForm>) -> Result<Corpus, SetError> {
    let places: HashMap<&str, usize> = summaries
        .iter()
        .enumerate()
        .map(|(place, s)| (s.id.as_str(), place))
        .collect();
    let mut questions = Vec::with_capacity(queries.len());
    for (number, query) in queries.into_iter().enumerate() {
        let gold = match query.gold.as_deref().filter(|gold| !gold.is_empty()) {
            None => Vec::new(),
            Some(id) => vec![*places.get(id).ok_or_else(|| SetError::UnknownGold {
                question: number + 1,
                gold: id.to_owned(),
            })?],
        };
        questions.push(Asked {
            text: query.q,
            owner: query.member,
            gold,
            groups: groups(query.lang, query.kind),
        });
    }
    let units = summaries.iter().map(|s| Unit {
        owner: s.member.clone(),
        session: String::new(),
        by_member: true,
        text: s.text.clone(),
        at: None,
    });
    Ok(Corpus {
        turns: false,
        language: Language::Fr,
        units: units.collect(),
        questions,
        unscorable: 0,
    })
}

fn of_turns(turns: Vec<TurnForm>, questions: Vec<QuestionForm>) -> Result<Corpus, SetError> {
    let units: Vec<Unit> = turns.into_iter().map(unit).collect();
    let mut asked = Vec::with_capacity(questions.len());
    for (number, question) in questions.into_iter().enumerate() {
        if let Some(missing) = question.gold.iter().find(|gold| **gold >= units.len()) {
            return Err(SetError::UnknownGold {
                question: number + 1,
                gold: format!("turn {missing}"),
            });
        }
        asked.push(Asked {
            text: question.q,
            owner: None,
            gold: question.gold,
            groups: groups(question.lang, question.kind),
        });
    }
    let english = asked
        .iter()
        .filter(|q| q.groups.get("language").is_some_and(|l| l == "en"))
        .count();
    Ok(Corpus {
        turns: true,
        language: if english * 2 > asked.len() {
            Language::En
        } else {
            Language::Fr
        },
        units,
        questions: asked,
        unscorable: 0,
    })
}

fn unit(turn: TurnForm) -> Unit {
    let (text, speaker, session) = match turn {
        TurnForm::Words(text) => (text, None, None),
        TurnForm::Turn {
            text,
            speaker,
            session,
        } => (text, speaker, session),
    };
    Unit {
        owner: String::new(),
        session: session.unwrap_or_default(),
        by_member: speaker.is_none_or(|s| !["assistant", "ai", "JARVIS"].contains(&s.as_str())),
        text,
        at: None,
    }
}

fn groups(language: Option<String>, kind: Option<String>) -> BTreeMap<&'static str, String> {
    let named = [("language", language), ("kind", kind)];
    named
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

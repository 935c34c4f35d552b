//! Recall: what of the right turns or summaries is among the first found.

use chrono::{DateTime, NaiveDateTime, Utc};
use jarvis_core::Language;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// How far the ranked answers are looked at.
pub const DEPTH: usize = 50;

/// What the figures mean.
pub const DEFINITION: &str = "R@k (r_at_k) of a question is the share of its right rows among the first k found; with one \
right row it is 1 or 0. r_at_k is the mean over the questions that have a right row. mrr is the mean of 1 / rank of the \
first right row, 0 beyond the first 50. any_at_k and all_at_k are the shares of questions with any, or all, of their right \
rows among the first k. session_any_hit_at_5 is the share of questions for which one of the five best conversations, each \
as good as its best turn, has a right turn. abstained is the share of questions without an answer at which recall says \
that nothing was noted; wrongly_abstained is the share of the others at which it does.";

/// One thing that can be found.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// Whose memory it is in.
    pub owner: String,
    /// The conversation, in time order within an owner; empty for a summary.
    pub session: String,
    /// Whether the member said it, and not the other one; true for a summary.
    pub by_member: bool,
    /// Its words.
    pub text: String,
    /// The hour of its conversation, when the set tells it.
    pub at: Option<DateTime<Utc>>,
}

/// A question and what answers it.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The question.
    pub text: String,
    /// Whose memory is asked, when the set names one.
    pub owner: Option<String>,
    /// Right units; none when nothing answers.
    pub gold: Vec<usize>,
    /// By what the figures are also told, such as `kind` and `lex`.
    pub groups: BTreeMap<&'static str, String>,
}

/// A set of things and questions.
#[derive(Debug, Clone, PartialEq)]
pub struct Corpus {
    /// Whether the units are turns of conversations; else they are summaries.
    pub turns: bool,
    /// The language of the units.
    pub language: Language,
    /// What can be found.
    pub units: Vec<Unit>,
    /// The questions.
    pub questions: Vec<Asked>,
    /// Questions whose right turns the set names but does not hold.
    pub unscorable: usize,
}

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
fn cited(evidence: &str) -> impl Iterator<Item = (u32, u32)> + '_ {
    evidence.split('D').filter_map(|piece| {
        let mut numbers = piece
            .split(|c: char| !c.is_ascii_digit())
            .filter(|digits| !digits.is_empty())
            .map_while(|digits| digits.parse().ok());
        Some((numbers.next()?, numbers.next()?))
    })
}

/// What recall answered to one question.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// Units, best first, at most [`DEPTH`].
    pub ranked: Vec<usize>,
    /// It said that nothing was noted.
    pub nothing_noted: bool,
}

/// The figures of some questions; see [`DEFINITION`].
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "named as the definition names them")]
pub struct Figures {
    pub questions: usize,
    pub r_at_1: f64,
    pub r_at_3: f64,
    pub r_at_5: f64,
    pub r_at_10: f64,
    pub r_at_20: f64,
    pub mrr: f64,
    pub any_at_5: f64,
    pub any_at_10: f64,
    pub all_at_10: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_any_hit_at_5: Option<f64>,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// Over all questions that have an answer.
    #[serde(flatten)]
    pub total: Figures,
    /// The same by group, such as `kind` → `lex`.
    pub by: BTreeMap<&'static str, BTreeMap<String, Figures>>,
    /// Of the questions without an answer, the share at which recall says that nothing was noted.
    pub abstained: Option<f64>,
    /// Of the others, the share at which it does.
    pub wrongly_abstained: f64,
    /// Questions whose first right row is not among the first three.
    pub misses: Vec<String>,
}

/// A question and what recall said.
type Pair<'a> = (&'a Asked, &'a Answer);

/// The figures of a corpus, one answer per question.
pub fn measure(corpus: &Corpus, answers: &[Answer]) -> Measured {
    let pairs: Vec<Pair<'_>> = corpus.questions.iter().zip(answers).collect();
    let (scored, unanswerable): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(q, _)| !q.gold.is_empty());
    let mut groups: BTreeMap<&'static str, BTreeMap<String, Vec<Pair<'_>>>> = BTreeMap::new();
    for pair in &scored {
        for (name, value) in &pair.0.groups {
            let group = groups.entry(name).or_default().entry(value.clone()).or_default();
            group.push(*pair);
        }
    }
    let by = groups.into_iter().map(|(name, values)| {
        let figures = values
            .into_iter()
            .map(|(value, pairs)| (value, figures(corpus, &pairs)));
        (name, figures.collect())
    });
    let silent = |pairs: &[Pair<'_>]| mean(pairs.iter().map(|(_, a)| share(a.nothing_noted)));
    let missed = |(q, a): &&Pair<'_>| a.ranked.iter().take(3).all(|unit| !q.gold.contains(unit));
    Measured {
        total: figures(corpus, &scored),
        by: by.collect(),
        abstained: (!unanswerable.is_empty()).then(|| silent(&unanswerable)),
        wrongly_abstained: silent(&scored),
        misses: scored
            .iter()
            .filter(missed)
            .map(|(q, _)| q.text.clone())
            .collect(),
    }
}

fn figures(corpus: &Corpus, pairs: &[Pair<'_>]) -> Figures {
    let found = |k: usize, (q, a): &Pair<'_>| {
        let hits = a
            .ranked
            .iter()
            .take(k)
            .filter(|unit| q.gold.contains(unit))
            .count();
        ratio(hits, q.gold.len())
    };
    let recall = |k| mean(pairs.iter().map(|pair| found(k, pair)));
    let any = |k| mean(pairs.iter().map(|pair| share(found(k, pair) > 0.0)));
    let first = |(q, a): &Pair<'_>| {
        let rank = a.ranked.iter().position(|unit| q.gold.contains(unit));
        rank.map_or(0.0, |rank| ratio(1, rank + 1))
    };
    Figures {
        questions: pairs.len(),
        r_at_1: recall(1),
        r_at_3: recall(3),
        r_at_5: recall(5),
        r_at_10: recall(10),
        r_at_20: recall(20),
        mrr: mean(pairs.iter().map(first)),
        any_at_5: any(5),
        any_at_10: any(10),
        all_at_10: mean(pairs.iter().map(|pair| share(found(10, pair) >= 1.0))),
        session_any_hit_at_5: corpus
            .turns
            .then(|| mean(pairs.iter().map(|pair| share(session_hit(corpus, pair))))),
    }
}

fn session_hit(corpus: &Corpus, (q, a): &Pair<'_>) -> bool {
    let session = |unit: &usize| corpus.units.get(*unit).map(|u| (&u.owner, &u.session));
    let right: HashSet<_> = q.gold.iter().filter_map(session).collect();
    let mut best = Vec::new();
    for session in a.ranked.iter().filter_map(session) {
        if !best.contains(&session) {
            best.push(session);
        }
        if best.len() == 5 {
            break;
        }
    }
    best.iter().any(|session| right.contains(session))
}

fn share(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a set, far below 2^52")]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len();
    ratio(1, count) * values.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARIES: &str = r#"{"summaries": [{"id": "s1", "member": "a", "text": "x"}, {"id": "s2", "member": "a", "text": "y"}],
        "queries": [{"q": "one", "gold": "s2", "member": "a", "lang": "fr", "kind": "lex"},
                    {"q": "two", "gold": "s1", "member": "a", "lang": "en", "kind": "en"},
                    {"q": "none", "gold": null, "member": null, "lang": "fr", "kind": "none_in"}]}"#;

    #[test]
    fn figures_are_those_of_the_ranks() {
        let corpus = read(SUMMARIES).unwrap();
        let answer = |ranked: &[usize], nothing_noted| Answer {
            ranked: ranked.to_vec(),
            nothing_noted,
        };
        let answers = [answer(&[1, 0], false), answer(&[1, 0], true), answer(&[0], true)];
        let measured = measure(&corpus, &answers);
        let total = &measured.total;
        assert_eq!(
            (total.questions, total.r_at_1, total.r_at_3, total.mrr),
            (2, 0.5, 1.0, 0.75)
        );
        assert_eq!(measured.by["kind"]["lex"].r_at_1.to_bits(), 1.0_f64.to_bits());
        assert_eq!((measured.abstained, measured.wrongly_abstained), (Some(1.0), 0.5));
        assert_eq!(total.session_any_hit_at_5, None);
    }

    #[test]
    fn a_part_of_the_right_turns_is_a_part_of_the_recall() {
        let set = r#"{"turns": ["a", {"text": "b", "speaker": "assistant", "session": "2"}, "c"],
                      "questions": [{"q": "?", "gold": [0, 2], "lang": "en"}]}"#;
        let corpus = read(set).unwrap();
        assert!(!corpus.units[1].by_member && corpus.language == Language::En);
        let measured = measure(
            &corpus,
            &[Answer {
                ranked: vec![1, 2],
                nothing_noted: false,
            }],
        );
        let total = measured.total;
        assert_eq!(
            (total.r_at_1, total.r_at_5, total.any_at_5, total.all_at_10),
            (0.0, 0.5, 1.0, 0.0)
        );
        assert_eq!(total.session_any_hit_at_5, Some(1.0));
    }

    #[test]
    fn evidence_is_read_however_it_is_written() {
        let all = |text: &str| cited(text).collect::<Vec<_>>();
        assert_eq!(all("D8:6; D9:17"), [(8, 6), (9, 17)]);
        assert_eq!(all("D30:05"), [(30, 5)]);
        assert_eq!(all("D:11:26"), [(11, 26)]);
        assert_eq!(all("D"), []);
    }

    #[test]
    fn a_wrong_set_says_what_is_wrong() {
        assert!(matches!(read("[]"), Err(SetError::Form(_))));
        let ghost = SUMMARIES.replace("\"gold\": \"s2\"", "\"gold\": \"s9\"");
        assert_eq!(
            read(&ghost).unwrap_err().to_string(),
            "question 1: there is no s9"
        );
        let empty = r#"{"turns": [], "questions": []}"#;
        assert!(matches!(read(empty), Err(SetError::Empty)));
    }
}

//! Looking at facts.

use super::At;
use crate::connection;
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::output::{Output, table};
use crate::wiring;
use chrono::{DateTime, Days, NaiveDate, Utc};
use jarvis_core::{Clock as _, ErrorCode, Fact, FactId, SystemClock};
use jarvis_db::queries::fact::FactFilter;
use jarvis_db::queries::fact::person::OwnedFact;
use jarvis_db::queries::member;
use jarvis_memory::facts;
use serde_json::{Value, json};

/// A fact as data, with what follows from the time: where it stands, and how sure one may be of it.
pub(super) fn told(fact: &Fact, now: DateTime<Utc>) -> Value {
    let mut value = json!(fact);
    if let Value::Object(fields) = &mut value {
        fields.insert("life".to_owned(), json!(fact.life(now)));
        fields.insert("certainty".to_owned(), json!(fact.certainty(now)));
    }
    value
}

/// A fact with whom it is about, as data.
pub(super) fn told_owned(owned: &OwnedFact, now: DateTime<Utc>) -> Value {
    let mut value = told(&owned.fact, now);
    if let Value::Object(fields) = &mut value {
        fields.insert("gym_id".to_owned(), json!(owned.gym_id));
        fields.insert("member_id".to_owned(), json!(owned.member_id));
    }
    value
}

fn row(fact: &Fact, now: DateTime<Utc>) -> [String; 6] {
    let quote = fact.source_quote.as_deref();
    [
        fact.category.as_str().to_owned(),
        fact.fact_key.clone(),
        fact.life(now).as_str().to_owned(),
        format!("{:.2}", fact.certainty(now)),
        quote.map(|q| format!("« {q} »")).unwrap_or_default(),
        fact.id.to_string(),
    ]
}

const HEADS: [&str; 6] = ["category", "key", "life", "sure", "in their words", "id"];

pub(super) async fn list(
    global: &Global,
    out: Output,
    member: &str,
    all: bool,
    at: &At,
) -> anyhow::Result<Done> {
    let desk = connection::desk(global, at.gym()).await?;
    let id = connection::find_member(&desk, member).await?;
    let now = SystemClock.now();
    let memory = wiring::memory_without_model(desk.db.clone());
    let filter = FactFilter {
        include_inactive: all,
        most_others: None,
    };
    let facts = facts::read::list(&memory, &desk.scope, desk.gym, id, filter).await?;
    let data: Vec<Value> = facts.iter().map(|f| told(f, now)).collect();
    out.data(&data, |_| {
        if facts.is_empty() {
            "nothing is remembered of this member".to_owned()
        } else {
            table(HEADS, facts.iter().map(|f| row(f, now)))
        }
    })?;
    Ok(Done::Ok)
}

pub(super) async fn list_as_of(
    global: &Global,
    out: Output,
    member: &str,
    (day, all): (NaiveDate, bool),
    at: &At,
) -> anyhow::Result<Done> {
    let desk = connection::desk(global, at.gym()).await?;
    let id = connection::find_member(&desk, member).await?;
    let memory = wiring::memory_without_model(desk.db.clone());
    let mut tx = desk.db.begin(&desk.scope).await?;
    let whose = member::find(&mut tx, id).await?;
    tx.commit().await?;
    let whose = whose.ok_or_else(|| WrongUse("the member was removed just now".to_owned()))?;
    let end = day
        .checked_add_days(Days::new(1))
        .and_then(|next| whose.begin_of(next))
        .ok_or_else(|| WrongUse(format!("there was no day {day}")))?;
    let facts = facts::read::list_as_of(&memory, &desk.scope, desk.gym, id, end, all).await?;
    let data: Vec<Value> = facts
        .iter()
        .map(|f| {
            let mut value = told(&f.fact, end);
            if let Value::Object(fields) = &mut value {
                fields.insert("valid_from".to_owned(), json!(f.valid_from));
                fields.insert("valid_to".to_owned(), json!(f.valid_to));
                fields.insert("superseded_by".to_owned(), json!(f.superseded_by));
            }
            value
        })
        .collect();
    out.data(&data, |_| {
        if facts.is_empty() {
            format!("nothing was known of this member on {day}")
        } else {
            table(HEADS, facts.iter().map(|f| row(&f.fact, end)))
        }
    })?;
    Ok(Done::Ok)
}

pub(super) async fn show(global: &Global, out: Output, id: FactId, at: &At) -> anyhow::Result<Done> {
    let desk = connection::desk(global, at.gym()).await?;
    let now = SystemClock.now();
    let owned = find(&desk, id).await?;
    out.data(&told_owned(&owned, now), |_| {
        let fact = &owned.fact;
        let day = |at: Option<DateTime<Utc>>| at.map_or_else(|| "-".to_owned(), |at| at.format("%F").to_string());
        format!(
            "{}/{}  ({})\nvalue      {}\nslot       {}\nsure       {:.2}  (statement {:.2}, confirmed {} times)\n\
             in words   {}\nsession    {}\nsaid       {}\nask from   {}\nexpires    {}\nmember     {}",
            fact.category.as_str(),
            fact.fact_key,
            fact.life(now).as_str(),
            fact.fact_value,
            fact.slot.as_deref().unwrap_or("none: the registry does not know this key"),
            fact.certainty(now),
            fact.confidence,
            fact.times_confirmed,
            fact.source_quote.as_deref().map_or_else(|| "-".to_owned(), |q| format!("« {q} »")),
            fact.source_session_id.as_deref().unwrap_or("-"),
            day(Some(fact.said_at())),
            day(fact.asks_from),
            day(fact.expires_at),
            owned.member_id,
        )
    })?;
    Ok(Done::Ok)
}

/// The fact with this id in the desk's gym.
pub(super) async fn find(desk: &connection::GymDesk, id: FactId) -> anyhow::Result<OwnedFact> {
    let memory = wiring::memory_without_model(desk.db.clone());
    facts::read::get(&memory, &desk.scope, id).await.map_err(|error| {
        if error.code() == ErrorCode::FactNotFound {
            WrongUse(format!(
                "this gym has no fact {id}; see `jarvis fact list MEMBER`"
            ))
            .into()
        } else {
            error.into()
        }
    })
}

pub(super) async fn history(global: &Global, out: Output, member: &str, at: &At) -> anyhow::Result<Done> {
    let desk = connection::desk(global, at.gym()).await?;
    let id = connection::find_member(&desk, member).await?;
    let memory = wiring::memory_without_model(desk.db.clone());
    let lines = facts::read::history(&memory, &desk.scope, desk.gym, id).await?;
    out.data(&lines, |lines| {
        let rows = lines.iter().map(|l| {
            let fact = format!("{}/{}", l.category, l.fact_key);
            [
                l.recorded_at.format("%F %T").to_string(),
                l.operation.clone(),
                fact,
                l.refusal_code.clone().unwrap_or_default(),
                l.actor.clone().unwrap_or_default(),
            ]
        });
        table(["when (UTC)", "what", "fact", "why refused", "who"], rows)
    })?;
    Ok(Done::Ok)
}

pub(super) async fn review(global: &Global, out: Output, limit: i64, at: &At) -> anyhow::Result<Done> {
    let desk = connection::desk(global, at.gym()).await?;
    let now = SystemClock.now();
    let memory = wiring::memory_without_model(desk.db.clone());
    let items = facts::read::review(&memory, &desk.scope, desk.gym, limit).await?;
    let data: Vec<Value> = items
        .iter()
        .map(|item| {
            let mut value = told_owned(&item.owned, now);
            if let Value::Object(fields) = &mut value {
                fields.insert("why".to_owned(), json!(item.why));
            }
            value
        })
        .collect();
    out.data(&data, |_| {
        if items.is_empty() {
            return "nothing to look at".to_owned();
        }
        let rows = items.iter().map(|item| {
            let fact = &item.owned.fact;
            [
                item.why.clone(),
                format!("{}/{}", fact.category.as_str(), fact.fact_key),
                fact.said_at().format("%F").to_string(),
                item.owned.member_id.to_string(),
                fact.id.to_string(),
            ]
        });
        table(["why", "fact", "last said", "member", "id"], rows)
    })?;
    Ok(Done::Ok)
}

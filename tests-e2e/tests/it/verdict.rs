//! Whether what was promised was kept: everything acknowledged is there once, every session became memory once.

use crate::program::Program;
use crate::stored::count;
use crate::storm;
use crate::traffic::Conversation;
use serde_json::{Value, json};
use sqlx::{PgPool, Row as _};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Time to process what is left in the end.
const DRAIN: Duration = Duration::from_mins(3);

/// What was counted. Where something was lost, doubled or altered, there is a panic and no verdict.
#[derive(Debug, Clone, Copy)]
pub struct Verdict {
    pub acknowledged: usize,
    pub lost: usize,
    pub doubled: usize,
    pub sessions: usize,
    /// Tries of processing over all sessions.
    pub tries: i32,
    /// Sessions whose opening was answered to nobody; nothing was said in them.
    pub untold: usize,
    pub facts: usize,
}

impl Verdict {
    /// The verdict and what happened on the way, as a line of the report.
    pub fn report(&self, storm: &str, more: &[(&str, Value)]) {
        let verdict = [
            ("acknowledged", json!(self.acknowledged)),
            ("lost", json!(self.lost)),
            ("doubled", json!(self.doubled)),
            ("sessions", json!(self.sessions)),
            ("tries", json!(self.tries)),
            ("opened_untold", json!(self.untold)),
            ("facts", json!(self.facts)),
        ];
        storm::report(storm, &[more, &verdict[..]].concat());
    }
}

/// Waits until nothing is left to do, then compares what is stored with what the kiosks were promised.
pub async fn judge(program: &Program, pool: &PgPool, held: &[Conversation]) -> Verdict {
    wait_until_nothing_is_left_to_do(pool).await;
    let (acknowledged, lost, doubled) = every_acknowledged_event_is_there_once(pool, held).await;
    let (tries, untold) = every_closed_session_is_memory_once(pool, held).await;
    let facts = every_fact_counts_each_session_once(pool, held).await;
    let doctor = program.run(&["doctor", "--json"]).await;
    assert_eq!(doctor.code, 0, "{doctor:?}");
    assert_eq!(doctor.json()["findings"], json!([]));
    Verdict {
        acknowledged,
        lost,
        doubled,
        sessions: held.len(),
        tries,
        untold,
        facts,
    }
}

pub async fn wait_until_nothing_is_left_to_do(pool: &PgPool) {
    let begun = Instant::now();
    loop {
        let sessions = "select count(*) from public.conversation_sessions where state in ('open', 'closing')";
        let jobs = "select count(*) from jarvis.jobs
                     where state in ('available', 'running', 'retryable') and kind = 'memory.process_session'";
        let (sessions, jobs) = (count(pool, sessions).await, count(pool, jobs).await);
        if (sessions, jobs) == (0, 0) {
            println!(
                "nothing is left to do after {:.1} s",
                begun.elapsed().as_secs_f64()
            );
            break;
        }
        assert!(
            begun.elapsed() < DRAIN,
            "{sessions} sessions and {jobs} jobs are left"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let dead: Vec<String> = sqlx::query_scalar(
        "select format('%s %s after %s tries: %s', state, kind, attempt, errors) from jarvis.jobs
          where state = 'discarded' and kind = 'memory.process_session'",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert_eq!(dead, [""; 0], "jobs were given up");
}

async fn every_acknowledged_event_is_there_once(
    pool: &PgPool,
    held: &[Conversation],
) -> (usize, usize, usize) {
    let rows =
        sqlx::query("select session_id, provider_event_id, transcript from public.conversation_events")
            .fetch_all(pool)
            .await
            .unwrap();
    let mut stored: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for row in &rows {
        let key = (row.get("session_id"), row.get("provider_event_id"));
        stored.entry(key).or_default().push(row.get("transcript"));
    }
    let (mut acknowledged, mut lost, mut doubled, mut altered) = (0, 0, 0, 0);
    for conversation in held {
        for (id, words) in &conversation.acknowledged {
            acknowledged += 1;
            match stored
                .remove(&(conversation.session.clone(), id.clone()))
                .as_deref()
            {
                None => lost += 1,
                Some([found]) => altered += usize::from(found != words),
                Some(_) => doubled += 1,
            }
        }
    }
    println!("events acknowledged {acknowledged}, lost {lost}, doubled {doubled}, altered {altered}");
    assert_eq!((lost, doubled, altered), (0, 0, 0));
    assert!(stored.is_empty(), "events that nobody was told of: {stored:?}");
    (acknowledged, lost, doubled)
}

async fn every_closed_session_is_memory_once(pool: &PgPool, held: &[Conversation]) -> (i32, usize) {
    let rows = sqlx::query(
        "select s.session_id, s.state, s.state_reason, s.attempts,
                (select count(*) from public.conversation_summaries c where c.session_id = s.session_id) as summaries,
                (select max(c.turn_count) from public.conversation_summaries c where c.session_id = s.session_id) as turns,
                (select count(*) from public.conversation_events e where e.session_id = s.session_id) as events
           from public.conversation_sessions s",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let told: BTreeSet<&str> = held.iter().map(|c| c.session.as_str()).collect();
    let (mut remembered, mut untold, mut tries) = (0, 0, 0);
    for row in &rows {
        let (session, state): (String, String) = (row.get("session_id"), row.get("state"));
        let (summaries, events): (i64, i64) = (row.get("summaries"), row.get("events"));
        if told.contains(session.as_str()) {
            let turns: Option<i32> = row.get("turns");
            assert_eq!((state.as_str(), summaries), ("processed", 1), "{session}");
            assert_eq!(
                turns.map(i64::from),
                Some(events),
                "the summary of {session} is of all its turns"
            );
            remembered += 1;
            tries += row.get::<i32, _>("attempts");
        } else {
            // Opened, but the answer was lost: nothing was said in it.
            assert_eq!((state.as_str(), summaries, events), ("empty", 0, 0), "{session}");
            untold += 1;
        }
    }
    assert_eq!(remembered, told.len(), "sessions are missing");
    println!(
        "sessions processed {remembered} in {tries} tries; opened without the kiosk's knowledge and ended empty: {untold}"
    );
    (tries, untold)
}

async fn every_fact_counts_each_session_once(pool: &PgPool, held: &[Conversation]) -> usize {
    let rows = sqlx::query(
        "select g.slug || ' ' || m.badge_id as member, f.category, f.is_active, f.times_confirmed,
                (select count(*) from jarvis.member_fact_history h
                  where h.fact_id = f.id and h.operation <> 'refuse') as changes,
                (select count(distinct h.session_id) from jarvis.member_fact_history h
                  where h.fact_id = f.id and h.operation <> 'refuse') as sessions
           from public.member_facts f join public.gym_members_v2 m on m.id = f.member_id
           join public.gyms g on g.id = m.gym_id",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut spoke: BTreeMap<String, i64> = BTreeMap::new();
    for conversation in held {
        *spoke
            .entry(format!("{} {}", conversation.gym, conversation.badge))
            .or_default() += 1;
    }
    let mut seen: BTreeMap<(String, String), i64> = BTreeMap::new();
    for row in &rows {
        let (member, category): (String, String) = (row.get("member"), row.get("category"));
        let (changes, sessions): (i64, i64) = (row.get("changes"), row.get("sessions"));
        let spoke = spoke.get(&member).copied().unwrap_or_default();
        let fact = format!("{category} of {member}");
        assert_eq!(changes, sessions, "{fact}: a session wrote it twice");
        assert_eq!(sessions, spoke, "{fact}: every session said it");
        assert_eq!(
            i64::from(row.get::<i32, _>("times_confirmed")),
            spoke - 1,
            "{fact}"
        );
        assert!(row.get::<bool, _>("is_active"), "{fact}");
        *seen.entry((member, category)).or_default() += 1;
    }
    for member in spoke.keys() {
        for category in ["injury", "goal"] {
            let found = seen.get(&(member.clone(), category.to_owned())).copied();
            assert_eq!(found, Some(1), "{category} facts of {member}");
        }
    }
    println!(
        "facts {}, none twice, none confirmed by a repetition of ours",
        rows.len()
    );
    rows.len()
}

//! Sessions of a gym that are spoken in at the same time.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{GymId, KioskId, Language, MemberId, SessionId, SessionState};
use uuid::Uuid;

/// What must be known of a session to take an event for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// Who talks.
    pub member_id: MemberId,
    /// In which language.
    pub language: Language,
    /// Where it stands.
    pub state: SessionState,
    /// When the badge was read.
    pub started_at: DateTime<Utc>,
    /// When something last happened.
    pub last_event_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// Locks the session of each active kiosk until this transaction ends, and tells of it in the order of the request.
/// `None` where the gym has no such session of an active kiosk, and where somebody else holds it: nobody is waited for.
pub async fn lock_heard(
    tx: &mut ScopedTx,
    gym: GymId,
    asked: &[(KioskId, &SessionId)],
) -> Result<Vec<Option<Heard>>, DbError> {
    let kiosks: Vec<Uuid> = asked.iter().map(|(kiosk, _)| kiosk.as_uuid()).collect();
    let sessions: Vec<&str> = asked.iter().map(|(_, session)| session.as_str()).collect();
    let rows = sqlx::query!(
        r#"select a.n as "n!", s.member_id, s.language as "language!", s.state, s.started_at, s.last_event_at, s.ended_at
             from unnest($2::uuid[], $3::text[]) with ordinality as a(kiosk_id, session_id, n)
             join public.kiosks k on k.gym_id = $1 and k.id = a.kiosk_id and k.status = 'active'
             join public.conversation_sessions s
               on s.gym_id = $1 and s.session_id = a.session_id and s.kiosk_id = a.kiosk_id
              for update of s skip locked"#,
        gym.as_uuid(),
        &kiosks,
        &sessions as &[&str],
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut heard = vec![None; asked.len()];
    for r in rows {
        let place = usize::try_from(r.n - 1).ok().and_then(|n| heard.get_mut(n));
        *place.ok_or(DbError::NotFound)? = Some(Heard {
            member_id: r.member_id.into(),
            language: r.language.parse().unwrap_or_default(),
            state: r.state.parse().map_err(|_| DbError::unknown_word("state"))?,
            started_at: r.started_at,
            last_event_at: r.last_event_at,
            ended_at: r.ended_at,
        });
    }
    Ok(heard)
}

/// Notes that something happened in several sessions, as [`super::note_events`] does, with the spans withheld in each. A
/// session may stand there more than once.
pub async fn note_heard(
    tx: &mut ScopedTx,
    gym: GymId,
    heard: &[(&SessionId, i32)],
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let sessions: Vec<&str> = heard.iter().map(|(session, _)| session.as_str()).collect();
    let withheld: Vec<i32> = heard.iter().map(|(_, spans)| *spans).collect();
    sqlx::query!(
        "update public.conversation_sessions s
            set last_event_at = greatest(coalesce(s.last_event_at, $4), $4),
                withheld_health_spans = s.withheld_health_spans + n.spans,
                state = case when s.state = 'open' then s.state else 'closing' end,
                attempts = case when s.state = 'open' then s.attempts else 0 end
           from (select u.session_id, sum(u.spans)::integer as spans
                   from unnest($2::text[], $3::integer[]) as u(session_id, spans) group by u.session_id) as n
          where s.gym_id = $1 and s.session_id = n.session_id",
        gym.as_uuid(),
        &sessions as &[&str],
        &withheld,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

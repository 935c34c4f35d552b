//! Plays the conversations as a kiosk would: over HTTP, from the pairing code to the end of the session.

use super::words::Words;
use super::{script, seed};
use crate::commands::kiosk::new_code;
use crate::connection::GymDesk;
use crate::serving::Serving;
use anyhow::{Context as _, bail};
use jarvis_api::Tokens;
use jarvis_core::{Actor, MemberId, Scope, SessionId, SessionState};
use jarvis_db::queries::kiosk::Kiosk;
use jarvis_db::queries::session::{self, SessionFilter};
use jarvis_db::queries::{event, member};
use jarvis_memory::sessions::KioskIdentity;
use script::{Conversation, Line};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A conversation that was played, now or at an earlier start.
#[derive(Debug, Clone)]
pub struct Played {
    /// Whose gym.
    pub gym_slug: String,
    /// The gym's kiosk.
    pub kiosk: Kiosk,
    /// The member.
    pub member: MemberId,
    /// The session.
    pub session: SessionId,
}

/// How long processing may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Plays what was not played before, waits until everything is processed, and returns the sessions.
pub async fn play_all(
    serving: &Serving,
    words: &Words,
    mut say: impl FnMut(&str),
) -> anyhow::Result<Vec<Played>> {
    let mut played = Vec::new();
    for conversation in script::conversations()? {
        say(&format!(
            "{} {} {}",
            conversation.badge, words.speaks_at, conversation.gym
        ));
        played.push(play(serving, &conversation).await?);
    }
    say(words.making_memory);
    let begun = Instant::now();
    for p in &played {
        while !is_done(serving, p).await? {
            if begun.elapsed() > PATIENCE {
                bail!(
                    "session {} was not processed within {} s",
                    p.session,
                    PATIENCE.as_secs()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(played)
}

async fn is_done(serving: &Serving, played: &Played) -> anyhow::Result<bool> {
    let mut tx = serving
        .memory
        .db
        .begin(&Scope::gym(played.kiosk.gym_id, Actor::Operator))
        .await?;
    let session = session::find(&mut tx, &played.session)
        .await?
        .context("the session disappeared")?;
    Ok(!matches!(
        session.state,
        SessionState::Open | SessionState::Closing
    ))
}

async fn play(serving: &Serving, conversation: &Conversation) -> anyhow::Result<Played> {
    let kiosk = seed::kiosk(&serving.memory.db, &conversation.gym).await?;
    let mut tx = serving
        .memory
        .db
        .begin(&Scope::gym(kiosk.gym_id, Actor::Operator))
        .await?;
    let found = member::find_by_badge(&mut tx, kiosk.gym_id, &conversation.badge).await?;
    let member = found.context("the demo's member is missing")?.id;
    let filter = SessionFilter {
        note: None,
        state: None,
        member: Some(member),
        limit: 1000,
    };
    let before = session::list(&mut tx, kiosk.gym_id, filter).await?;
    let mut spoken = None;
    for session in before.iter().rev() {
        if spoken.is_none()
            && event::count(&mut tx, kiosk.gym_id, &session.session_id)
                .await?
                .events
                > 0
        {
            spoken = Some(session.clone());
        }
    }
    tx.commit().await?;
    let session = match spoken {
        // The demo was killed in the middle of it.
        Some(half) if half.state == SessionState::Open => {
            let client = Client::of(serving, &kiosk).await?;
            speak(&client, &half.session_id, conversation).await?;
            half.session_id
        }
        Some(whole) => whole.session_id,
        None => converse(serving, &kiosk, conversation).await?,
    };
    Ok(Played {
        gym_slug: conversation.gym.clone(),
        kiosk,
        member,
        session,
    })
}

/// A kiosk's way to the API.
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    /// A client of the kiosk, which is paired first when it never was.
    pub async fn of(serving: &Serving, kiosk: &Kiosk) -> anyhow::Result<Self> {
        let base = format!("http://{}/api/v1", serving.address);
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(20))
            .build()?;
        let token = serving.tokens.mint_kiosk(&KioskIdentity {
            kiosk: kiosk.id,
            gym: kiosk.gym_id,
        })?;
        let client = Self {
            http,
            base,
            token: token.token.expose_secret().to_owned(),
        };
        if kiosk.status != "active" {
            client.pair(serving, kiosk).await?;
        }
        Ok(client)
    }

    async fn pair(&self, serving: &Serving, kiosk: &Kiosk) -> anyhow::Result<()> {
        let scope = Scope::gym(kiosk.gym_id, Actor::Operator);
        let desk = GymDesk {
            db: serving.memory.db.clone(),
            gym: kiosk.gym_id,
            scope,
        };
        let code = new_code(&desk, kiosk.id).await?;
        // The device's own key; the demo's kiosk signs nothing later, so its private half is not kept.
        let device = Tokens::from_pem(&Tokens::generate_pem()?, serving.memory.clock.clone())?.key_set();
        let public_key = device.keys.first().context("a new key has a public half")?;
        self.post("/kiosks/pair", &json!({"code": code, "public_key": public_key}))
            .await?;
        Ok(())
    }

    /// Posts JSON; anything but success is an error with the problem's code.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let answer = self
            .http
            .post(format!("{}{path}", self.base))
            .bearer_auth(&self.token)
            .json(body)
            .send()
            .await
            .with_context(|| format!("POST {path}"))?;
        let status = answer.status();
        let value: Value = answer
            .json()
            .await
            .with_context(|| format!("POST {path} answered {status}"))?;
        if !status.is_success() {
            bail!("POST {path} answered {status}: {}", value["code"]);
        }
        Ok(value)
    }
}

async fn converse(
    serving: &Serving,
    kiosk: &Kiosk,
    conversation: &Conversation,
) -> anyhow::Result<SessionId> {
    let client = Client::of(serving, kiosk).await?;
    let ask = json!({"badge_id": conversation.badge, "language": conversation.language, "channel": "text"});
    let opened = client.post("/sessions", &ask).await?;
    let session: SessionId = opened["session_id"].as_str().context("no session id")?.parse()?;
    speak(&client, &session, conversation).await?;
    Ok(session)
}

/// Says what is to be said and ends the session. The ids of the turns keep one that was said before from being stored
/// twice.
async fn speak(client: &Client, session: &SessionId, conversation: &Conversation) -> anyhow::Result<()> {
    for (number, line) in conversation.turns.iter().enumerate() {
        let (kind, text) = match line {
            Line::Member(text) => ("user_transcript", text),
            Line::Assistant(text) => ("ai_transcript", text),
        };
        let event = json!({
            "event_type": kind, "transcript": text, "turn_number": number,
            "provider_event_id": format!("demo-{number}"),
        });
        client
            .post(&format!("/sessions/{session}/events"), &event)
            .await?;
    }
    client
        .post(
            &format!("/sessions/{session}/close"),
            &json!({"reason": "goodbye"}),
        )
        .await?;
    Ok(())
}

//! The life of one WebSocket: joins, broadcasts, heartbeats, and every way in which it ends.

use super::changes::Subscriber;
use super::frame::{MAX_NAME_BYTES, Payload, Push, Told, Unreadable, Version};
use super::rights::{Reach, Refused, Room};
use super::rooms::{Delivery, Listener, Said};
use super::{CHANNELS, MESSAGE_BYTES, MESSAGES_PER_SECOND, QUEUE, Realtime};
use crate::keys::Admitted;
use crate::tokens::LEEWAY;
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Clients send a heartbeat every 25 seconds; one that is silent for so long is gone. So is one without a channel.
const SILENCE: Duration = Duration::from_secs(75);
/// How often rights are looked up again.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Tokens that ran out are noticed so late at most.
const TICK: Duration = Duration::from_secs(1);
/// A message that cannot be sent for so long will not be.
const SENDING: Duration = Duration::from_secs(10);
/// The topic of the connection itself.
const OWN_TOPIC: &str = "phoenix";

/// Why a connection ends, as a code of WebSocket and words for a log.
type End = (u16, &'static str);

const GONE: End = (close_code::NORMAL, "");
const STOPPING: End = (close_code::AWAY, "the server stops");
const TOO_SLOW: End = (close_code::POLICY, "messages are not read");
const TOO_MANY: End = (close_code::POLICY, "too many messages per second");
const TOO_LARGE: End = (close_code::SIZE, "message too large");
const UNREADABLE: End = (close_code::PROTOCOL, "no message of Phoenix");
const SILENT: End = (close_code::POLICY, "no heartbeat, or no channel");

/// A channel that was joined.
struct Channel {
    room: Room,
    token: SecretString,
    /// Seconds since 1970; a key has no end.
    expires: Option<i64>,
    join_ref: Option<String>,
    hears_itself: bool,
    acknowledges: bool,
    /// Its subscriptions to changes of tables.
    changes: Vec<u64>,
}

/// What somebody's token opens.
struct Opened {
    room: Room,
    expires: Option<i64>,
    who: Arc<Admitted>,
}

/// What a token opens now; asked at every join and again and again while it lasts.
async fn open(realtime: &Realtime, token: &SecretString, topic: &str) -> Result<Opened, Refused> {
    let admitted = realtime.0.keys.whom(token.expose_secret()).await?;
    let reach = Reach::of(&realtime.0.state.memory.db, &admitted).await?;
    Ok(Opened {
        room: reach.room_of(topic)?,
        expires: admitted.claims.get("exp").and_then(Value::as_i64),
        who: Arc::new(admitted),
    })
}

pub(super) struct Connection {
    id: u64,
    realtime: Realtime,
    version: Version,
    key: SecretString,
    socket: WebSocket,
    channels: HashMap<String, Channel>,
    rate: DefaultDirectRateLimiter,
    queue: mpsc::Sender<Delivery>,
    waiting: mpsc::Receiver<Delivery>,
    too_slow: CancellationToken,
    heard: Instant,
    /// When it last had a channel.
    in_use: Instant,
    looked: Instant,
}

impl Connection {
    pub(super) fn new(
        id: u64,
        realtime: Realtime,
        version: Version,
        key: SecretString,
        socket: WebSocket,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let now = Instant::now();
        Self {
            id,
            realtime,
            version,
            key,
            socket,
            channels: HashMap::new(),
            rate: RateLimiter::direct(Quota::per_second(MESSAGES_PER_SECOND)),
            queue,
            waiting,
            too_slow: CancellationToken::new(),
            heard: now,
            in_use: now,
            looked: now,
        }
    }

    pub(super) async fn run(mut self) {
        let (code, reason) = self.until_it_ends().await.err().unwrap_or(GONE);
        tracing::debug!(code, reason, "a realtime connection ended");
        let close = Message::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        }));
        // Whoever is gone already needs no farewell.
        let _farewell = tokio::time::timeout(TICK, self.socket.send(close)).await;
    }

    async fn until_it_ends(&mut self) -> Result<(), End> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (stop, too_slow) = (self.realtime.0.stop.clone(), self.too_slow.clone());
        loop {
            tokio::select! {
                () = stop.cancelled() => return Err(STOPPING),
                () = too_slow.cancelled() => return Err(TOO_SLOW),
                _ = tick.tick() => self.tick().await?,
                Some(delivery) = self.waiting.recv() => self.deliver(delivery).await?,
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => self.hear(message).await?,
                    // Not even its end can be read.
                    Some(Err(_)) => return Err(TOO_LARGE),
                    None => return Ok(()),
                },
            }
        }
    }

    async fn hear(&mut self, message: Message) -> Result<(), End> {
        self.heard = Instant::now();
        let size = match &message {
            Message::Text(text) => text.len(),
            Message::Binary(bytes) => bytes.len(),
            _ => 0,
        };
        let within = self.rate.check().is_ok();
        let push = match Push::read(self.version, message) {
            None if within => return Ok(()),
            Some(Ok(push)) => push,
            Some(Err(Unreadable)) => return Err(UNREADABLE),
            None => return Err(TOO_MANY),
        };
        if !within {
            let words = "MessagesPerSecondRateLimitReached: too many messages per second";
            if !self.ours(&push) {
                return Err(TOO_MANY);
            }
            return self.end_channel(&push.topic, words, "phx_close").await;
        }
        if size > MESSAGE_BYTES {
            let words = format!("PayloadTooLarge: at most {MESSAGE_BYTES} bytes");
            return self.refuse(&push, &words).await;
        }
        self.obey(push).await
    }

    /// Whether it belongs to a channel as it is joined now, and not to an earlier join.
    fn ours(&self, push: &Push) -> bool {
        self.channels
            .get(&push.topic)
            .is_some_and(|channel| push.join_ref.is_none() || push.join_ref == channel.join_ref)
    }

    async fn obey(&mut self, push: Push) -> Result<(), End> {
        match (push.topic.as_str(), push.event.as_str()) {
            (OWN_TOPIC, "heartbeat") => self.reply(&push, "ok", json!({})).await,
            (_, "phx_join") => match self.join(&push).await {
                Ok(changes) => self.joined(&push, &changes).await,
                Err(words) => self.refuse(&push, &words).await,
            },
            (_, "phx_leave") => {
                let known = self.ours(&push);
                self.reply(&push, "ok", json!({})).await?;
                if known {
                    self.close_channel(&push.topic, "phx_close").await?;
                }
                Ok(())
            }
            _ if !self.ours(&push) => self.refuse(&push, "unmatched topic").await,
            (_, "broadcast") => self.broadcast(push).await,
            (_, "access_token") => self.renew(&push).await,
            (_, "presence") => {
                let words = "PresenceUnavailable: JARVIS keeps no presence";
                self.refuse(&push, words).await
            }
            _ => {
                self.refuse(&push, "UnknownEvent: broadcast, access_token or phx_leave")
                    .await
            }
        }
    }

    /// Joins; what it hears of tables, as it asked for it, with ids.
    async fn join(&mut self, push: &Push) -> Result<Vec<Value>, String> {
        let Payload::Json(payload) = &push.payload else {
            return Err("InvalidPayload: an object".to_owned());
        };
        let config = &payload["config"];
        let mut asked = match &config["postgres_changes"] {
            Value::Null => Vec::new(),
            Value::Array(asked) => asked.clone(),
            _ => return Err("InvalidPostgresChanges: an array".to_owned()),
        };
        let again = self.channels.contains_key(&push.topic);
        if !again && self.channels.len() >= CHANNELS {
            return Err(format!(
                "ChannelRateLimitReached: at most {CHANNELS} channels per connection"
            ));
        }
        let token = payload["access_token"].as_str().map(SecretString::from);
        let token = token.unwrap_or_else(|| self.key.clone());
        let opened = open(&self.realtime, &token, &push.topic)
            .await
            .map_err(|why| why.to_string())?;
        self.leave(&push.topic);
        let topic: Arc<str> = Arc::from(push.topic.as_str());
        let mut changes = Vec::new();
        if !asked.is_empty() {
            let subscriber = Subscriber {
                connection: self.id,
                topic: Arc::clone(&topic),
                gym: opened.room.0,
                who: opened.who,
                queue: self.queue.clone(),
                too_slow: self.too_slow.clone(),
            };
            changes = self.realtime.0.listeners.subscribe(&subscriber, &asked).await?;
        }
        for (entry, id) in asked.iter_mut().zip(&changes) {
            entry["id"] = json!(id);
        }
        let listener = Listener {
            connection: self.id,
            topic,
            queue: self.queue.clone(),
            too_slow: self.too_slow.clone(),
        };
        self.realtime.0.rooms.enter(opened.room.clone(), listener);
        let channel = Channel {
            room: opened.room,
            token,
            expires: opened.expires,
            join_ref: push.join_ref.clone(),
            hears_itself: config["broadcast"]["self"] == true,
            acknowledges: config["broadcast"]["ack"] == true,
            changes,
        };
        self.channels.insert(push.topic.clone(), channel);
        Ok(asked)
    }

    async fn joined(&mut self, push: &Push, changes: &[Value]) -> Result<(), End> {
        self.reply(push, "ok", json!({"postgres_changes": changes}))
            .await?;
        self.push(&push.topic, "presence_state", json!({})).await?;
        if changes.is_empty() {
            return Ok(());
        }
        let channel = push.topic.strip_prefix("realtime:").unwrap_or(&push.topic);
        let told = json!({"extension": "postgres_changes", "status": "ok", "message": "Subscribed to PostgreSQL",
            "channel": channel});
        self.push(&push.topic, "system", told).await
    }

    async fn broadcast(&mut self, push: Push) -> Result<(), End> {
        let Some(channel) = self.channels.get(&push.topic) else {
            return Ok(());
        };
        let named = match &push.payload {
            Payload::Bytes(event, _) => Some(event.as_str()),
            Payload::Json(payload) => payload["event"].as_str(),
        };
        if named.is_none_or(|event| event.len() > MAX_NAME_BYTES) {
            let words = format!("InvalidPayload: an event of at most {MAX_NAME_BYTES} bytes");
            return self.refuse(&push, &words).await;
        }
        let except = (!channel.hears_itself).then_some((self.id, push.topic.as_str()));
        self.realtime
            .0
            .rooms
            .say(&channel.room, except, push.payload.clone());
        if channel.acknowledges {
            return self.reply(&push, "ok", json!({})).await;
        }
        Ok(())
    }

    /// A new token for a channel: of somebody who reaches the same room, or it ends.
    async fn renew(&mut self, push: &Push) -> Result<(), End> {
        let token = match &push.payload {
            Payload::Json(payload) => payload["access_token"].as_str().map(SecretString::from),
            Payload::Bytes(..) => None,
        };
        let Some(token) = token else {
            return self
                .end_channel(&push.topic, "InvalidToken: access_token is missing", "phx_close")
                .await;
        };
        self.confirm(&push.topic, token).await
    }

    /// Goes on with this token, if it still opens the channel.
    async fn confirm(&mut self, topic: &str, token: SecretString) -> Result<(), End> {
        let opened = open(&self.realtime, &token, topic).await;
        let Some(channel) = self.channels.get_mut(topic) else {
            return Ok(());
        };
        match opened {
            Ok(opened) if opened.room == channel.room => {
                channel.token = token;
                channel.expires = opened.expires;
                self.realtime.0.listeners.renew(self.id, topic, &opened.who);
                Ok(())
            }
            Ok(_) => {
                self.end_channel(topic, &Refused::OtherGym.to_string(), "phx_close")
                    .await
            }
            // The client joins again by itself.
            Err(Refused::Unavailable) => {
                self.end_channel(topic, &Refused::Unavailable.to_string(), "phx_error")
                    .await
            }
            Err(why) => self.end_channel(topic, &why.to_string(), "phx_close").await,
        }
    }

    async fn tick(&mut self) -> Result<(), End> {
        if !self.channels.is_empty() {
            self.in_use = Instant::now();
        }
        if self.heard.elapsed() > SILENCE || self.in_use.elapsed() > SILENCE {
            return Err(SILENT);
        }
        let now = (self.realtime.0.state.now() - LEEWAY).timestamp();
        let over = |channel: &Channel| channel.expires.is_some_and(|expires| expires <= now);
        let ended: Vec<String> = self
            .channels
            .iter()
            .filter(|(_, channel)| over(channel))
            .map(|(topic, _)| topic.clone())
            .collect();
        for topic in ended {
            self.end_channel(&topic, "InvalidToken: Token has expired", "phx_close")
                .await?;
        }
        if self.looked.elapsed() < LOOK_AGAIN {
            return Ok(());
        }
        let joined = self.channels.iter();
        let joined: Vec<_> = joined
            .map(|(topic, channel)| (topic.clone(), channel.token.clone()))
            .collect();
        for (topic, token) in joined {
            self.confirm(&topic, token).await?;
        }
        self.looked = Instant::now();
        Ok(())
    }

    async fn deliver(&mut self, delivery: Delivery) -> Result<(), End> {
        let topic = &*delivery.topic;
        let Some(channel) = self.channels.get(topic) else {
            return Ok(());
        };
        // What was meant for an earlier join is nothing to this one.
        let (event, payload) = match &delivery.said {
            Said::Broadcast(payload) => ("broadcast", &**payload),
            Said::Changed(ids, payload) if ids.iter().all(|id| channel.changes.contains(id)) => {
                ("postgres_changes", payload)
            }
            Said::Lost(id, words) if channel.changes.contains(id) => {
                // The client joins again by itself.
                return self.end_channel(topic, words, "phx_error").await;
            }
            Said::Changed(..) | Said::Lost(..) => return Ok(()),
        };
        let told = Told {
            join_ref: None,
            reference: None,
            topic,
            event,
            payload,
        };
        match told.write(self.version) {
            Some(message) => self.send(message).await,
            None => Ok(()),
        }
    }

    /// Says why, and ends the channel.
    async fn end_channel(&mut self, topic: &str, words: &str, event: &str) -> Result<(), End> {
        let channel = topic.strip_prefix("realtime:").unwrap_or(topic);
        let told = json!({"extension": "system", "status": "error", "message": words, "channel": channel});
        self.push(topic, "system", told).await?;
        self.close_channel(topic, event).await
    }

    async fn close_channel(&mut self, topic: &str, event: &str) -> Result<(), End> {
        self.push(topic, event, json!({})).await?;
        self.leave(topic);
        Ok(())
    }

    fn leave(&mut self, topic: &str) {
        if let Some(channel) = self.channels.remove(topic) {
            self.realtime.0.rooms.leave(&channel.room, self.id, topic);
            self.realtime.0.listeners.leave(self.id, topic);
        }
    }

    async fn refuse(&mut self, push: &Push, words: &str) -> Result<(), End> {
        self.reply(push, "error", json!({"reason": words})).await
    }

    async fn reply(&mut self, push: &Push, status: &str, response: Value) -> Result<(), End> {
        let payload = Payload::Json(json!({"status": status, "response": response}));
        self.tell(&Told {
            join_ref: push.join_ref.as_deref(),
            reference: push.reference.as_deref(),
            topic: &push.topic,
            event: "phx_reply",
            payload: &payload,
        })
        .await
    }

    /// Tells a channel something that it did not ask.
    async fn push(&mut self, topic: &str, event: &str, payload: Value) -> Result<(), End> {
        let join_ref = self
            .channels
            .get(topic)
            .and_then(|channel| channel.join_ref.clone());
        self.tell(&Told {
            join_ref: join_ref.as_deref(),
            reference: None,
            topic,
            event,
            payload: &Payload::Json(payload),
        })
        .await
    }

    async fn tell(&mut self, told: &Told<'_>) -> Result<(), End> {
        match told.write(self.version) {
            Some(message) => self.send(message).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        let too_slow = self.too_slow.clone();
        tokio::select! {
            sent = tokio::time::timeout(SENDING, self.socket.send(message)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(GONE),
                Err(_) => Err(TOO_SLOW),
            },
            () = too_slow.cancelled() => Err(TOO_SLOW),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        for (topic, channel) in &self.channels {
            self.realtime.0.rooms.leave(&channel.room, self.id, topic);
            self.realtime.0.listeners.leave(self.id, topic);
        }
    }
}

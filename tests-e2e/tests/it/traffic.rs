//! Kiosks of several gyms at work: each insists until it is answered, and remembers what it was promised.

use crate::device::Caller;
use crate::gyms::{self, EVERYTHING, GOAL, KNEE};
use crate::program::{Program, text};
use crate::server::Server;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// The first name of every member of a gym, by gym. Found in the answer to another gym's kiosk, it is a leak.
const NAMES: [&str; 6] = [
    "Zephyrine",
    "Ysolde",
    "Quintilia",
    "Wulfran",
    "Xantippe",
    "Oriabel",
];

/// A gym with its kiosks.
#[derive(Debug, Clone)]
pub struct Gym {
    pub slug: String,
    members: usize,
    kiosks: Vec<Caller>,
    /// Every member's first name.
    pub own: &'static str,
}

/// Makes gyms that use the same badges, `BADGE_0` and on, with kiosks that are paired.
pub async fn gyms(
    program: &Program,
    server: &Server,
    gyms: usize,
    kiosks: usize,
    members: usize,
) -> Vec<Gym> {
    let mut made = Vec::new();
    for own in &NAMES[..gyms] {
        let slug = format!("salle-{}", own.to_lowercase());
        gyms::gym(program, &slug).await;
        for number in 0..members {
            gyms::member(program, &slug, &format!("BADGE_{number}"), own, EVERYTHING).await;
        }
        let mut callers = Vec::new();
        for number in 0..kiosks {
            let kiosk = gyms::kiosk(program, server, &slug, &format!("borne-{number}")).await;
            callers.push(kiosk.caller);
        }
        made.push(Gym {
            slug,
            members,
            kiosks: callers,
            own,
        });
    }
    made
}

/// What the kiosks do just now, and what happened to them.
#[derive(Debug, Default)]
pub struct Traffic {
    stop: AtomicBool,
    pub opening: AtomicUsize,
    pub recording: AtomicUsize,
    pub closing: AtomicUsize,
    /// Requests that were not answered.
    pub cut_off: AtomicUsize,
    /// Of these, the ones whose answer began and broke off.
    pub half_answered: AtomicUsize,
    /// Requests answered with a 503 that says when to try again.
    pub refused: AtomicUsize,
    /// The longest that such an answer took, in milliseconds.
    pub slowest_refusal_ms: AtomicU64,
    /// Events that were on disk although their answer was lost.
    pub repeated: AtomicUsize,
    /// Conversations that came to their end.
    pub conversations: AtomicUsize,
}

/// What a kiosk was promised of one session.
#[derive(Debug)]
pub struct Conversation {
    pub session: String,
    pub gym: String,
    pub badge: String,
    /// `provider_event_id` → what was said; only what was acknowledged.
    pub acknowledged: BTreeMap<String, String>,
}

/// Kiosks at work.
#[derive(Debug)]
pub struct Crowd {
    pub traffic: Arc<Traffic>,
    visits: Vec<JoinHandle<Vec<Conversation>>>,
}

impl Crowd {
    /// Members talk at every kiosk from now on. A request goes to any of the servers, and to any again when it was not
    /// answered; each is repeated for at most `patience`.
    pub fn start(gyms: &[Gym], servers: &[&String], patience: Duration, chance: &mut StdRng) -> Self {
        let traffic = Arc::new(Traffic::default());
        let mut visits = Vec::new();
        for gym in gyms {
            for kiosk in &gym.kiosks {
                let visit = Visits {
                    at: servers.iter().map(|address| kiosk.at(address)).collect(),
                    gym: gym.clone(),
                    traffic: traffic.clone(),
                    chance: StdRng::seed_from_u64(chance.random()),
                    patience,
                    held: Vec::new(),
                };
                visits.push(tokio::spawn(visit.until_stopped()));
            }
        }
        Self { traffic, visits }
    }

    /// Waits until so many more conversations came to their end.
    pub async fn go_on_for(&self, conversations: usize, patience: Duration) {
        let wanted = self.traffic.conversations.load(Ordering::Relaxed) + conversations;
        let begun = Instant::now();
        while self.traffic.conversations.load(Ordering::Relaxed) < wanted {
            // A kiosk that was answered wrongly stops: say so at once.
            let ended = self.visits.iter().filter(|visit| visit.is_finished()).count();
            assert!(ended == 0, "{ended} kiosks gave up");
            assert!(
                begun.elapsed() < patience,
                "the kiosks do not get on: {:?}",
                self.traffic
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Lets every kiosk end its conversation; what they were promised.
    pub async fn stop(self) -> Vec<Conversation> {
        self.traffic.stop.store(true, Ordering::Relaxed);
        let mut held = Vec::new();
        for visit in self.visits {
            held.extend(visit.await.expect("the kiosk was served"));
        }
        held
    }
}

/// A kiosk at which one member after the other talks.
struct Visits {
    at: Vec<Caller>,
    gym: Gym,
    traffic: Arc<Traffic>,
    chance: StdRng,
    patience: Duration,
    held: Vec<Conversation>,
}

impl Visits {
    async fn until_stopped(mut self) -> Vec<Conversation> {
        while !self.traffic.stop.load(Ordering::Relaxed) {
            self.conversation().await;
            let pause = self.chance.random_range(50..300);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        // The answer to the last opening may have been lost; this opening ends that session.
        self.conversation().await;
        self.held
    }

    async fn conversation(&mut self) {
        let badge = format!("BADGE_{}", self.chance.random_range(0..self.gym.members));
        let traffic = self.traffic.clone();
        let opened = self
            .insist("/api/v1/sessions", &json!({"badge_id": badge}), &traffic.opening)
            .await;
        assert!(
            opened.to_string().contains(self.gym.own),
            "not the member of {}: {opened}",
            self.gym.slug
        );
        let session = text(&opened, "/session_id");
        self.held.push(Conversation {
            session: session.clone(),
            gym: self.gym.slug.clone(),
            badge,
            acknowledged: BTreeMap::new(),
        });
        let own = format!("Je suis là pour la conversation {session}");
        for batch in [vec![KNEE], vec![own.as_str(), GOAL]] {
            self.say(&session, &batch).await;
        }
        self.insist(
            &format!("/api/v1/sessions/{session}/close"),
            &json!({}),
            &traffic.closing,
        )
        .await;
        if self.chance.random_bool(0.25) {
            self.say(&session, &["Ah, et merci pour la dernière fois"]).await;
        }
        traffic.conversations.fetch_add(1, Ordering::Relaxed);
    }

    async fn say(&mut self, session: &str, sentences: &[&str]) {
        let number = self.held.last().map_or(0, |c| c.acknowledged.len());
        let said: Vec<(String, String)> = sentences
            .iter()
            .enumerate()
            .map(|(i, sentence)| (format!("{session}/{}", number + i), (*sentence).to_owned()))
            .collect();
        let body: Vec<Value> = said
            .iter()
            .map(|(id, words)| json!({"event_type": "user_transcript", "transcript": words, "provider_event_id": id}))
            .collect();
        let traffic = self.traffic.clone();
        let path = format!("/api/v1/sessions/{session}/events");
        let answer = self.insist(&path, &Value::Array(body), &traffic.recording).await;
        let accepted = answer["accepted"]
            .as_array()
            .unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(accepted.len(), said.len(), "{answer}");
        let repeated = accepted.iter().filter(|a| a["duplicate"] == json!(true)).count();
        traffic.repeated.fetch_add(repeated, Ordering::Relaxed);
        self.held
            .last_mut()
            .expect("a session was opened")
            .acknowledged
            .extend(said);
    }

    /// Repeats a request until it is answered, as a kiosk does: after a broken connection, and after a 503 that says when
    /// to try again. Any other answer is wrong.
    async fn insist(&mut self, path: &str, body: &Value, doing: &AtomicUsize) -> Value {
        let begun = Instant::now();
        loop {
            let at = self.chance.random_range(0..self.at.len());
            let asked = Instant::now();
            doing.fetch_add(1, Ordering::Relaxed);
            let answer = once(&self.at[at], path, body).await;
            doing.fetch_sub(1, Ordering::Relaxed);
            match answer {
                Ok((status, _, body)) if status.is_success() => {
                    self.is_of_this_gym(&body);
                    return body;
                }
                Ok((StatusCode::SERVICE_UNAVAILABLE, retry_after, body)) => {
                    self.refused(asked, retry_after.as_deref(), &body);
                }
                Ok((status, _, body)) => panic!("{path}: {status} {body}"),
                Err(error) => {
                    // Status and headers had come.
                    let half = usize::from(error.is_body() || error.is_decode());
                    self.traffic.half_answered.fetch_add(half, Ordering::Relaxed);
                    self.traffic.cut_off.fetch_add(1, Ordering::Relaxed);
                }
            }
            assert!(begun.elapsed() < self.patience, "{path} is not answered");
            let pause = self.chance.random_range(20..60);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    fn is_of_this_gym(&self, answer: &Value) {
        let answer = answer.to_string();
        for name in NAMES.iter().filter(|name| **name != self.gym.own) {
            assert!(!answer.contains(name), "{} sees {name}: {answer}", self.gym.slug);
        }
    }

    fn refused(&self, asked: Instant, retry_after: Option<&str>, problem: &Value) {
        let ms = u64::try_from(asked.elapsed().as_millis()).unwrap();
        self.traffic.refused.fetch_add(1, Ordering::Relaxed);
        self.traffic.slowest_refusal_ms.fetch_max(ms, Ordering::Relaxed);
        let seconds = retry_after.and_then(|seconds| seconds.parse::<u64>().ok());
        assert!(seconds.is_some(), "a 503 says when to try again: {problem}");
        let code = text(problem, "/code");
        let known = ["database_unavailable", "storage_full", "overloaded"];
        assert!(known.contains(&code.as_str()), "{problem}");
    }
}

async fn once(at: &Caller, path: &str, body: &Value) -> reqwest::Result<(StatusCode, Option<String>, Value)> {
    let response = at.request(path, body).send().await?;
    let status = response.status();
    let retry_after = response.headers().get(header::RETRY_AFTER);
    let retry_after = retry_after
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    Ok((status, retry_after, response.json().await?))
}

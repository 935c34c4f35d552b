//! `postgres_changes`: what changed in the tables, to each as they may read it.
//!
//! The database tells tables and keys alone ([`jarvis_db::changes`]). Each row is then read as whoever listens, once for all
//! who are the same and ask the same; what they may not read they never hear of.

mod asked;

pub(super) use asked::Asked;

use super::rooms::{Delivery, Said};
use super::{MESSAGE_BYTES, frame::Payload};
use crate::keys::Admitted;
use chrono::SecondsFormat;
use futures_util::future::BoxFuture;
use jarvis_core::GymId;
use jarvis_core::clock::SharedClock;
use jarvis_db::changes::{Act, Change, Changes};
use jarvis_db::{Db, DbError};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// The most subscriptions of a connection.
pub const OF_A_CONNECTION: usize = 100;
/// The most subscriptions of a gym.
pub const OF_A_GYM: usize = 1_000;
/// The most changes that wait to be read.
const WAITING: usize = 1_024;
/// How often the connection is tried, and locks that nobody needs are given up.
const TEND: Duration = Duration::from_secs(20);
/// What the database must answer within.
const PATIENCE: Duration = Duration::from_secs(5);
/// Before it connects again.
const PAUSE: Duration = Duration::from_millis(500);

const UNAVAILABLE: &str = "DatabaseUnavailable: changes cannot be heard of; join again soon";
const LOST: &str = "PostgresChangesLost: the connection to the database was cut; changes may be missing, read the tables again";
const TOO_MANY: &str = "PostgresChangesLost: too many changes at once; read the tables again";

/// A table whose changes can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Names and types of the columns that are told.
    pub columns: Vec<(String, String)>,
}

/// Why rows are not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// Whoever asks may not, or asked wrongly; in words.
    Refused(String),
    /// The database cannot be asked now.
    Unavailable,
}

/// Reads rows as the data API would.
pub trait Rows: Send + Sync + 'static {
    /// The names of the exposed tables that have a key.
    fn tables(&self) -> BTreeSet<String>;

    /// One of them.
    fn table(&self, name: &str) -> Option<Table>;

    /// The rows that `GET /rest/v1/{table}` with this query answers to `who`.
    fn read<'a>(
        &'a self,
        who: &'a Admitted,
        table: &'a str,
        query: &'a [(String, String)],
    ) -> BoxFuture<'a, Result<Vec<Value>, Unread>>;
}

/// Who listens, and how they are reached.
#[derive(Debug, Clone)]
pub(super) struct Subscriber {
    pub(super) connection: u64,
    pub(super) topic: Arc<str>,
    pub(super) gym: GymId,
    pub(super) who: Arc<Admitted>,
    pub(super) queue: mpsc::Sender<Delivery>,
    pub(super) too_slow: CancellationToken,
}

impl Subscriber {
    fn tell(&self, said: Said) {
        let delivery = Delivery {
            topic: Arc::clone(&self.topic),
            said,
        };
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(delivery) {
            self.too_slow.cancel();
        }
    }
}

#[derive(Debug, Clone)]
struct Subscription {
    by: Subscriber,
    asked: Asked,
}

impl Subscription {
    fn hears(&self, change: &Change) -> bool {
        let of_gym = match (change.gym, change.act) {
            (Some(gym), _) => gym == self.by.gym,
            // Its rights decide. Of a row that is gone they say nothing any more.
            (None, Act::Delete) => self.by.who.role == "service_role",
            (None, _) => true,
        };
        of_gym
            && self.asked.act.is_none_or(|act| act == change.act)
            && self.asked.tables.contains(&change.table)
    }
}

/// Asks to hear of tables; the answer are those of which it does.
type Ask = oneshot::Sender<BTreeSet<String>>;

/// Everybody who listens to tables in this process.
pub(super) struct Listeners {
    db: Db,
    rows: Arc<dyn Rows>,
    clock: SharedClock,
    subscriptions: Mutex<BTreeMap<u64, Subscription>>,
    next: AtomicU64,
    asks: mpsc::Sender<Ask>,
    asked: tokio::sync::Mutex<mpsc::Receiver<Ask>>,
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listeners")
    }
}

impl Listeners {
    pub(super) fn new(db: Db, rows: Arc<dyn Rows>, clock: SharedClock) -> Self {
        let (asks, asked) = mpsc::channel(64);
        Self {
            db,
            rows,
            clock,
            subscriptions: Mutex::default(),
            next: AtomicU64::new(1),
            asks,
            asked: tokio::sync::Mutex::new(asked),
        }
    }

    /// Subscribes to everything that a join asks; the ids, in order. From then on every change is told.
    ///
    /// # Errors
    /// Words for the client.
    pub(super) async fn subscribe(&self, by: &Subscriber, entries: &[Value]) -> Result<Vec<u64>, String> {
        let mut asked = Vec::with_capacity(entries.len());
        if entries.len() > OF_A_CONNECTION {
            return Err(too_many(OF_A_CONNECTION, "connection"));
        }
        for entry in entries {
            asked.push(Asked::read(entry, &*self.rows, &by.who).await?);
        }
        let ids = self.enter(by, &asked)?;
        let (answer, answered) = oneshot::channel();
        let heard = async {
            self.asks.send(answer).await.ok()?;
            answered.await.ok()
        };
        let heard = tokio::time::timeout(PATIENCE, heard).await.ok().flatten();
        let refused = match heard {
            None => Some(UNAVAILABLE),
            // A table that came later, and was given no triggers.
            Some(heard) => asked
                .iter()
                .any(|one| one.tables.is_disjoint(&heard))
                .then_some("InvalidPostgresChanges: table: it tells no changes; see jarvis.tell_changes_of"),
        };
        if let Some(words) = refused {
            self.leave(by.connection, &by.topic);
            return Err(words.to_owned());
        }
        Ok(ids)
    }

    fn enter(&self, by: &Subscriber, asked: &[Asked]) -> Result<Vec<u64>, String> {
        let mut held = self.held();
        let count = |same: &dyn Fn(&Subscriber) -> bool| held.values().filter(|one| same(&one.by)).count();
        if count(&|one| one.connection == by.connection) + asked.len() > OF_A_CONNECTION {
            return Err(too_many(OF_A_CONNECTION, "connection"));
        }
        if count(&|one| one.gym == by.gym) + asked.len() > OF_A_GYM {
            return Err(too_many(OF_A_GYM, "gym"));
        }
        let subscribed = asked.iter().map(|asked| {
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            let one = Subscription {
                by: by.clone(),
                asked: asked.clone(),
            };
            held.insert(id, one);
            id
        });
        Ok(subscribed.collect())
    }

    /// A channel goes on as somebody whose rights were looked up just now.
    pub(super) fn renew(&self, connection: u64, topic: &str, who: &Arc<Admitted>) {
        for one in self.held().values_mut() {
            if one.by.connection == connection && &*one.by.topic == topic {
                one.by.who = Arc::clone(who);
            }
        }
    }

    pub(super) fn leave(&self, connection: u64, topic: &str) {
        self.held()
            .retain(|_, one| one.by.connection != connection || &*one.by.topic != topic);
    }

    /// Hears of changes and tells them, for ever. Connects when the first subscribes.
    pub(super) async fn follow(&self) {
        let (changes, mut waiting) = mpsc::channel(WAITING);
        let hearing = async {
            let mut asked = self.asked.lock().await;
            while let Some(first) = asked.recv().await {
                if let Err(error) = self.listen(first, &mut asked, &changes).await {
                    tracing::warn!(%error, "changes of tables are not heard of for a moment");
                    self.lose(LOST, |_| true);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        let telling = async {
            while let Some(change) = waiting.recv().await {
                self.pass_on(&change).await;
            }
        };
        tokio::join!(hearing, telling);
    }

    /// Until nobody listens any more, or the connection is lost.
    async fn listen(
        &self,
        first: Ask,
        asked: &mut mpsc::Receiver<Ask>,
        heard: &mpsc::Sender<Change>,
    ) -> Result<(), DbError> {
        let mut changes = in_time(Changes::listen(&self.db)).await?;
        let mut answer = Some(first);
        let mut tend = tokio::time::interval(TEND);
        tend.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wanted = self.wanted();
            let told = in_time(changes.want(&wanted)).await?.clone();
            if let Some(answer) = answer.take() {
                // Who asked may have left meanwhile.
                let _left = answer.send(told);
            }
            tokio::select! {
                ask = asked.recv() => answer = ask,
                change = changes.next() => {
                    if heard.try_send(change?).is_err() {
                        self.lose(TOO_MANY, |_| true);
                    }
                }
                _ = tend.tick() => {
                    if wanted.is_empty() {
                        return Ok(());
                    }
                    in_time(changes.check()).await?;
                }
            }
        }
    }

    fn wanted(&self) -> BTreeSet<String> {
        let held = self.held();
        held.values()
            .flat_map(|one| one.asked.tables.iter().cloned())
            .collect()
    }

    async fn pass_on(&self, change: &Change) {
        let Some(keys) = &change.keys else {
            return self.lose(TOO_MANY, |one| one.hears(change));
        };
        for key in keys {
            // Those of one identity and one filter read the row once.
            let mut groups: Vec<(Subscription, Vec<(u64, Subscriber)>)> = Vec::new();
            for (id, one) in self.held().iter().filter(|(_, one)| one.hears(change)) {
                let same = groups
                    .iter_mut()
                    .find(|(known, _)| known.by.who == one.by.who && known.asked.filter == one.asked.filter);
                match same {
                    Some((_, several)) => several.push((*id, one.by.clone())),
                    None => groups.push((one.clone(), vec![(*id, one.by.clone())])),
                }
            }
            for (one, several) in groups {
                match self.read(change, key, &one).await {
                    Ok(Some(data)) => deliver(&data, several),
                    // They may not read it, or it does not match.
                    Ok(None) | Err(Unread::Refused(_)) => {}
                    Err(Unread::Unavailable) => {
                        let ids: BTreeSet<u64> = several.iter().map(|(id, _)| *id).collect();
                        self.lose_some(LOST, |id, _| ids.contains(&id));
                    }
                }
            }
        }
    }

    /// What somebody is told of a row; none when it is nothing to them.
    async fn read(
        &self,
        change: &Change,
        key: &Map<String, Value>,
        one: &Subscription,
    ) -> Result<Option<Value>, Unread> {
        let Some(table) = self.rows.table(&change.table) else {
            return Ok(None);
        };
        let mut query = Vec::new();
        if change.act == Act::Delete {
            // Whether they may read the table at all.
            query.push(("limit".to_owned(), "0".to_owned()));
        } else {
            for (column, value) in key {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                query.push((column.clone(), format!("eq.{text}")));
            }
            query.extend(one.asked.filter.clone());
        }
        let row = self.rows.read(&one.by.who, &change.table, &query).await?.pop();
        let columns: Vec<Value> = table
            .columns
            .iter()
            .map(|(name, kind)| json!({"name": name, "type": kind}))
            .collect();
        let at = self.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut data = json!({
            "schema": "public", "table": change.table, "type": change.act.as_str(), "commit_timestamp": at,
            "columns": columns, "errors": null,
        });
        if change.act != Act::Insert {
            data["old_record"] = json!(key);
        }
        if change.act != Act::Delete {
            let Some(row) = row else {
                return Ok(None);
            };
            if row.to_string().len() > 4 * MESSAGE_BYTES {
                data["record"] = json!(key);
                data["errors"] = json!(["Error 413: Payload Too Large"]);
            } else {
                data["record"] = row;
            }
        }
        Ok(Some(data))
    }

    /// Ends subscriptions that may have missed something, and says so.
    fn lose(&self, words: &'static str, which: impl Fn(&Subscription) -> bool) {
        self.lose_some(words, |_, one| which(one));
    }

    fn lose_some(&self, words: &'static str, which: impl Fn(u64, &Subscription) -> bool) {
        self.held().retain(|id, one| {
            let lost = which(*id, one);
            if lost {
                one.by.tell(Said::Lost(*id, words));
            }
            !lost
        });
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<u64, Subscription>> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many(most: usize, of: &str) -> String {
    format!("PostgresChangesLimitReached: at most {most} subscriptions per {of}")
}

/// One message for each channel, with all of its ids.
fn deliver(data: &Value, several: Vec<(u64, Subscriber)>) {
    let mut channels: Vec<(Subscriber, Vec<u64>)> = Vec::new();
    for (id, by) in several {
        let same = |(known, _): &&mut (Subscriber, Vec<u64>)| {
            known.connection == by.connection && known.topic == by.topic
        };
        match channels.iter_mut().find(same) {
            Some((_, ids)) => ids.push(id),
            None => channels.push((by, vec![id])),
        }
    }
    for (by, ids) in channels {
        let payload = Payload::Json(json!({"ids": ids, "data": data}));
        by.tell(Said::Changed(ids, payload));
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, DbError>>) -> Result<T, DbError> {
    tokio::time::timeout(PATIENCE, work)
        .await
        .map_err(|_| DbError::Unavailable {
            reason: "no answer in time".to_owned(),
        })?
}

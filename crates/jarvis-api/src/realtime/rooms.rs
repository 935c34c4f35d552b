//! Who listens where, in this process.

use super::frame::Payload;
use super::rights::Room;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Something for one channel of a connection.
#[derive(Debug)]
pub(super) struct Delivery {
    /// As this listener names it.
    pub(super) topic: Arc<str>,
    pub(super) said: Said,
}

/// What a channel is told without having asked.
#[derive(Debug, Clone)]
pub(super) enum Said {
    Broadcast(Arc<Payload>),
    /// A row changed, for the subscriptions with these ids.
    Changed(Vec<u64>, Payload),
    /// A subscription may have missed something: it ends, and its channel with it.
    Lost(u64, &'static str),
}

/// A channel that listens.
#[derive(Debug, Clone)]
pub(super) struct Listener {
    pub(super) connection: u64,
    pub(super) topic: Arc<str>,
    pub(super) queue: mpsc::Sender<Delivery>,
    /// Told when its queue is full: it reads too slowly, and would miss a message.
    pub(super) too_slow: CancellationToken,
}

/// Every room in which somebody listens.
#[derive(Debug, Default)]
pub(super) struct Rooms(Mutex<HashMap<Room, Vec<Listener>>>);

impl Rooms {
    pub(super) fn enter(&self, room: Room, listener: Listener) {
        self.held().entry(room).or_default().push(listener);
    }

    pub(super) fn leave(&self, room: &Room, connection: u64, topic: &str) {
        let mut rooms = self.held();
        let Some(listeners) = rooms.get_mut(room) else {
            return;
        };
        listeners.retain(|one| one.connection != connection || &*one.topic != topic);
        if listeners.is_empty() {
            rooms.remove(room);
        }
    }

    /// Hands it to everybody in the room but `except`, in the order in which it is called. Waits for nobody.
    pub(super) fn say(&self, room: &Room, except: Option<(u64, &str)>, payload: Payload) {
        let payload = Arc::new(payload);
        for one in self.held().get(room).into_iter().flatten() {
            if except.is_some_and(|(connection, topic)| one.connection == connection && &*one.topic == topic)
            {
                continue;
            }
            let delivery = Delivery {
                topic: Arc::clone(&one.topic),
                said: Said::Broadcast(Arc::clone(&payload)),
            };
            if let Err(mpsc::error::TrySendError::Full(_)) = one.queue.try_send(delivery) {
                one.too_slow.cancel();
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Room, Vec<Listener>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jarvis_core::GymId;
    use serde_json::json;
    use uuid::Uuid;

    fn listener(connection: u64, room: usize) -> (Listener, mpsc::Receiver<Delivery>) {
        let (queue, received) = mpsc::channel(room);
        let listener = Listener {
            connection,
            topic: "realtime:desk".into(),
            queue,
            too_slow: CancellationToken::new(),
        };
        (listener, received)
    }

    #[test]
    fn who_does_not_read_is_told_and_holds_nobody_up() {
        let rooms = Rooms::default();
        let room = (GymId::from(Uuid::from_u128(1)), "desk".to_owned());
        let (slow, _unread) = listener(1, 1);
        let (quick, mut read) = listener(2, 8);
        rooms.enter(room.clone(), slow.clone());
        rooms.enter(room.clone(), quick.clone());
        for number in 0..3 {
            rooms.say(&room, None, Payload::Json(json!(number)));
        }
        assert!(slow.too_slow.is_cancelled() && !quick.too_slow.is_cancelled());
        for number in 0..3 {
            let said = read.try_recv().unwrap().said;
            assert!(matches!(said, Said::Broadcast(payload) if *payload == Payload::Json(json!(number))));
        }
        rooms.say(&room, Some((2, "realtime:desk")), Payload::Json(json!(3)));
        assert!(read.try_recv().is_err());
        for connection in [1, 2] {
            rooms.leave(&room, connection, "realtime:desk");
        }
        assert!(rooms.held().is_empty());
    }
}

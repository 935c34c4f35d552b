//! Whose channels they are: every one belongs to exactly one gym.

use super::frame::MAX_NAME_BYTES;
use crate::keys::{Admitted, Refusal};
use jarvis_core::{GymId, Scope, UserId};
use jarvis_db::Db;
use jarvis_db::queries::gym::{self, Gym};
use serde_json::Value;
use uuid::Uuid;

/// What every topic of Supabase's clients begins with.
const PREFIX: &str = "realtime:";

/// A channel, whoever listens: the gym, and the topic within it.
pub(super) type Room = (GymId, String);

/// Why a channel is not opened, or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("InvalidToken: {0}")]
    Token(Refusal),
    #[error("Unauthorized: sign in first; an application's key alone joins no channel")]
    NotSignedIn,
    #[error("Unauthorized: this account works for no gym, or is switched off")]
    NoGym,
    #[error("Unauthorized: no such gym, or not yours")]
    OtherGym,
    #[error("GymRequired: you reach several gyms; name one, as `gym:<slug>:<topic>`")]
    GymRequired,
    #[error("InvalidTopic: at most 246 bytes, and something after `gym:<slug>:`")]
    Topic,
    #[error("DatabaseUnavailable: rights cannot be looked up; join again soon")]
    Unavailable,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unavailable => Self::Unavailable,
            other => Self::Token(other),
        }
    }
}

/// The gyms that somebody reaches. Row level security says which.
#[derive(Debug)]
pub(super) struct Reach(Vec<Gym>);

impl Reach {
    pub(super) async fn of(db: &Db, admitted: &Admitted) -> Result<Self, Refused> {
        let subject = || {
            admitted
                .claims
                .get("sub")
                .and_then(Value::as_str)?
                .parse::<Uuid>()
                .ok()
        };
        let scope = match admitted.role {
            "service_role" => Scope::System,
            "authenticated" => Scope::Person(UserId::from(subject().ok_or(Refused::NotSignedIn)?)),
            _ => return Err(Refused::NotSignedIn),
        };
        let gyms = gyms(db, &scope).await.map_err(|error| {
            tracing::warn!(%error, "the gyms of a listener cannot be looked up");
            Refused::Unavailable
        })?;
        if gyms.is_empty() {
            return Err(Refused::NoGym);
        }
        Ok(Self(gyms))
    }

    /// The room of a topic as clients write it, `realtime:…`.
    pub(super) fn room_of(&self, topic: &str) -> Result<Room, Refused> {
        self.room(topic.strip_prefix(PREFIX).ok_or(Refused::Topic)?)
    }

    /// The room of a topic: `gym:<slug or id>:<topic>`, or the topic alone for who reaches one gym.
    pub(super) fn room(&self, topic: &str) -> Result<Room, Refused> {
        if topic.is_empty() || PREFIX.len() + topic.len() > MAX_NAME_BYTES {
            return Err(Refused::Topic);
        }
        let Some(named) = topic.strip_prefix("gym:") else {
            return match &self.0[..] {
                [only] => Ok((only.id, topic.to_owned())),
                _ => Err(Refused::GymRequired),
            };
        };
        let (name, rest) = named.split_once(':').ok_or(Refused::Topic)?;
        if rest.is_empty() {
            return Err(Refused::Topic);
        }
        let id = name.parse::<Uuid>().ok().map(GymId::from);
        let found = self.0.iter().find(|gym| gym.slug == name || Some(gym.id) == id);
        found
            .map(|gym| (gym.id, rest.to_owned()))
            .ok_or(Refused::OtherGym)
    }
}

async fn gyms(db: &Db, scope: &Scope) -> Result<Vec<Gym>, jarvis_db::DbError> {
    let mut tx = db.begin(scope).await?;
    let gyms = gym::list(&mut tx).await?;
    tx.commit().await?;
    Ok(gyms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(slugs: &[&str]) -> Reach {
        let gym = |(number, slug): (usize, &&str)| Gym {
            id: GymId::from(Uuid::from_u128(u128::try_from(number).unwrap())),
            name: (*slug).to_owned(),
            slug: (*slug).to_owned(),
            timezone: "Europe/Paris".to_owned(),
            locale: "fr".to_owned(),
            embedding_model: "e5".to_owned(),
            external_models: false,
        };
        Reach(slugs.iter().enumerate().map(gym).collect())
    }

    #[test]
    fn a_topic_is_of_one_gym_under_each_of_its_names() {
        let (one, both) = (reach(&["lyon"]), reach(&["lyon", "paris"]));
        let desk = one.room("desk").unwrap();
        assert_eq!(both.room("gym:lyon:desk").unwrap(), desk);
        assert_eq!(
            both.room(&format!("gym:{}:desk", Uuid::from_u128(0))).unwrap(),
            desk
        );
        assert_eq!(one.room_of("realtime:desk").unwrap(), desk);
        assert_ne!(both.room("gym:paris:desk").unwrap(), desk);
        assert_eq!(both.room("desk"), Err(Refused::GymRequired));
        assert_eq!(one.room("gym:paris:desk"), Err(Refused::OtherGym));
        assert_eq!(one.room_of("desk"), Err(Refused::Topic));
        for topic in ["", "gym:lyon", "gym:lyon:", &"x".repeat(247)] {
            assert_eq!(one.room(topic), Err(Refused::Topic), "{topic}");
        }
        assert!(one.room(&"x".repeat(246)).is_ok());
    }
}

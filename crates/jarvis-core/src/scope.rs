//! Who asks, and for which gym: the only key to a transaction.

use crate::ids::{GymId, KioskId, UserId};
use std::fmt;

/// Who acts, as recorded beside every change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A kiosk on behalf of the member in front of it.
    Kiosk(KioskId),
    /// A person who signed in.
    User(UserId),
    /// The server itself: jobs and schedules.
    Server,
    /// An operator at the command line.
    Operator,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kiosk(id) => write!(f, "kiosk:{id}"),
            Self::User(id) => write!(f, "user:{id}"),
            Self::Server => f.write_str("server"),
            Self::Operator => f.write_str("operator"),
        }
    }
}

/// What a transaction may see. There is no scope that sees everything: no identity never means more rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Our own process working for one gym (role `jarvis_server`).
    Gym {
        /// The gym.
        gym: GymId,
        /// On whose behalf.
        actor: Actor,
    },
    /// A person, with the rights `public.users` gives them (role `authenticated`).
    Person(UserId),
    /// What needs all gyms: claiming jobs, finding a kiosk, signing in, closing orphans (role `jarvis_system`).
    System,
    /// Nobody: sees nothing (role `anon`).
    Anonymous,
}

impl Scope {
    /// The server working for `gym` on behalf of `actor`.
    pub fn gym(gym: GymId, actor: Actor) -> Self {
        Self::Gym { gym, actor }
    }

    /// The database role of this scope.
    pub fn role(&self) -> &'static str {
        match self {
            Self::Gym { .. } => "jarvis_server",
            Self::Person(_) => "authenticated",
            Self::System => "jarvis_system",
            Self::Anonymous => "anon",
        }
    }

    /// Who acts.
    pub fn actor(&self) -> Option<Actor> {
        match self {
            Self::Gym { actor, .. } => Some(*actor),
            Self::Person(user) => Some(Actor::User(*user)),
            Self::System => Some(Actor::Server),
            Self::Anonymous => None,
        }
    }
}

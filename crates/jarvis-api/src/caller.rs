//! Who calls. A handler declares in its signature who may: an argument of one of these types is the permission.

use crate::edge::Notes;
use crate::gym_share::Turn;
use crate::problem::Problem;
use crate::state::ApiState;
use crate::tokens::{Identity, TokenError};
use axum::extract::{FromRequestParts, Path};
use axum::http::header;
use axum::http::request::Parts;
use jarvis_core::{Actor, ErrorCode, FactId, MemberId, Scope, SessionId, UserId};
use jarvis_db::queries::account::{self, Account};
use jarvis_db::queries::kiosk;
use jarvis_memory::sessions::{self, KioskIdentity};
use uuid::Uuid;

/// A paired kiosk that is not revoked.
#[derive(Debug, Clone)]
pub(crate) struct Kiosk {
    pub(crate) identity: KioskIdentity,
    pub(crate) row: kiosk::Kiosk,
    /// Kept until the request is answered.
    _turn: Turn,
}

/// A kiosk whose token is valid. Whether it is still paired the use-case finds out in its own transaction; a handler that
/// refuses the request before must ask with [`KioskToken::is_active`].
pub(crate) struct KioskToken {
    pub(crate) identity: KioskIdentity,
    /// Kept until the request is answered.
    _turn: Turn,
}

impl KioskToken {
    fn of(parts: &Parts, state: &ApiState, identity: KioskIdentity) -> Result<Self, Problem> {
        note(parts, |notes| {
            notes.actor(Actor::Kiosk(identity.kiosk));
            notes.gym(identity.gym);
        });
        let turn = state.shares.take(identity.gym)?;
        Ok(Self {
            identity,
            _turn: turn,
        })
    }

    /// An error unless the kiosk is paired and not revoked.
    pub(crate) async fn is_active(&self, state: &ApiState) -> Result<(), Problem> {
        active_kiosk(state, &self.identity).await.map(drop)
    }
}

/// A person whose account is active.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) account: Account,
}

/// A person who manages gyms: `gym_manager` or `super_admin`. Which gyms, row level security decides.
#[derive(Debug, Clone)]
pub(crate) struct Manager(pub(crate) Person);

/// A kiosk or a person.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    Kiosk(Box<Kiosk>),
    Person(Person),
}

impl Person {
    /// What this person may see.
    pub(crate) fn scope(&self) -> Scope {
        Scope::Person(self.account.id)
    }
}

impl Person {
    /// Whether this person manages gyms.
    pub(crate) fn is_manager(&self) -> bool {
        matches!(self.account.role.as_str(), "gym_manager" | "super_admin")
    }
}

impl Caller {
    async fn of(parts: &Parts, state: &ApiState) -> Result<Self, Problem> {
        match identity(parts, state)? {
            Identity::Kiosk(identity) => {
                let KioskToken {
                    identity,
                    _turn: turn,
                } = KioskToken::of(parts, state, identity)?;
                let row = active_kiosk(state, &identity).await?;
                Ok(Self::Kiosk(Box::new(Kiosk {
                    identity,
                    row,
                    _turn: turn,
                })))
            }
            Identity::Person(user) => {
                note(parts, |notes| notes.actor(Actor::User(user)));
                Ok(Self::Person(Person {
                    account: active_account(state, user).await?,
                }))
            }
        }
    }
}

impl FromRequestParts<ApiState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        Self::of(parts, state).await
    }
}

impl FromRequestParts<ApiState> for Kiosk {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        match Caller::of(parts, state).await? {
            Caller::Kiosk(kiosk) => Ok(*kiosk),
            Caller::Person(_) => Err(Problem::because(ErrorCode::Forbidden, "only a kiosk may do this")),
        }
    }
}

impl FromRequestParts<ApiState> for KioskToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        match identity(parts, state)? {
            Identity::Kiosk(identity) => Self::of(parts, state, identity),
            // A person without an account is nobody, and is told so.
            Identity::Person(_) => {
                Kiosk::from_request_parts(parts, state).await?;
                Err(Problem::new(ErrorCode::Forbidden))
            }
        }
    }
}

impl FromRequestParts<ApiState> for Person {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        match Caller::of(parts, state).await? {
            Caller::Person(person) => Ok(person),
            Caller::Kiosk(_) => Err(Problem::because(ErrorCode::Forbidden, "a kiosk may not do this")),
        }
    }
}

impl FromRequestParts<ApiState> for Manager {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let person = Person::from_request_parts(parts, state).await?;
        if person.is_manager() {
            Ok(Self(person))
        } else {
            Err(Problem::because(
                ErrorCode::Forbidden,
                "only a manager may do this",
            ))
        }
    }
}

fn note(parts: &Parts, write: impl FnOnce(&Notes)) {
    if let Some(notes) = parts.extensions.get::<Notes>() {
        write(notes);
    }
}

fn identity(parts: &Parts, state: &ApiState) -> Result<Identity, Problem> {
    let value = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok());
    let (scheme, token) = value.and_then(|v| v.split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::new(ErrorCode::Unauthenticated));
    }
    state.tokens.verify(token.trim()).map_err(|error| {
        Problem::new(match error {
            TokenError::Expired => ErrorCode::TokenExpired,
            TokenError::Invalid => ErrorCode::Unauthenticated,
        })
    })
}

async fn active_kiosk(state: &ApiState, identity: &KioskIdentity) -> Result<kiosk::Kiosk, Problem> {
    let mut tx = state.memory.db.begin(&Scope::System).await?;
    let row = kiosk::find(&mut tx, identity.kiosk)
        .await?
        .filter(|k| k.gym_id == identity.gym);
    tx.commit().await?;
    match row {
        Some(kiosk) if kiosk.is_active() => Ok(kiosk),
        Some(_) => {
            // Revoking may have raced with a badge being read.
            sessions::end_revoked(&state.memory, identity, &identity.scope()).await?;
            Err(Problem::new(ErrorCode::KioskRevoked))
        }
        None => Err(Problem::new(ErrorCode::Unauthenticated)),
    }
}

/// A person without an active account is nobody, whatever their token says.
async fn active_account(state: &ApiState, user: UserId) -> Result<Account, Problem> {
    let mut tx = state.memory.db.begin(&Scope::Person(user)).await?;
    let account = account::find(&mut tx, user).await?.filter(|a| a.is_active);
    tx.commit().await?;
    account.ok_or_else(|| Problem::new(ErrorCode::Unauthenticated))
}

/// The session named in the path. What cannot be an id is not found.
pub(crate) struct SessionPath(pub(crate) SessionId);

impl<S: Send + Sync> FromRequestParts<S> for SessionPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let not_found = || Problem::new(ErrorCode::SessionNotFound);
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| not_found())?;
        let id = text.parse().map_err(|_| not_found())?;
        note(parts, |notes| notes.session(&id));
        Ok(Self(id))
    }
}

/// The member named in the path. What cannot be an id is not found.
pub(crate) struct MemberPath(pub(crate) MemberId);

impl<S: Send + Sync> FromRequestParts<S> for MemberPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let not_found = || Problem::new(ErrorCode::MemberNotFound);
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| not_found())?;
        text.parse().map(Self).map_err(|_| not_found())
    }
}

/// The fact named in the path. What cannot be an id is not found.
pub(crate) struct FactPath(pub(crate) FactId);

impl<S: Send + Sync> FromRequestParts<S> for FactPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        uuid_of_path(parts, state).await.map(|id| Self(id.into()))
    }
}

/// The proposal named in the path. What cannot be an id is not found.
pub(crate) struct ProposalPath(pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for ProposalPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        uuid_of_path(parts, state).await.map(Self)
    }
}

async fn uuid_of_path<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Uuid, Problem> {
    let not_found = || Problem::new(ErrorCode::FactNotFound);
    let Path(text) = Path::<String>::from_request_parts(parts, state)
        .await
        .map_err(|_| not_found())?;
    Uuid::parse_str(&text).map_err(|_| not_found())
}

//! `POST /auth/v1/token` and `/logout`: sessions begin, go on and end.

use super::error::GoTrueError;
use super::{SignedIn, object, person};
use crate::endpoints::auth::sign_in::{MAX_EMAIL, by_password};
use crate::keys::Admitted;
use crate::limits::ClientAddress;
use crate::password;
use crate::state::ApiState;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use chrono::TimeDelta;
use jarvis_core::Scope;
use jarvis_db::queries::auth_session::{self, Identity, Which};
use rand::distr::{Alphanumeric, SampleString as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// A session that is not renewed for so long is over; one that is over is forgotten after as long again, when the next
/// person signs in.
pub(crate) const IDLE: TimeDelta = TimeDelta::days(30);
/// A token may be shown again for so long, by an application that did not get the first answer (as on Supabase).
const GRACE: TimeDelta = TimeDelta::seconds(10);
/// Random characters of a refresh token: 190 bits.
const REFRESH_CHARS: usize = 32;
/// What is told of a person in a token, at most, in bytes of JSON; more is at `/user`.
const MAX_TOLD: usize = 1_024;

/// How somebody wants a session.
#[derive(Debug, Deserialize)]
pub(crate) struct GrantType {
    grant_type: Option<String>,
}

/// `POST /auth/v1/token?grant_type=password|refresh_token`
pub(crate) async fn token(
    State(state): State<ApiState>,
    address: ClientAddress,
    Query(grant): Query<GrantType>,
    request: Request,
) -> Result<Json<Value>, GoTrueError> {
    let body = object(request).await?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    match grant.grant_type.as_deref() {
        Some("password") => {
            let (email, password) = (text("email"), text("password"));
            if email.trim().is_empty() || email.len() > MAX_EMAIL {
                return Err(GoTrueError::invalid(
                    "missing email: people sign in with an address and a password",
                ));
            }
            if password.is_empty() || password.len() > password::MAX_BYTES {
                return Err(GoTrueError::invalid(
                    "missing password, or one of more than 1024 bytes",
                ));
            }
            sign_in(&state, address, email, SecretString::from(password)).await
        }
        Some("refresh_token") => {
            state.limits.refresh(address)?;
            renew(&state, text("refresh_token")).await
        }
        _ => Err(GoTrueError::invalid(
            "unsupported_grant_type: password or refresh_token",
        )),
    }
}

async fn sign_in(
    state: &ApiState,
    address: ClientAddress,
    email: &str,
    password: SecretString,
) -> Result<Json<Value>, GoTrueError> {
    let user = by_password(state, address, email, password).await?;
    let now = state.now();
    let session = jarvis_core::ids::uuid_v7(now);
    let (refresh, hash) = new_token();
    let mut tx = state.memory.db.begin(&Scope::System).await?;
    let identity = auth_session::identity(&mut tx, user, now).await?;
    let identity = identity.ok_or_else(GoTrueError::user_not_found)?;
    auth_session::forget_ended(&mut tx, now - IDLE, now - IDLE - IDLE).await?;
    auth_session::begin(&mut tx, session, user, now).await?;
    auth_session::add_token(&mut tx, &hash, session, now).await?;
    tx.commit().await?;
    answer(state, &identity, session, &refresh)
}

async fn renew(state: &ApiState, shown: &str) -> Result<Json<Value>, GoTrueError> {
    let refused = |code, message: &str| GoTrueError::new(StatusCode::BAD_REQUEST, code, message);
    let hash = hash_of(shown);
    let now = state.now();
    let mut tx = state.memory.db.begin(&Scope::System).await?;
    let token = auth_session::show_token(&mut tx, &hash).await?.ok_or_else(|| {
        refused(
            "refresh_token_not_found",
            "Invalid Refresh Token: Refresh Token Not Found",
        )
    })?;
    if token.used_at.is_some_and(|used| used + GRACE < now) {
        // Two hold it, and one of them stole it: neither goes on.
        auth_session::end(&mut tx, token.user, Which::Only(token.session), now).await?;
        tx.commit().await?;
        if token.ended_at.is_none() {
            tracing::warn!(user = %token.user, session = %token.session, "a refresh token came twice: its session was ended");
        }
        return Err(refused(
            "refresh_token_already_used",
            "Invalid Refresh Token: Already Used",
        ));
    }
    if token.ended_at.is_some() || token.refreshed_at + IDLE < now {
        return Err(refused(
            "session_expired",
            "Invalid Refresh Token: Session Expired",
        ));
    }
    let identity = auth_session::identity(&mut tx, token.user, now)
        .await?
        .ok_or_else(|| refused("user_banned", "Invalid Refresh Token: User Banned"))?;
    let (refresh, next) = new_token();
    auth_session::use_token(&mut tx, &hash, token.session, now).await?;
    auth_session::add_token(&mut tx, &next, token.session, now).await?;
    auth_session::forget_spent(&mut tx, token.session, now - IDLE).await?;
    tx.commit().await?;
    answer(state, &identity, token.session, &refresh)
}

/// Which sessions somebody signs out of.
#[derive(Debug, Deserialize)]
pub(crate) struct SignOut {
    scope: Option<String>,
}

/// `POST /auth/v1/logout?scope=global|local|others`
pub(crate) async fn logout(
    State(state): State<ApiState>,
    Query(sign_out): Query<SignOut>,
    admitted: Extension<Admitted>,
) -> Result<StatusCode, GoTrueError> {
    let SignedIn { user, session } = SignedIn::of(&admitted)?;
    let which = match sign_out.scope.as_deref() {
        None | Some("" | "global") => Which::All,
        Some("local") => Which::Only(session),
        Some("others") => Which::AllBut(session),
        Some(_) => return Err(GoTrueError::invalid("scope: global, local or others")),
    };
    let mut tx = state.memory.db.begin(&Scope::System).await?;
    let ended = auth_session::end(&mut tx, user, which, state.now()).await?;
    tx.commit().await?;
    tracing::info!(%user, ended, "signed out");
    Ok(StatusCode::NO_CONTENT)
}

fn answer(
    state: &ApiState,
    identity: &Identity,
    session: Uuid,
    refresh: &SecretString,
) -> Result<Json<Value>, GoTrueError> {
    let token = state
        .tokens
        .mint_session(identity.id, claims(identity, session))
        .map_err(|_| {
            GoTrueError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "unexpected_failure",
                "No token could be signed",
            )
        })?;
    Ok(Json(json!({
        "access_token": token.token.expose_secret(),
        "token_type": "bearer",
        "expires_in": token.expires_in,
        "expires_at": state.now().timestamp() + token.expires_in,
        "refresh_token": refresh.expose_secret(),
        "user": person::view(identity),
    })))
}

/// What applications and policies read in a token, under GoTrue's names. The role of the database is always
/// `authenticated`: what the person may do stands in `public.users`.
fn claims(identity: &Identity, session: Uuid) -> Map<String, Value> {
    let short = |object: Value| {
        if object.to_string().len() <= MAX_TOLD {
            object
        } else {
            json!({})
        }
    };
    let signed_in = identity.last_sign_in_at.unwrap_or(identity.created_at);
    let told = json!({
        "role": "authenticated",
        "email": identity.email,
        "phone": "",
        "app_metadata": short(person::app_metadata(identity)),
        "user_metadata": short(identity.user_metadata.clone()),
        "session_id": session,
        "aal": "aal1",
        "amr": [{ "method": "password", "timestamp": signed_in.timestamp() }],
        "is_anonymous": false,
    });
    match told {
        Value::Object(told) => told,
        _ => Map::new(),
    }
}

/// A refresh token, and the hash of it that is kept.
fn new_token() -> (SecretString, [u8; 32]) {
    let text = Alphanumeric.sample_string(&mut rand::rng(), REFRESH_CHARS);
    let hash = hash_of(&text);
    (text.into(), hash)
}

fn hash_of(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

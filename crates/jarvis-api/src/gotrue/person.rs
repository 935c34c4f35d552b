//! `/auth/v1/user`: who somebody is, and what they change about it themselves.

use super::error::GoTrueError;
use super::session::IDLE;
use super::{SignedIn, object};
use crate::keys::Admitted;
use crate::password;
use crate::state::ApiState;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use jarvis_core::Scope;
use jarvis_db::queries::auth_session::{self, Identity, Which};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

/// What somebody may say of themselves, at most, in bytes of JSON.
const MAX_METADATA: i32 = 8_192;

/// `GET /auth/v1/user`
pub(crate) async fn show(
    State(state): State<ApiState>,
    admitted: Extension<Admitted>,
) -> Result<Json<Value>, GoTrueError> {
    let person = SignedIn::of(&admitted)?;
    let identity = current(&state, person).await?;
    Ok(Json(view(&identity)))
}

/// `PUT /auth/v1/user`: `data` goes over what they say of themselves, `password` replaces theirs and ends their other
/// sessions.
pub(crate) async fn change(
    State(state): State<ApiState>,
    admitted: Extension<Admitted>,
    request: Request,
) -> Result<Json<Value>, GoTrueError> {
    let person = SignedIn::of(&admitted)?;
    let body = object(request).await?;
    let identity = current(&state, person).await?;
    let given = |name: &str| body.get(name).filter(|value| !value.is_null());
    if given("email").is_some_and(|email| email.as_str() != Some(identity.email.as_str()))
        || given("phone").is_some_and(|phone| phone != "")
    {
        return Err(GoTrueError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "validation_failed",
            "An address cannot be changed: an operator adds an account for the new one",
        ));
    }
    let data = given("data");
    if data.is_some_and(|data| !data.is_object()) {
        return Err(GoTrueError::invalid("data: an object"));
    }
    let chosen = match given("password") {
        None => None,
        Some(Value::String(password)) => {
            Some(new_hash(&state, person, SecretString::from(password.as_str())).await?)
        }
        Some(_) => return Err(GoTrueError::invalid("password: a text")),
    };
    let now = state.now();
    let mut tx = state.memory.db.begin(&Scope::System).await?;
    if let Some(data) = data
        && !auth_session::change_metadata(&mut tx, person.user, data, MAX_METADATA, now).await?
    {
        return Err(GoTrueError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "validation_failed",
            format!("data: at most {MAX_METADATA} bytes in all"),
        ));
    }
    if let Some((old, new)) = chosen {
        let replaced =
            auth_session::replace_password_hash(&mut tx, person.user, old.as_deref(), &new, now).await?;
        if !replaced {
            return Err(GoTrueError::new(
                StatusCode::CONFLICT,
                "conflict",
                "The password was changed at the same moment; try again",
            ));
        }
        let ended = auth_session::end(&mut tx, person.user, Which::AllBut(person.session), now).await?;
        tracing::info!(user = %person.user, ended, "password changed");
    }
    let identity = auth_session::identity(&mut tx, person.user, now).await?;
    tx.commit().await?;
    identity
        .map(|identity| Json(view(&identity)))
        .ok_or_else(GoTrueError::user_not_found)
}

/// The hash of the password that was, and of the one that was chosen.
async fn new_hash(
    state: &ApiState,
    person: SignedIn,
    chosen: SecretString,
) -> Result<(Option<String>, String), GoTrueError> {
    let refused = |code, message: String| GoTrueError::new(StatusCode::UNPROCESSABLE_ENTITY, code, message);
    let text = chosen.expose_secret();
    if text.chars().count() < password::MIN_CHARS || text.len() > password::MAX_BYTES {
        let message = format!(
            "Password should be at least {} characters, and at most {} bytes",
            password::MIN_CHARS,
            password::MAX_BYTES
        );
        return Err(refused("weak_password", message));
    }
    state.limits.password_change(person.user)?;
    let mut tx = state.memory.db.begin(&Scope::System).await?;
    let old = auth_session::password_hash(&mut tx, person.user).await?;
    tx.commit().await?;
    if old.is_some() && state.passwords.compare(chosen.clone(), old.clone()).await {
        let message = "New password should be different from the old password.".to_owned();
        return Err(refused("same_password", message));
    }
    let new = state.passwords.hash(chosen).await.map_err(|_| {
        GoTrueError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "unexpected_failure",
            "The password could not be hashed",
        )
    })?;
    Ok((old, new))
}

/// The identity of somebody whose account is active and whose session goes on.
async fn current(state: &ApiState, person: SignedIn) -> Result<Identity, GoTrueError> {
    let now = state.now();
    let mut tx = state.memory.db.begin(&Scope::System).await?;
    let identity = auth_session::identity(&mut tx, person.user, now).await?;
    let goes_on = auth_session::goes_on(&mut tx, person.session, person.user, now - IDLE).await?;
    tx.commit().await?;
    let identity = identity.ok_or_else(GoTrueError::user_not_found)?;
    if goes_on {
        Ok(identity)
    } else {
        Err(GoTrueError::session_not_found())
    }
}

/// What operators say of somebody; how they signed in is ours to say.
pub(crate) fn app_metadata(identity: &Identity) -> Value {
    let mut metadata = identity.app_metadata.clone();
    if let Value::Object(object) = &mut metadata {
        object.insert("provider".to_owned(), json!("email"));
        object.insert("providers".to_owned(), json!(["email"]));
    }
    metadata
}

/// A person as GoTrue shows them.
pub(crate) fn view(identity: &Identity) -> Value {
    let confirmed = identity.email_confirmed_at;
    json!({
        "id": identity.id,
        "aud": "authenticated",
        "role": "authenticated",
        "email": identity.email,
        "email_confirmed_at": confirmed,
        "phone": "",
        "confirmed_at": confirmed,
        "last_sign_in_at": identity.last_sign_in_at,
        "app_metadata": app_metadata(identity),
        "user_metadata": identity.user_metadata,
        "identities": [{
            "identity_id": identity.id,
            "id": identity.id,
            "user_id": identity.id,
            "identity_data": {
                "email": identity.email,
                "email_verified": confirmed.is_some(),
                "phone_verified": false,
                "sub": identity.id,
            },
            "provider": "email",
            "last_sign_in_at": identity.last_sign_in_at,
            "created_at": identity.created_at,
            "updated_at": identity.updated_at,
            "email": identity.email,
        }],
        "created_at": identity.created_at,
        "updated_at": identity.updated_at,
        "is_anonymous": false,
    })
}

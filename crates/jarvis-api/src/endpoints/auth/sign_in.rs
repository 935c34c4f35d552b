//! `POST /api/v1/auth/sign-in`

use crate::body::Input;
use crate::fields::{FieldError, Fields, FromFields};
use crate::limits::ClientAddress;
use crate::password;
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::TokenView;
use axum::Json;
use axum::extract::State;
use jarvis_core::{ErrorCode, Scope, UserId};
use jarvis_db::queries::{account, auth_session};
use secrecy::{ExposeSecret, SecretString};
use utoipa::ToSchema;

pub(crate) const ERRORS: &[ErrorCode] = &[
    ErrorCode::InvalidRequest,
    ErrorCode::CredentialsInvalid,
    ErrorCode::SignsInElsewhere,
    ErrorCode::RateLimited,
];

/// The longest e-mail address (RFC 5321, 4.5.3.1), in bytes.
pub(crate) const MAX_EMAIL: usize = 254;

/// An e-mail address and a password.
#[derive(ToSchema)]
#[schema(as = SignInInput)]
pub(crate) struct SignInInput {
    /// The e-mail address.
    #[schema(format = Email, min_length = 1, max_length = 254, example = "manager@example.org")]
    email: String,
    /// The password, at most 1024 bytes.
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 1024)]
    password: SecretString,
}

impl FromFields for SignInInput {
    const FIELDS: &'static [&'static str] = &["email", "password"];

    fn from_fields(fields: &mut Fields) -> Result<Self, FieldError> {
        let email = fields.required_text("email")?;
        if email.trim().is_empty() || email.len() > MAX_EMAIL || email.contains('\0') {
            return Err(format!("email: 1 to {MAX_EMAIL} bytes"));
        }
        let password = SecretString::from(fields.required_text("password")?);
        if password.expose_secret().is_empty() || password.expose_secret().len() > password::MAX_BYTES {
            return Err(format!("password: 1 to {} bytes", password::MAX_BYTES));
        }
        Ok(Self { email, password })
    }
}

/// Sign in as a person; the access token is good for an hour.
///
/// Unknown addresses, inactive accounts and wrong passwords get the same answer, after the same work. Five tries a
/// minute are allowed per account, twenty per address.
#[utoipa::path(post, path = "/auth/sign-in", tag = "person", request_body = SignInInput,
    responses((status = 200, description = "The access token.", body = TokenView)))]
pub(crate) async fn sign_in(
    State(state): State<ApiState>,
    address: ClientAddress,
    Input(input): Input<SignInInput>,
) -> Result<Json<TokenView>, Problem> {
    let user = by_password(&state, address, &input.email, input.password).await?;
    let token = state
        .tokens
        .mint_person(user)
        .map_err(|_| Problem::new(ErrorCode::Internal))?;
    Ok(Json(token.into()))
}

/// Who has this address and this password, after counting the try. A hash of an older kind is replaced.
pub(crate) async fn by_password(
    state: &ApiState,
    address: ClientAddress,
    email: &str,
    password: SecretString,
) -> Result<UserId, Problem> {
    state.limits.sign_in(address, email)?;
    let mut tx = state.memory.db.begin(&Scope::System).await?;
    if !auth_session::identities_are_ours(&mut tx).await? {
        return Err(Problem::new(ErrorCode::SignsInElsewhere));
    }
    let found = account::find_credentials(&mut tx, email, state.now()).await?;
    tx.commit().await?;
    let stored = found.as_ref().and_then(|c| c.password_hash.clone());
    let fits = state.passwords.verify(password.clone(), stored.clone()).await;
    let invalid = || Problem::new(ErrorCode::CredentialsInvalid);
    let user = found.filter(|_| fits).ok_or_else(invalid)?.user;
    let newer = if stored.as_deref().is_some_and(password::is_outdated) {
        // The password is right; that its hash cannot be made newer today keeps nobody out.
        let made = state.passwords.hash(password).await;
        made.inspect_err(|error| tracing::warn!(%user, %error, "an old hash was not replaced"))
            .ok()
    } else {
        None
    };
    let mut tx = state.memory.db.begin(&Scope::System).await?;
    account::touch_sign_in(&mut tx, user, state.now()).await?;
    if let Some(newer) = newer {
        // Unless it was changed meanwhile: then that one stays.
        auth_session::replace_password_hash(&mut tx, user, stored.as_deref(), &newer, state.now()).await?;
    }
    tx.commit().await?;
    tracing::info!(user = %user, "signed in");
    Ok(user)
}

//! Who calls the data API: a key of an application, or a person's access token. Whatever is missing, wrong, expired or
//! revoked is refused; nothing falls back to more rights than were shown.

use crate::tokens::{LEEWAY, MAX_TOKEN_BYTES, TokenError, Tokens};
use axum::http::{HeaderMap, header};
use chrono::{DateTime, TimeDelta, Utc};
use jarvis_core::Scope;
use jarvis_core::clock::SharedClock;
use jarvis_db::Db;
use jarvis_db::queries::api_key;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rand::distr::{Alphanumeric, SampleString as _};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The shortest secret of keys that are JWTs (RFC 7518, 3.2: as long as the hash), in bytes.
pub const SHORTEST_SECRET: usize = 32;
/// How long a key that is a JWT is good for, as on Supabase.
const JWT_KEY_LIFETIME: TimeDelta = TimeDelta::days(3_650);
/// A revoked key is refused by every server after at most so long.
pub const REVOKED_AFTER: Duration = Duration::from_secs(10);
/// Random characters of a key: 190 bits.
const RANDOM_CHARS: usize = 32;
/// The header that carries an application's key.
const API_KEY: &str = "apikey";

/// What a key lets do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// For pages and applications: nobody in particular, role `anon`.
    Publishable,
    /// For servers alone: role `service_role`, all gyms.
    Secret,
}

impl Kind {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publishable => "publishable",
            Self::Secret => "secret",
        }
    }

    /// The role of the database that it stands for.
    pub fn role(self) -> &'static str {
        match self {
            Self::Publishable => "anon",
            Self::Secret => "service_role",
        }
    }

    fn of(stored: &str) -> Option<Self> {
        [Self::Publishable, Self::Secret]
            .into_iter()
            .find(|kind| kind.as_str() == stored)
    }
}

/// A key that was just made.
#[derive(Debug)]
pub struct NewKey {
    /// The key, which is shown once.
    pub text: SecretString,
    /// What is kept of it.
    pub hash: [u8; 32],
    /// How it begins, to recognise it by.
    pub shown: String,
}

/// Makes an opaque key, such as `sb_secret_…`.
pub fn make(kind: Kind) -> NewKey {
    let random = Alphanumeric.sample_string(&mut rand::rng(), RANDOM_CHARS);
    let begun = format!("sb_{}_{random}", kind.as_str());
    let text = format!("{begun}_{}", check(&begun));
    NewKey {
        hash: Sha256::digest(text.as_bytes()).into(),
        shown: format!("sb_{}_{}…", kind.as_str(), &random[..5]),
        text: text.into(),
    }
}

/// The hash of what looks like one of our keys.
fn hash_of(text: &str) -> Option<[u8; 32]> {
    let (begun, checked) = text.rsplit_once('_')?;
    (text.len() <= 128 && checked == check(begun)).then(|| Sha256::digest(text.as_bytes()).into())
}

/// Eight characters by which a mistyped key is told without asking the database.
fn check(begun: &str) -> String {
    let digest = Sha256::digest(begun.as_bytes());
    format!(
        "{:08x}",
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
    )
}

/// The shared secret of keys and tokens that are JWTs with HS256, as Supabase's projects have one.
pub struct LegacySecret {
    signing: EncodingKey,
    verifying: DecodingKey,
}

impl fmt::Debug for LegacySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LegacySecret")
    }
}

/// The secret is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the JWT secret must have at least {SHORTEST_SECRET} characters")]
pub struct ShortSecret;

impl LegacySecret {
    /// Takes a text of at least [`SHORTEST_SECRET`] bytes.
    pub fn new(secret: &SecretString) -> Result<Self, ShortSecret> {
        let bytes = secret.expose_secret().as_bytes();
        if bytes.len() < SHORTEST_SECRET {
            return Err(ShortSecret);
        }
        Ok(Self {
            signing: EncodingKey::from_secret(bytes),
            verifying: DecodingKey::from_secret(bytes),
        })
    }

    /// A secret nobody chose.
    pub fn generate() -> SecretString {
        Alphanumeric.sample_string(&mut rand::rng(), 64).into()
    }

    /// A key as old clients expect it: a JWT that names its role, good for ten years.
    pub fn key(&self, kind: Kind, now: DateTime<Utc>) -> Result<SecretString, jsonwebtoken::errors::Error> {
        let claims = json!({"iss": crate::tokens::ISSUER, "role": kind.role(), "iat": now.timestamp(),
            "exp": (now + JWT_KEY_LIFETIME).timestamp()});
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing).map(SecretString::from)
    }

    fn claims(&self, token: &str, now: DateTime<Utc>) -> Result<Map<String, Value>, Refusal> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.validate_exp = false;
        rules.validate_aud = false;
        rules.required_spec_claims.clear();
        let claims: Map<String, Value> = jsonwebtoken::decode(token, &self.verifying, &rules)
            .map_err(|_| Refusal::Invalid)?
            .claims;
        let at = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or(Refusal::Invalid),
        };
        if at("exp")?.is_some_and(|exp| exp <= (now - LEEWAY).timestamp()) {
            return Err(Refusal::Expired);
        }
        let early = (now + LEEWAY).timestamp();
        if at("nbf")?.is_some_and(|nbf| nbf > early) || at("iat")?.is_some_and(|iat| iat > early) {
            return Err(Refusal::Invalid);
        }
        Ok(claims)
    }
}

/// Whom a request acts as.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// `anon`, `authenticated` or `service_role`.
    pub role: &'static str,
    /// The claims that policies see.
    pub claims: Map<String, Value>,
}

impl Admitted {
    fn as_role(role: &'static str, mut claims: Map<String, Value>) -> Self {
        claims.insert("role".to_owned(), Value::from(role));
        Self { role, claims }
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither a key nor a token.
    #[error("No API key found in request")]
    Missing,
    /// No such key, or it is revoked.
    #[error("Invalid API key")]
    UnknownKey,
    /// A token that is not ours, damaged, or not for the data API.
    #[error("Invalid token")]
    Invalid,
    /// A token or key that was good once.
    #[error("JWT expired")]
    Expired,
    /// The keys cannot be looked up.
    #[error("Database connection error.")]
    Unavailable,
}

/// Decides who a request to the data API is.
#[derive(Debug)]
pub struct Gatekeeper {
    tokens: Tokens,
    legacy: LegacySecret,
    db: Db,
    clock: SharedClock,
    /// Keys that were found in the database, and when. Only keys that exist get in, so it stays small.
    known: Mutex<HashMap<[u8; 32], (Kind, Instant)>>,
}

impl Gatekeeper {
    /// With our signing key, the shared secret, and the database that knows the opaque keys.
    pub fn new(tokens: Tokens, legacy: LegacySecret, db: Db, clock: SharedClock) -> Self {
        Self {
            tokens,
            legacy,
            db,
            clock,
            known: Mutex::default(),
        }
    }

    /// Whom these headers stand for. `apikey` must be an application's key where it is given; `Authorization: Bearer` is
    /// such a key again, or the token of a person, and then decides.
    pub async fn admit(&self, headers: &HeaderMap) -> Result<Admitted, Refusal> {
        let key = single(headers, API_KEY)?.map(str::trim);
        let bearer = single(headers, header::AUTHORIZATION.as_str())?.and_then(bearer);
        let by_key = match key {
            None => None,
            Some(key) => Some(self.admit_key(key).await?),
        };
        match bearer {
            Some(token) if Some(token) != key => self.whom(token).await,
            _ => by_key.ok_or(Refusal::Missing),
        }
    }

    /// Whom an application's key stands for.
    pub(crate) async fn admit_key(&self, key: &str) -> Result<Admitted, Refusal> {
        match self.whom(key).await {
            Ok(person) if person.role == "authenticated" => Err(Refusal::UnknownKey),
            Err(Refusal::Invalid) => Err(Refusal::UnknownKey),
            other => other,
        }
    }

    /// Whom a key or a token stands for.
    pub(crate) async fn whom(&self, text: &str) -> Result<Admitted, Refusal> {
        if text.starts_with("sb_") {
            let kind = self.kind_of(hash_of(text).ok_or(Refusal::UnknownKey)?).await?;
            return Ok(Admitted::as_role(kind.role(), Map::new()));
        }
        if text.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::Invalid);
        }
        let header = jsonwebtoken::decode_header(text).map_err(|_| Refusal::Invalid)?;
        // The token only says which of the two it wants to be; each then verifies with its own key and algorithm.
        if header.alg == Algorithm::ES256 {
            let claims = self.tokens.claims_of_person(text).map_err(|error| match error {
                TokenError::Expired => Refusal::Expired,
                TokenError::Invalid => Refusal::Invalid,
            })?;
            return Ok(Admitted::as_role("authenticated", claims));
        }
        let claims = self.legacy.claims(text, self.clock.now())?;
        let role = match claims.get("role").and_then(Value::as_str) {
            Some("anon") => "anon",
            Some("authenticated") => "authenticated",
            Some("service_role") => "service_role",
            _ => return Err(Refusal::Invalid),
        };
        Ok(Admitted::as_role(role, claims))
    }

    async fn kind_of(&self, hash: [u8; 32]) -> Result<Kind, Refusal> {
        let fresh = |known: &HashMap<[u8; 32], (Kind, Instant)>| {
            let (kind, found) = known.get(&hash)?;
            (found.elapsed() < REVOKED_AFTER).then_some(*kind)
        };
        if let Some(kind) = fresh(&self.known()) {
            return Ok(kind);
        }
        let stored = self.stored(hash).await.map_err(|error| {
            tracing::warn!(%error, "keys cannot be looked up");
            Refusal::Unavailable
        })?;
        let kind = stored.as_deref().and_then(Kind::of);
        match kind {
            Some(kind) => self.known().insert(hash, (kind, Instant::now())),
            None => self.known().remove(&hash),
        };
        kind.ok_or(Refusal::UnknownKey)
    }

    async fn stored(&self, hash: [u8; 32]) -> Result<Option<String>, jarvis_db::DbError> {
        let mut tx = self.db.begin(&Scope::System).await?;
        let kind = api_key::kind_of(&mut tx, &hash).await?;
        tx.commit().await?;
        Ok(kind)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], (Kind, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one value of a header. Of two, nobody knows which one was meant.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Refusal::Invalid),
        _ => Err(Refusal::Invalid),
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone as _;

    fn now() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, 23, 9, 0, 0).unwrap()
    }

    fn secret(text: &str) -> LegacySecret {
        LegacySecret::new(&SecretString::from(text)).unwrap()
    }

    fn signed(by: &LegacySecret, claims: &Value) -> String {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &by.signing).unwrap()
    }

    #[test]
    fn a_key_is_known_by_its_hash_and_a_mistyped_one_is_no_key() {
        let key = make(Kind::Secret);
        let text = key.text.expose_secret();
        assert!(text.starts_with("sb_secret_") && text.starts_with(key.shown.trim_end_matches('…')));
        assert_eq!(hash_of(text), Some(key.hash));
        assert_eq!(hash_of(&text.replacen("secret", "publishable", 1)), None);
        assert_eq!(hash_of(&text[..text.len() - 1]), None);
        assert_eq!(hash_of("sb_secret_"), None);
        assert_ne!(make(Kind::Secret).hash, key.hash);
    }

    #[test]
    fn a_key_of_another_secret_an_expired_one_and_one_from_the_future_are_refused() {
        let ours = secret("ours-ours-ours-ours-ours-ours-ours-ours");
        let theirs = secret("theirs-theirs-theirs-theirs-theirs-theirs");
        let key = ours.key(Kind::Publishable, now()).unwrap();
        assert_eq!(ours.claims(key.expose_secret(), now()).unwrap()["role"], "anon");
        assert_eq!(theirs.claims(key.expose_secret(), now()), Err(Refusal::Invalid));
        let later = now() + JWT_KEY_LIFETIME + LEEWAY;
        assert_eq!(ours.claims(key.expose_secret(), later), Err(Refusal::Expired));
        let earlier = now() - LEEWAY - TimeDelta::seconds(1);
        assert_eq!(ours.claims(key.expose_secret(), earlier), Err(Refusal::Invalid));
        let odd = signed(&ours, &json!({"role": "anon", "exp": "tomorrow"}));
        assert_eq!(ours.claims(&odd, now()), Err(Refusal::Invalid));
        assert!(LegacySecret::new(&SecretString::from("short")).is_err());
    }

    #[test]
    fn a_header_that_comes_twice_is_not_guessed_at() {
        let mut headers = HeaderMap::new();
        headers.append(API_KEY, "one".parse().unwrap());
        assert_eq!(single(&headers, API_KEY), Ok(Some("one")));
        headers.append(API_KEY, "two".parse().unwrap());
        assert_eq!(single(&headers, API_KEY), Err(Refusal::Invalid));
        assert_eq!(
            (bearer("Bearer  x"), bearer("Basic x"), bearer("x")),
            (Some("x"), None, None)
        );
    }
}

//! Who asks: a token's claims, and the role they name.

use crate::error::RestError;
use crate::settings::Settings;
use axum::http::{HeaderMap, StatusCode};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};
use std::fmt;

/// Clocks may differ by so many seconds.
const LEEWAY: i64 = 30;
/// Nothing longer than this is looked at.
const LONGEST: usize = 16_384;

/// Who asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// The role that the request takes.
    pub role: String,
    /// The claims, as the database is told.
    pub claims: Map<String, Value>,
    /// Whether it is nobody in particular.
    pub anonymous: bool,
}

/// What verifies tokens.
pub enum Keys {
    /// Nothing does.
    None,
    /// A shared secret.
    Secret(DecodingKey),
    /// Public or shared keys.
    Set(Vec<(Jwk, DecodingKey)>),
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Secret(_) => f.write_str("Secret(…)"),
            Self::Set(keys) => write!(f, "Set({})", keys.len()),
        }
    }
}

/// The secret is JSON and yet no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the JWT secret is neither text nor a JWK or a set of them")]
pub struct UnreadableKeys;

impl Keys {
    /// Reads the secret: text, or a JWK or a set of them as JSON.
    pub fn read(settings: &Settings) -> Result<Self, UnreadableKeys> {
        let Some(secret) = &settings.jwt_secret else {
            return Ok(Self::None);
        };
        let secret = secret.expose_secret();
        if !secret.trim_start().starts_with('{') {
            return Ok(Self::Secret(DecodingKey::from_secret(secret.as_bytes())));
        }
        let keys = match serde_json::from_str::<JwkSet>(secret) {
            Ok(set) => set.keys,
            Err(_) => vec![serde_json::from_str::<Jwk>(secret).map_err(|_| UnreadableKeys)?],
        };
        let readable = keys
            .into_iter()
            .map(|key| DecodingKey::from_jwk(&key).map(|decoding| (key, decoding)));
        Ok(Self::Set(
            readable.collect::<Result<_, _>>().map_err(|_| UnreadableKeys)?,
        ))
    }
}

/// Who asks, or why they are not believed. `now` is in seconds since 1970.
pub fn identify(
    headers: &HeaderMap,
    keys: &Keys,
    settings: &Settings,
    now: i64,
) -> Result<Identity, RestError> {
    let claims = match bearer(headers) {
        None => Map::new(),
        Some(token) => verified(token, keys)?,
    };
    check(&claims, settings, now)?;
    let role = match settings.role_claim.find(&claims) {
        Some(Value::String(role)) => Some(role.clone()),
        Some(other) => Some(other.to_string()),
        None => settings.anon_role.clone(),
    };
    let role = role.ok_or_else(|| RestError::token("PGRST302", "Anonymous access is disabled"))?;
    let mut claims = claims;
    claims.insert("role".to_owned(), Value::String(role.clone()));
    Ok(Identity {
        anonymous: settings.anon_role.as_ref() == Some(&role),
        role,
        claims,
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get("authorization")?.to_str().ok()?.trim_start();
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn verified(token: &str, keys: &Keys) -> Result<Map<String, Value>, RestError> {
    let refused = |message: &str| RestError::token("PGRST301", message);
    if matches!(keys, Keys::None) {
        return Err(RestError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "PGRST300",
            "Server lacks JWT secret",
        ));
    }
    if token.is_empty() {
        return Err(refused("Empty JWT is sent in Authorization header"));
    }
    let parts = token.split('.').count();
    if parts != 3 {
        return Err(refused(&format!("Expected 3 parts in JWT; got {parts}")));
    }
    if token.len() > LONGEST {
        return Err(refused("JWT cryptographic operation failed"));
    }
    let unsupported =
        || refused("Wrong or unsupported encoding algorithm").details("Could not decode the header");
    let header = decode_header(token).map_err(|_| unsupported())?;
    let no_key = || {
        refused("No suitable key or wrong key type").details("None of the keys was able to decode the JWT")
    };
    let mut fitting: Vec<&DecodingKey> = Vec::new();
    match keys {
        Keys::Secret(key) if matches!(header.alg, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) => {
            fitting.push(key);
        }
        Keys::Set(set) => {
            let named = set.iter().filter(|(key, _)| {
                header.kid.is_none() || key.common.key_id.is_none() || key.common.key_id == header.kid
            });
            fitting.extend(named.map(|(_, key)| key));
        }
        Keys::Secret(_) | Keys::None => {}
    }
    // Times and audience are checked below, with the words clients know.
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    for key in fitting {
        match decode::<Value>(token, key, &validation) {
            Ok(decoded) => match decoded.claims {
                Value::Object(claims) => return Ok(claims),
                _ => return Err(RestError::token("PGRST303", "Parsing claims failed")),
            },
            Err(error) if matches!(error.kind(), jsonwebtoken::errors::ErrorKind::Json(_)) => {
                return Err(RestError::token("PGRST303", "Parsing claims failed"));
            }
            Err(_) => {}
        }
    }
    Err(no_key())
}

fn check(claims: &Map<String, Value>, settings: &Settings, now: i64) -> Result<(), RestError> {
    let refused = |message: &str| RestError::token("PGRST303", message);
    let number = |name: &str| match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole seconds are meant; what does not fit is far away"
        )]
        Some(Value::Number(value)) => Ok(value
            .as_i64()
            .or_else(|| value.as_f64().map(|value| value as i64))),
        Some(_) => Err(refused(&format!("The JWT '{name}' claim must be a number"))),
    };
    if number("exp")?.is_some_and(|exp| now - LEEWAY > exp) {
        return Err(refused("JWT expired"));
    }
    if number("nbf")?.is_some_and(|nbf| now + LEEWAY < nbf) {
        return Err(refused("JWT not yet valid"));
    }
    if number("iat")?.is_some_and(|iat| now + LEEWAY < iat) {
        return Err(refused("JWT issued at future"));
    }
    let wrong_kind = || refused("The JWT 'aud' claim must be a string or an array of strings");
    let audiences: Vec<&str> = match claims.get("aud") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => {
            let all: Option<Vec<&str>> = all.iter().map(Value::as_str).collect();
            match all.ok_or_else(wrong_kind)? {
                none if none.is_empty() => return Ok(()),
                some => some,
            }
        }
        Some(_) => return Err(wrong_kind()),
    };
    match &settings.jwt_audience {
        Some(wanted) if !audiences.contains(&wanted.as_str()) => Err(refused("JWT not in audience")),
        _ => Ok(()),
    }
}

//! Access tokens: JWTs signed with ES256 (RFC 7518, 3.4), and the key set that lets others verify them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use jarvis_core::clock::SharedClock;
use jarvis_core::{GymId, KioskId, UserId};
use jarvis_memory::sessions::KioskIdentity;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

/// Who signs.
pub const ISSUER: &str = "jarvis";
/// How long a kiosk's token is good for.
pub const KIOSK_LIFETIME: TimeDelta = TimeDelta::minutes(15);
/// How long a person's token is good for.
pub const PERSON_LIFETIME: TimeDelta = TimeDelta::hours(1);
/// Clocks may differ by this much.
pub(crate) const LEEWAY: TimeDelta = TimeDelta::seconds(30);
/// Nothing longer than this is looked at.
pub(crate) const MAX_TOKEN_BYTES: usize = 4_096;
const KIOSK_AUDIENCE: &str = "kiosk";
const PERSON_AUDIENCE: &str = "authenticated";

/// Signs and verifies access tokens with one key. Cheap to clone.
#[derive(Clone)]
pub struct Tokens(Arc<Keys>);

struct Keys {
    signing: EncodingKey,
    verifying: DecodingKey,
    kid: String,
    public: Jwk,
    clock: SharedClock,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.0.kid)
    }
}

/// Why there is no signing key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is no such key.
    #[error("the signing key must be an EC key on P-256 as PKCS#8 PEM (\"BEGIN PRIVATE KEY\")")]
    Unreadable,
    /// The machine gave no randomness.
    #[error("no key could be generated")]
    NoRandomness,
    /// Signing failed.
    #[error("the token could not be signed")]
    Signing,
}

/// A signed token.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// The JWT.
    pub token: SecretString,
    /// Seconds until it expires.
    pub expires_in: i64,
}

/// Whom a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// A kiosk of a gym.
    Kiosk(KioskIdentity),
    /// A person who signed in.
    Person(UserId),
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not ours, damaged, or meant for something else.
    #[error("the token is not valid")]
    Invalid,
    /// It was good, and is too old.
    #[error("the token has expired")]
    Expired,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gym: Option<Uuid>,
    exp: i64,
    iat: i64,
    jti: Uuid,
}

impl Tokens {
    /// Reads the signing key: PKCS#8 PEM, EC on P-256.
    pub fn from_pem(pem: &SecretString, clock: SharedClock) -> Result<Self, KeyError> {
        let signing =
            EncodingKey::from_ec_pem(pem.expose_secret().as_bytes()).map_err(|_| KeyError::Unreadable)?;
        let mut public =
            Jwk::from_encoding_key(&signing, Algorithm::ES256).map_err(|_| KeyError::Unreadable)?;
        let kid = public
            .thumbprint(ThumbprintHash::SHA256)
            .map_err(|_| KeyError::Unreadable)?;
        public.common.key_id = Some(kid.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        let verifying = DecodingKey::from_jwk(&public).map_err(|_| KeyError::Unreadable)?;
        Ok(Self(Arc::new(Keys {
            signing,
            verifying,
            kid,
            public,
            clock,
        })))
    }

    /// A new signing key, as PKCS#8 PEM.
    pub fn generate_pem() -> Result<SecretString, KeyError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| KeyError::NoRandomness)?;
        let encoded = STANDARD.encode(document.as_ref());
        let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, tail) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = tail;
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(pem.into())
    }

    /// A token for a kiosk, good for [`KIOSK_LIFETIME`].
    pub fn mint_kiosk(&self, kiosk: &KioskIdentity) -> Result<AccessToken, KeyError> {
        self.mint(
            KIOSK_AUDIENCE,
            kiosk.kiosk.into(),
            Some(kiosk.gym.into()),
            KIOSK_LIFETIME,
        )
    }

    /// A token for a person, good for [`PERSON_LIFETIME`].
    pub fn mint_person(&self, user: UserId) -> Result<AccessToken, KeyError> {
        self.mint(PERSON_AUDIENCE, user.into(), None, PERSON_LIFETIME)
    }

    /// A token for a person's session, good for [`PERSON_LIFETIME`], with more claims for applications to read. None of
    /// them is one that we verify by.
    pub(crate) fn mint_session(
        &self,
        user: UserId,
        told: Map<String, Value>,
    ) -> Result<AccessToken, KeyError> {
        let Ok(Value::Object(claims)) =
            serde_json::to_value(self.claims(PERSON_AUDIENCE, user.into(), None, PERSON_LIFETIME))
        else {
            return Err(KeyError::Signing);
        };
        let mut all = told;
        all.extend(claims);
        self.sign(&all, PERSON_LIFETIME)
    }

    /// Whom this token stands for. The algorithm is pinned; what the token says about it is compared, not obeyed.
    pub fn verify(&self, token: &str) -> Result<Identity, TokenError> {
        let claims: Claims = decode(token, &self.0.verifying)?;
        let now = self.0.clock.now();
        if claims.iss != ISSUER || after(claims.iat, now + LEEWAY) {
            return Err(TokenError::Invalid);
        }
        if !after(claims.exp, now - LEEWAY) {
            return Err(TokenError::Expired);
        }
        match (claims.aud.as_str(), claims.gym) {
            (KIOSK_AUDIENCE, Some(gym)) => Ok(Identity::Kiosk(KioskIdentity {
                kiosk: KioskId::from(claims.sub),
                gym: GymId::from(gym),
            })),
            (PERSON_AUDIENCE, None) => Ok(Identity::Person(UserId::from(claims.sub))),
            _ => Err(TokenError::Invalid),
        }
    }

    /// The claims of a person's token; a kiosk's is refused.
    pub(crate) fn claims_of_person(&self, token: &str) -> Result<Map<String, Value>, TokenError> {
        match self.verify(token)? {
            Identity::Person(_) => decode(token, &self.0.verifying),
            Identity::Kiosk(_) => Err(TokenError::Invalid),
        }
    }

    /// The public half, for others to verify our tokens.
    pub fn key_set(&self) -> JwkSet {
        JwkSet {
            keys: vec![self.0.public.clone()],
        }
    }

    fn mint(
        &self,
        audience: &str,
        subject: Uuid,
        gym: Option<Uuid>,
        lifetime: TimeDelta,
    ) -> Result<AccessToken, KeyError> {
        self.sign(&self.claims(audience, subject, gym, lifetime), lifetime)
    }

    fn claims(&self, audience: &str, subject: Uuid, gym: Option<Uuid>, lifetime: TimeDelta) -> Claims {
        let now = self.0.clock.now();
        Claims {
            iss: ISSUER.to_owned(),
            aud: audience.to_owned(),
            sub: subject,
            gym,
            exp: (now + lifetime).timestamp(),
            iat: now.timestamp(),
            jti: jarvis_core::ids::uuid_v7(now),
        }
    }

    fn sign(&self, claims: &impl Serialize, lifetime: TimeDelta) -> Result<AccessToken, KeyError> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.0.kid.clone());
        let token = jsonwebtoken::encode(&header, claims, &self.0.signing).map_err(|_| KeyError::Signing)?;
        Ok(AccessToken {
            token: token.into(),
            expires_in: lifetime.num_seconds(),
        })
    }
}

/// Checks the signature (ES256 and nothing else) and reads the claims. Times and names are the caller's to check,
/// against a clock of ours.
pub(crate) fn decode<T: serde::de::DeserializeOwned>(
    token: &str,
    key: &DecodingKey,
) -> Result<T, TokenError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::Invalid);
    }
    let mut rules = Validation::new(Algorithm::ES256);
    rules.validate_exp = false;
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    jsonwebtoken::decode(token, key, &rules)
        .map(|data| data.claims)
        .map_err(|_| TokenError::Invalid)
}

/// Whether a claim's instant (seconds since 1970) is later than `at`.
pub(crate) fn after(claim: i64, at: DateTime<Utc>) -> bool {
    claim > at.timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jarvis_core::FixedClock;

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn tokens(clock: &Arc<FixedClock>) -> Tokens {
        Tokens::from_pem(&Tokens::generate_pem().unwrap(), clock.clone()).unwrap()
    }

    fn kiosk() -> KioskIdentity {
        KioskIdentity {
            kiosk: KioskId::new(start()),
            gym: GymId::new(start()),
        }
    }

    #[test]
    fn a_token_stands_for_the_one_it_was_made_for() {
        let clock = Arc::new(FixedClock::new(start()));
        let tokens = tokens(&clock);
        let (kiosk, user) = (kiosk(), UserId::new(start()));
        let for_kiosk = tokens.mint_kiosk(&kiosk).unwrap();
        let for_person = tokens.mint_person(user).unwrap();
        assert_eq!((for_kiosk.expires_in, for_person.expires_in), (900, 3600));
        assert_eq!(
            tokens.verify(for_kiosk.token.expose_secret()),
            Ok(Identity::Kiosk(kiosk))
        );
        assert_eq!(
            tokens.verify(for_person.token.expose_secret()),
            Ok(Identity::Person(user))
        );
    }

    #[test]
    fn a_token_expires_half_a_minute_after_its_time() {
        let clock = Arc::new(FixedClock::new(start()));
        let tokens = tokens(&clock);
        let token = tokens.mint_kiosk(&kiosk()).unwrap().token;
        clock.advance(TimeDelta::seconds(900 + 29));
        assert!(tokens.verify(token.expose_secret()).is_ok());
        clock.advance(TimeDelta::seconds(1));
        assert_eq!(tokens.verify(token.expose_secret()), Err(TokenError::Expired));
    }

    #[test]
    fn a_token_from_the_future_is_not_believed() {
        let clock = Arc::new(FixedClock::new(start()));
        let tokens = tokens(&clock);
        let token = tokens.mint_kiosk(&kiosk()).unwrap().token;
        clock.advance(TimeDelta::seconds(-31));
        assert_eq!(tokens.verify(token.expose_secret()), Err(TokenError::Invalid));
    }

    #[test]
    fn another_servers_key_and_unsigned_tokens_are_refused() {
        let clock = Arc::new(FixedClock::new(start()));
        let (ours, theirs) = (tokens(&clock), tokens(&clock));
        let foreign = theirs.mint_kiosk(&kiosk()).unwrap().token;
        assert_eq!(ours.verify(foreign.expose_secret()), Err(TokenError::Invalid));

        let mine = ours.mint_kiosk(&kiosk()).unwrap().token;
        let payload = mine.expose_secret().split('.').nth(1).unwrap();
        for alg in ["none", "None", "HS256"] {
            let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#));
            assert_eq!(
                ours.verify(&format!("{header}.{payload}.")),
                Err(TokenError::Invalid)
            );
        }
        for text in ["", ".", "..", "a.b.c", &"x".repeat(5_000)] {
            assert_eq!(ours.verify(text), Err(TokenError::Invalid));
        }
    }

    #[test]
    fn a_changed_token_is_refused() {
        let clock = Arc::new(FixedClock::new(start()));
        let tokens = tokens(&clock);
        let token = tokens.mint_kiosk(&kiosk()).unwrap().token;
        let mut parts: Vec<_> = token.expose_secret().split('.').map(str::to_owned).collect();
        let other_gym = serde_json::json!({"iss": "jarvis", "aud": "kiosk", "sub": Uuid::nil(), "gym": Uuid::nil(),
            "exp": 1_900_000_000, "iat": 1_800_000_000, "jti": Uuid::nil()});
        parts[1] = URL_SAFE_NO_PAD.encode(other_gym.to_string());
        assert_eq!(tokens.verify(&parts.join(".")), Err(TokenError::Invalid));
    }

    #[test]
    fn the_key_set_shows_the_public_half_only() {
        let clock = Arc::new(FixedClock::new(start()));
        let tokens = tokens(&clock);
        let set = serde_json::to_value(tokens.key_set()).unwrap();
        let key = &set["keys"][0];
        assert_eq!(
            (key["kty"].as_str(), key["crv"].as_str(), key["alg"].as_str()),
            (Some("EC"), Some("P-256"), Some("ES256"))
        );
        assert!(key["kid"].is_string() && key["x"].is_string() && key["y"].is_string());
        assert!(key.get("d").is_none());
    }

    #[test]
    fn what_is_no_key_is_refused_with_what_it_must_be() {
        let clock: SharedClock = Arc::new(FixedClock::new(start()));
        let error = Tokens::from_pem(&SecretString::from("nonsense"), clock).unwrap_err();
        assert!(error.to_string().contains("PKCS#8"), "{error}");
    }
}

//! What a kiosk proves with the key that was made on the device and never leaves it.

use crate::tokens::{LEEWAY, after, decode};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use jarvis_core::KioskId;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Mutex;

/// Whom an assertion must be meant for.
pub(crate) const AUDIENCE: &str = "jarvis";
/// An assertion may be good for at most this long.
pub(crate) const MAX_AHEAD: TimeDelta = TimeDelta::seconds(120);
/// The longest `jti`, in bytes.
const MAX_JTI: usize = 128;

/// A device's public key.
#[derive(Debug)]
pub(crate) struct DeviceKey {
    x: String,
    y: String,
}

impl DeviceKey {
    /// Reads a JWK (RFC 7518, 6.2): EC on P-256, the public half alone, a point on the curve.
    pub(crate) fn from_jwk(jwk: &Value) -> Result<Self, &'static str> {
        let word = |name: &str| jwk.get(name).and_then(Value::as_str);
        if word("kty") != Some("EC") || word("crv") != Some("P-256") {
            return Err("public_key: must be a JWK with kty \"EC\" and crv \"P-256\"");
        }
        if jwk.get("d").is_some() {
            return Err("public_key: must not hold the private half (d); the key never leaves the device");
        }
        let (x, y) = (word("x").unwrap_or_default(), word("y").unwrap_or_default());
        let mut point = vec![0x04];
        for coordinate in [x, y] {
            match URL_SAFE_NO_PAD.decode(coordinate) {
                Ok(bytes) if bytes.len() == 32 => point.extend(bytes),
                _ => return Err("public_key: x and y must be 32 bytes in base64url without padding"),
            }
        }
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)
            .map_err(|_| "public_key: x and y are no point on P-256")?;
        Ok(Self {
            x: x.to_owned(),
            y: y.to_owned(),
        })
    }

    /// The key as it is stored: what counts and nothing else.
    pub(crate) fn to_jwk(&self) -> Value {
        json!({"kty": "EC", "crv": "P-256", "x": self.x, "y": self.y})
    }

    /// Checks an assertion of `kiosk`; the message says what to correct.
    pub(crate) fn verify(
        &self,
        assertion: &str,
        kiosk: KioskId,
        now: DateTime<Utc>,
    ) -> Result<Assertion, &'static str> {
        let key =
            DecodingKey::from_ec_components(&self.x, &self.y).map_err(|_| "assertion: wrong signature")?;
        let claims: Claims = decode(assertion, &key).map_err(|_| "assertion: wrong signature or claims")?;
        let own = kiosk.to_string();
        if claims.iss != own || claims.sub != own {
            return Err("assertion: iss and sub must be the kiosk's id");
        }
        if claims.aud != AUDIENCE {
            return Err("assertion: aud must be \"jarvis\"");
        }
        if claims.jti.is_empty() || claims.jti.len() > MAX_JTI {
            return Err("assertion: jti must have 1 to 128 bytes");
        }
        if !after(claims.exp, now - LEEWAY) {
            return Err("assertion: exp is over; check the kiosk's clock against the Date header");
        }
        if after(claims.exp, now + MAX_AHEAD + LEEWAY) {
            return Err(
                "assertion: exp must be at most 120 s ahead; check the kiosk's clock against the Date header",
            );
        }
        Ok(Assertion {
            jti: claims.jti,
            exp: claims.exp,
        })
    }
}

/// The kiosk that an assertion claims to come from, before anything is proven.
pub(crate) fn claimed_kiosk(assertion: &str) -> Option<KioskId> {
    let payload = assertion.split('.').nth(1).filter(|p| p.len() < 4_096)?;
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    claims.sub.parse().ok()
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
    jti: String,
}

/// An assertion that was verified.
#[derive(Debug)]
pub(crate) struct Assertion {
    jti: String,
    exp: i64,
}

/// Assertions that were used and could still be used again: each works once.
#[derive(Debug, Default)]
pub(crate) struct UsedAssertions(Mutex<HashMap<(KioskId, String), i64>>);

impl UsedAssertions {
    /// Uses an assertion up; false when it was used before.
    pub(crate) fn use_up(&self, kiosk: KioskId, assertion: Assertion, now: DateTime<Utc>) -> bool {
        let mut used = self.0.lock().expect("no holder of this lock can panic");
        used.retain(|_, exp| after(*exp, now - LEEWAY));
        used.insert((kiosk, assertion.jti), assertion.exp).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Tokens;
    use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
    use secrecy::ExposeSecret;

    type Change = fn(&mut Value);

    fn device() -> (EncodingKey, Value) {
        let pem = Tokens::generate_pem().unwrap();
        let key = EncodingKey::from_ec_pem(pem.expose_secret().as_bytes()).unwrap();
        let jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()).unwrap();
        (key, jwk)
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn sign(key: &EncodingKey, claims: &Value) -> String {
        jsonwebtoken::encode(&Header::new(Algorithm::ES256), claims, key).unwrap()
    }

    fn claims(kiosk: KioskId, change: impl FnOnce(&mut Value)) -> Value {
        let mut claims =
            json!({"iss": kiosk, "sub": kiosk, "aud": "jarvis", "exp": 1_800_000_060, "jti": "1"});
        change(&mut claims);
        claims
    }

    #[test]
    fn an_assertion_of_the_devices_key_is_good_once() {
        let (key, jwk) = device();
        let kiosk = KioskId::new(now());
        let device = DeviceKey::from_jwk(&jwk).unwrap();
        let used = UsedAssertions::default();
        let text = sign(&key, &claims(kiosk, |_| ()));
        assert_eq!(claimed_kiosk(&text), Some(kiosk));
        assert!(used.use_up(kiosk, device.verify(&text, kiosk, now()).unwrap(), now()));
        assert!(!used.use_up(kiosk, device.verify(&text, kiosk, now()).unwrap(), now()));
    }

    #[test]
    fn an_assertion_is_refused_for_every_single_thing_that_is_wrong() {
        let (key, jwk) = device();
        let kiosk = KioskId::new(now());
        let device = DeviceKey::from_jwk(&jwk).unwrap();
        let wrong: [(&str, Change); 6] = [
            ("iss", |c| c["iss"] = json!("other")),
            ("sub", |c| c["sub"] = json!("other")),
            ("aud", |c| c["aud"] = json!("other")),
            ("jti", |c| c["jti"] = json!("")),
            ("over", |c| c["exp"] = json!(1_799_999_970)),
            ("ahead", |c| c["exp"] = json!(1_800_000_151)),
        ];
        for (word, change) in wrong {
            let error = device
                .verify(&sign(&key, &claims(kiosk, change)), kiosk, now())
                .unwrap_err();
            assert!(error.contains(word), "{word}: {error}");
        }
        let (other, _) = super::tests::device();
        assert!(
            device
                .verify(&sign(&other, &claims(kiosk, |_| ())), kiosk, now())
                .is_err()
        );
    }

    #[test]
    fn only_a_public_key_on_the_curve_is_stored() {
        let (_, jwk) = device();
        let stored = DeviceKey::from_jwk(&jwk).unwrap().to_jwk();
        assert_eq!(stored["x"], jwk["x"]);
        let zero = URL_SAFE_NO_PAD.encode([0_u8; 32]);
        let changes: [fn(&mut Value, &str); 6] = [
            |k, _| k["kty"] = json!("RSA"),
            |k, _| k["crv"] = json!("P-384"),
            |k, zero| k["d"] = json!(zero),
            |k, zero| k["x"] = json!(zero),
            |k, _| k["y"] = json!("short"),
            |k, _| *k = json!("text"),
        ];
        for change in changes {
            let mut bad = jwk.clone();
            change(&mut bad, &zero);
            assert!(DeviceKey::from_jwk(&bad).is_err(), "{bad}");
        }
    }
}

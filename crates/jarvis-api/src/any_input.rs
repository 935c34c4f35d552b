//! Whatever arrives is read or refused: no text and no JSON can make a parser of this crate panic.

use crate::body::Media;
use crate::device::{DeviceKey, claimed_kiosk};
use crate::edge::language_of;
use crate::endpoints::sessions::incoming;
use crate::pairing::{hash_typed, new_code};
use crate::tokens::Tokens;
use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jarvis_core::SystemClock;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

fn header_of(bytes: &[u8]) -> Option<HeaderValue> {
    HeaderValue::from_bytes(bytes).ok()
}

/// Three parts like those of a token, whose middle may be JSON with the right names.
fn like_a_token() -> impl Strategy<Value = String> {
    let claim = prop_oneof![
        Just(Value::Null),
        any::<String>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
    ];
    let claims = (claim.clone(), claim.clone(), claim)
        .prop_map(|(sub, exp, aud)| json!({"iss": "jarvis", "sub": sub, "aud": aud, "exp": exp, "iat": exp, "jti": sub}));
    let part = prop_oneof![
        claims.prop_map(|claims| URL_SAFE_NO_PAD.encode(claims.to_string())),
        "[A-Za-z0-9_=+/-]{0,40}",
        any::<String>(),
    ];
    proptest::collection::vec(part, 0..5).prop_map(|parts| parts.join("."))
}

proptest! {
    #[test]
    fn any_text_is_no_token(token in like_a_token()) {
        static TOKENS: std::sync::LazyLock<Tokens> = std::sync::LazyLock::new(|| {
            Tokens::from_pem(&Tokens::generate_pem().unwrap(), Arc::new(SystemClock)).unwrap()
        });
        prop_assert!(TOKENS.verify(&token).is_err());
        let _claimed = claimed_kiosk(&token);
    }

    #[test]
    fn any_coordinates_are_a_point_on_the_curve_or_refused(x in any::<Vec<u8>>(), y in any::<Vec<u8>>(), raw in any::<String>()) {
        for (x, y) in [(URL_SAFE_NO_PAD.encode(&x), URL_SAFE_NO_PAD.encode(&y)), (raw.clone(), raw.clone())] {
            let key = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
            // Half of all x have a point, and a random y is never on it.
            prop_assert!(DeviceKey::from_jwk(&key).is_err());
        }
        prop_assert!(DeviceKey::from_jwk(&Value::String(raw)).is_err());
    }

    #[test]
    fn a_code_is_known_however_it_is_typed_and_nothing_else_is(noise in "[ \t-]{0,6}", any_text in any::<String>()) {
        let (code, hash) = new_code(&mut rand::rng());
        let typed: String = code.to_lowercase().chars().flat_map(|c| [c.to_string(), noise.clone()]).collect();
        prop_assert_eq!(hash_typed(&typed), Some(hash));
        prop_assert_ne!(hash_typed(&any_text), Some(hash));
    }

    #[test]
    fn any_header_is_a_language_and_a_kind_of_body(bytes in any::<Vec<u8>>(), text in "[a-z*;q=0-9., -]{0,40}") {
        for value in [header_of(&bytes), header_of(text.as_bytes())].into_iter().flatten() {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, value.clone());
            headers.insert(header::CONTENT_TYPE, value.clone());
            headers.insert(header::CONTENT_ENCODING, value);
            language_of(&headers);
            prop_assert!(Media::of(&headers) != Media::Json || !headers.contains_key(header::CONTENT_ENCODING));
        }
    }

    #[test]
    fn any_bytes_are_events_or_refused_and_lines_are_counted(bytes in any::<Vec<u8>>(), text in any::<String>()) {
        for body in [bytes.as_slice(), text.as_bytes()] {
            drop(incoming::read(Media::Json, body));
            let lines = body.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
            let read = incoming::read(Media::NdJson, body);
            prop_assert_eq!(read.map_or(0, |read| read.len()), lines);
        }
    }
}

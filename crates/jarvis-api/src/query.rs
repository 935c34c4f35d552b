//! Query strings (`application/x-www-form-urlencoded`), read strictly.

use crate::problem::Problem;
use jarvis_core::ErrorCode;

/// The pairs of a query string, in order. A name may occur once.
pub(crate) fn pairs(query: &str) -> Result<Vec<(String, String)>, Problem> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for piece in query.split('&').filter(|piece| !piece.is_empty()) {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let (name, value) = (decoded(name)?, decoded(value)?);
        if pairs.iter().any(|(known, _)| *known == name) {
            // The name is the caller's and stays with them.
            let detail = "a parameter of the query occurs twice";
            return Err(Problem::because(ErrorCode::InvalidRequest, detail));
        }
        if pairs.len() == MAX_PARAMETERS {
            let detail = format!("at most {MAX_PARAMETERS} parameters in the query");
            return Err(Problem::because(ErrorCode::InvalidRequest, detail));
        }
        pairs.push((name, value));
    }
    Ok(pairs)
}

/// The most parameters of a query: none of ours has more than three.
pub(crate) const MAX_PARAMETERS: usize = 64;

/// `+` is a space, `%` begins a byte in hexadecimal digits; a `%` before anything else stands for itself.
fn decoded(text: &str) -> Result<String, Problem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high * 16 + low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            (byte, _) => bytes.push(*byte),
        }
    }
    let refused = |what: &str| Problem::because(ErrorCode::InvalidUtf8, format!("the query holds {what}"));
    let text = String::from_utf8(bytes).map_err(|_| refused("bytes that are not UTF-8"))?;
    if text.contains('\0') {
        return Err(refused("the character NUL"));
    }
    Ok(text)
}

fn digit(byte: u8) -> Option<u8> {
    let value = char::from(byte).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(query: &str) -> Vec<(String, String)> {
        pairs(query).unwrap()
    }

    fn code(query: &str) -> ErrorCode {
        pairs(query).unwrap_err().code()
    }

    #[test]
    fn a_query_is_read_as_browsers_write_it() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            of("q=mal+au%20genou%C3%A9&k=5&&flag"),
            [pair("q", "mal au genoué"), pair("k", "5"), pair("flag", "")]
        );
        assert_eq!(
            of("q=100%&r=%zz&s=%4"),
            [pair("q", "100%"), pair("r", "%zz"), pair("s", "%4")]
        );
        assert_eq!(of(""), []);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert_eq!(code("q=%ff"), ErrorCode::InvalidUtf8);
        assert_eq!(code("q=%ed%a0%80"), ErrorCode::InvalidUtf8);
        assert_eq!(code("q=a%00b"), ErrorCode::InvalidUtf8);
        assert_eq!(code("q=a&%71=b"), ErrorCode::InvalidRequest);
        let many: Vec<_> = (0..=MAX_PARAMETERS).map(|n| format!("p{n}=1")).collect();
        assert_eq!(code(&many.join("&")), ErrorCode::InvalidRequest);
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused(query in any::<String>()) {
            drop(pairs(&query));
        }

        #[test]
        fn any_text_survives_its_encoding(text in any::<String>()) {
            let encoded = text.bytes().fold(String::new(), |encoded, byte| encoded + &format!("%{byte:02X}"));
            match pairs(&format!("q={encoded}")) {
                Ok(read) => prop_assert_eq!(&read[0].1, &text),
                Err(problem) => prop_assert!(text.contains('\0') && problem.code() == ErrorCode::InvalidUtf8),
            }
        }
    }
}

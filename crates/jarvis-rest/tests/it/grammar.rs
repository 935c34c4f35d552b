//! The query string, for any text whatever.

use axum::http::{HeaderMap, Method};
use jarvis_rest::Settings;
use jarvis_rest::request::ApiRequest;
use jarvis_rest::request::query::Query;
use proptest::prelude::*;

/// Texts near the grammar: its own words and signs in any order.
fn near() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        prop::sample::select(vec![
            "select=",
            "order=",
            "or=",
            "and=",
            "not.",
            "limit=",
            "offset=",
            "columns=",
            "on_conflict=",
            "id",
            "eq.",
            "in.",
            "is.null",
            "fts(french).",
            "(",
            ")",
            ",",
            "\"",
            "\\",
            "->",
            "->>",
            "::",
            ":",
            "...",
            "!",
            "!inner",
            "count()",
            ".sum()",
            "{",
            "}",
            "*",
            ".",
            "&",
            "=",
            "%00",
            "%22",
            "%",
            "-",
            "1",
            " ",
            "é",
            "'",
            ";",
            "--",
            "a"
        ])
        .prop_map(str::to_owned),
        "\\PC{0,3}",
    ];
    prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_query_is_read_or_refused_with_a_code(text in near(), calls: bool) {
        if let Err(error) = Query::parse(&text, calls) {
            prop_assert!(error.status.is_client_error(), "{error}");
            prop_assert!(error.code.starts_with("PGRST"), "{error}");
        }
    }

    #[test]
    fn any_body_and_any_headers_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..64), media in near(), prefer in near(), range in near()) {
        let mut headers = HeaderMap::new();
        for (name, value) in [("content-type", &media), ("accept", &media), ("prefer", &prefer), ("range", &range)] {
            if let Ok(value) = value.parse() {
                headers.insert(name, value);
            }
        }
        for (method, path) in [(Method::GET, "/a"), (Method::POST, "/a"), (Method::POST, "/rpc/a"), (Method::PUT, "/a"), (Method::PATCH, "/a")] {
            if let Err(error) = ApiRequest::read(&Settings::default(), &method, path, None, &headers, &body) {
                prop_assert!(error.status.is_client_error(), "{error}");
            }
        }
    }
}

#[test]
fn nesting_without_end_is_refused_and_not_followed() {
    let deep = format!("select={}{}", "a(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(Query::parse(&deep, false).unwrap_err().code, "PGRST100");
    let deep = format!("and=({}a.eq.1{})", "or(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(Query::parse(&deep, false).unwrap_err().code, "PGRST100");
}

#[test]
fn an_error_names_the_place_and_what_would_fit() {
    let error = Query::parse("id=val", false).unwrap_err();
    assert_eq!(
        error.message,
        "\"failed to parse filter (val)\" (line 1, column 1)"
    );
    assert_eq!(
        error.details,
        "unexpected \"v\" expecting \"not\" or operator (eq, gt, ...)"
    );
}

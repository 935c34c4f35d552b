//! Every request that is accepted becomes a statement that PostgreSQL can read.

use crate::library::{Answer, Library};
use jarvis_rest::request::query::escape;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

impl Answer {
    /// Whether PostgreSQL could not even read the statement. What a caller writes in the language of text search is theirs.
    pub fn is_malformed(&self) -> bool {
        let unread = [
            "syntax error at",
            "unterminated",
            "zero-length delimited identifier",
            "trailing junk",
            "there is no parameter",
        ];
        let ours = self.text.contains("\"42601\"") && !self.text.contains("tsquery");
        ours || unread.iter().any(|words| self.text.contains(words))
    }
}

/// Names that are there, and names that try to leave their quotes.
fn name() -> BoxedStrategy<String> {
    prop_oneof![
        6 => prop::sample::select(vec![
            "id", "title", "director", "year", "tags", "facts", "initial", "people", "films", "roles", "a", "since",
        ]).prop_map(str::to_owned),
        3 => prop::sample::select(vec![
            "", " ", "*", "\"", "\"\"", "a\"b", "a\"\"b", "\\", "a\\\"", "'", "$1", "$$", "--", "/*", ";", "a.b", "é", "\u{0}",
            "\u{202e}", "a\u{0}\"b", "::", "(", ")", "select", "user", "ROW", "x y",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
    ]
    .prop_flat_map(|name| {
        let quoted = format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
        prop_oneof![Just(name), Just(quoted)]
    })
    .boxed()
}

fn field() -> BoxedStrategy<String> {
    let step = (prop::sample::select(vec!["->", "->>"]), name())
        .prop_map(|(arrow, key)| arrow.to_owned() + &key)
        .boxed();
    let path = prop_oneof![4 => Just(String::new()), 1 => step.clone(), 1 => (step.clone(), step).prop_map(|(a, b)| a + &b)];
    (name(), path).prop_map(|(name, path)| name + &path).boxed()
}

fn selected() -> BoxedStrategy<String> {
    let cast = prop_oneof![
        4 => Just(String::new()),
        1 => prop::sample::select(vec!["::text", "::int", "::json", "::timestamptz", "::double precision"]).prop_map(str::to_owned),
        1 => name().prop_map(|name| format!("::{name}")),
    ];
    let aggregate =
        prop_oneof![4 => Just(""), 1 => prop::sample::select(vec![".sum()", ".count()", ".max()"])];
    let label = prop_oneof![3 => Just(String::new()), 1 => name().prop_map(|name| format!("{name}:"))];
    let one = (label, field(), cast, aggregate)
        .prop_map(|(label, field, cast, aggregate)| label + &field + &cast + aggregate);
    prop_oneof![8 => one, 1 => Just("*".to_owned()), 1 => Just("count()".to_owned())].boxed()
}

fn selection() -> BoxedStrategy<String> {
    let fields = prop::collection::vec(selected(), 0..4)
        .prop_map(|all| all.join(","))
        .boxed();
    let embed = (
        prop::sample::select(vec!["", "...", "label:"]),
        prop_oneof![3 => prop::sample::select(vec!["people", "people!director", "people!inner", "roles"]).prop_map(str::to_owned), 1 => name()],
        fields.clone(),
    )
        .prop_map(|(before, target, inner)| format!("{before}{target}({inner})"));
    (fields, prop::collection::vec(embed, 0..3))
        .prop_map(|(fields, embeds)| {
            let mut all = embeds;
            if !fields.is_empty() {
                all.insert(0, fields);
            }
            all.join(",")
        })
        .boxed()
}

fn filter() -> BoxedStrategy<(String, String)> {
    let operator = prop::sample::select(vec![
        "eq.",
        "neq.",
        "gt.",
        "like.",
        "ilike.*",
        "match.",
        "in.(",
        "is.null",
        "is.true",
        "cs.{",
        "cd.",
        "ov.",
        "fts.",
        "plfts(french).",
        "wfts(",
        "isdistinct.",
        "eq(any).{",
        "like(all).{",
        "not.eq.",
        "sl.",
        "adj.",
        "not.in.(",
        "",
    ]);
    let close = prop::sample::select(vec!["", "}", ")", ",1)", "\"}"]);
    (field(), operator, name(), close)
        .prop_map(|(field, operator, value, close)| (field, format!("{operator}{value}{close}")))
        .boxed()
}

fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    let order = (
        field(),
        prop::sample::select(vec!["", ".asc", ".desc.nullslast", ".nullsfirst"]),
    )
        .prop_map(|(field, how)| field + how);
    let order = prop_oneof![3 => order, 1 => (name(), field()).prop_map(|(relation, field)| format!("{relation}({field})"))];
    let logic = prop::collection::vec(filter(), 1..3)
        .prop_map(|all| {
            let parts: Vec<String> = all
                .into_iter()
                .map(|(field, test)| format!("{field}.{test}"))
                .collect();
            format!("({})", parts.join(","))
        })
        .boxed();
    let names = prop::collection::vec(name(), 1..3)
        .prop_map(|all| all.join(","))
        .boxed();
    let one = prop_oneof![
        4 => selection().prop_map(|text| ("select".to_owned(), text)),
        4 => filter(),
        2 => order.prop_map(|text| ("order".to_owned(), text)),
        1 => logic.clone().prop_map(|text| ("or".to_owned(), text)),
        1 => logic.prop_map(|text| ("not.and".to_owned(), text)),
        1 => names.clone().prop_map(|text| ("columns".to_owned(), text)),
        1 => names.prop_map(|text| ("on_conflict".to_owned(), text)),
        1 => name().prop_map(|text| ("limit".to_owned(), text)),
        1 => (name(), filter()).prop_map(|(embed, (field, test))| (format!("{embed}.{field}"), test)),
    ];
    prop::collection::vec(one, 0..4)
}

/// Method, path, query, body, `Prefer`.
fn request() -> impl Strategy<Value = (&'static str, String, String, String, &'static str)> {
    let target = prop_oneof![
        6 => Just("/films".to_owned()),
        2 => Just("/people".to_owned()),
        1 => Just("/rpc/films_since".to_owned()),
        1 => Just("/rpc/add".to_owned()),
        1 => name().prop_map(|name| format!("/{}", escape(&name))),
    ];
    let method = prop::sample::select(vec![
        "GET", "GET", "GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS",
    ]);
    let body = prop_oneof![
        Just(String::new()),
        prop::collection::vec((name(), name()), 0..3).prop_map(|pairs| {
            let object: serde_json::Map<_, _> = pairs
                .into_iter()
                .map(|(key, value)| (key, value.into()))
                .collect();
            serde_json::Value::Object(object).to_string()
        }),
        Just("[{\"title\": \"a\"}, {\"title\": \"b\"}]".to_owned()),
        Just("title\nnew\n".to_owned()),
        name(),
    ];
    let prefer = prop::sample::select(vec![
        "tx=rollback, return=representation",
        "tx=rollback, return=headers-only, missing=default",
        "tx=rollback, resolution=merge-duplicates, return=representation",
        "tx=rollback, resolution=ignore-duplicates",
        "tx=rollback, count=exact",
        "tx=rollback, count=planned, handling=strict",
    ]);
    (method, target, pairs(), body, prefer).prop_map(|(method, target, pairs, body, prefer)| {
        let query: Vec<String> = pairs
            .iter()
            .map(|(key, value)| format!("{}={}", escape(key), escape(value)))
            .collect();
        (method, target, query.join("&"), body, prefer)
    })
}

#[tokio::test]
async fn every_accepted_request_becomes_a_statement_that_postgresql_can_read() {
    let library = Library::open().await;
    let mut runner = TestRunner::default();
    let (mut answered, requests) = (0, 2000);
    for _ in 0..requests {
        let (method, path, query, body, prefer) = request().new_tree(&mut runner).unwrap().current();
        let url = format!("{path}?{query}");
        let answer = library.send(method, &url, &[("prefer", prefer)], &body).await;
        let status = answer.status.as_u16();
        assert!(status < 500, "{method} {url} {body:?} ({prefer}): {answer:?}");
        assert!(
            !answer.is_malformed(),
            "{method} {url} {body:?} ({prefer}): {answer:?}"
        );
        answered += usize::from(status < 300);
    }
    // Were nearly all of them refused by the grammar, nothing would have been tried.
    assert!(answered * 10 > requests, "{answered} of {requests} were answered");
    assert_eq!(
        library.get("/films?select=count()").await.text,
        r#"[{"count":3}]"#
    );
}

#[tokio::test]
async fn a_name_that_is_empty_or_a_star_in_quotes_is_refused() {
    let library = Library::open().await;
    for path in [
        "/films?select=\"\"",
        "/films?select=\"\":id",
        "/films?select=\"*\"",
        "/films?select=\"*\"::text",
        "/films?select=\"*\"->likeness",
        "/films?select=a:%20(id)",
        "/films?select=people!\"\"(*)",
        "/films?order=\"\"",
        "/films?order=\"*\"",
        "/films?\"\"=eq.1",
        "/films?\"*\"=eq.1",
        "/films?or=(\"\".eq.1)",
    ] {
        let answer = library.get(path).await;
        assert_eq!(answer.status.as_u16(), 400, "{path}: {answer:?}");
        assert_eq!(answer.code(), "PGRST100", "{path}: {answer:?}");
    }
    for path in ["/films?columns=\"\"", "/films?on_conflict=\"\""] {
        let answer = library
            .send("POST", path, &[("prefer", "tx=rollback")], r#"[{"title": "a"}]"#)
            .await;
        assert_eq!(answer.code(), "PGRST100", "{path}: {answer:?}");
    }
}

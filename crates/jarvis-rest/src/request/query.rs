//! The query string: what is selected, filtered, ordered and cut.

use super::field::Field;
use super::filter::{self, EmbedPath, Filter, Logic};
use super::order::{self, OrderTerm};
use super::scan::{Misfit, Scan};
use super::select::{self, Selected};
use super::span::Span;
use crate::error::RestError;
use std::collections::{BTreeMap, BTreeSet};

/// The query string, read.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Sorted and encoded again, for `Content-Location`.
    pub canonical: String,
    /// What is selected.
    pub select: Vec<Selected>,
    /// Filters with their places.
    pub filters: Vec<(EmbedPath, Filter)>,
    /// Names of the parameters that filter, as they were written.
    pub filter_keys: BTreeSet<String>,
    /// Groups of filters with their places.
    pub logic: Vec<(EmbedPath, Logic)>,
    /// Orders with their places.
    pub orders: Vec<(EmbedPath, Vec<OrderTerm>)>,
    /// Cuts of embedded resources and of the whole (the empty path).
    pub spans: BTreeMap<EmbedPath, Span>,
    /// `columns=`: what is written of a body.
    pub columns: Option<BTreeSet<String>>,
    /// `on_conflict=`: what decides about a duplicate.
    pub on_conflict: Option<Vec<String>>,
    /// Arguments of a function that is called by GET, in order.
    pub arguments: Vec<(String, String)>,
}

impl Query {
    /// Reads it. With `calls`, a parameter without an operator is an argument.
    pub fn parse(raw: &str, calls: bool) -> Result<Self, RestError> {
        let pairs = decode(raw);
        let with_nul = |(key, value): &Pair| {
            key.contains('\0') || value.as_ref().is_some_and(|value| value.contains('\0'))
        };
        if pairs.iter().any(with_nul) {
            // No text of PostgreSQL holds one; to leave it out would be to ask for something else.
            let message = "the query string holds a character that PostgreSQL has no place for";
            return Err(RestError::parse(
                message.to_owned(),
                "unexpected \"\\0\"".to_owned(),
            ));
        }
        let mut query = Self {
            canonical: canonical(&pairs),
            ..Self::default()
        };
        let given: Vec<(&str, &str)> = pairs
            .iter()
            .filter_map(|(key, value)| Some((key.as_str(), value.as_deref()?)))
            .collect();
        let first = |name: &str| {
            given
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| *value)
        };
        query.select = select::parse(first("select").unwrap_or("*"))?;
        query.columns = first("columns")
            .map(|text| names(text, "columns parameter"))
            .transpose()?
            .map(BTreeSet::from_iter);
        query.on_conflict = first("on_conflict")
            .map(|text| names(text, "on_conflict parameter"))
            .transpose()?;
        let mut cuts: BTreeMap<EmbedPath, (Option<i64>, Option<i64>)> = BTreeMap::new();
        for (key, value) in given {
            query.take(key, value, calls, &mut cuts)?;
        }
        for (path, (limit, offset)) in cuts {
            query.spans.insert(path, Span::of(limit, offset));
        }
        Ok(query)
    }

    fn take(
        &mut self,
        key: &str,
        value: &str,
        calls: bool,
        cuts: &mut BTreeMap<EmbedPath, (Option<i64>, Option<i64>)>,
    ) -> Result<(), RestError> {
        match key.rsplit('.').next().unwrap_or_default() {
            _ if matches!(key, "select" | "columns" | "on_conflict") => {}
            "and" | "or" => self.logic.push(filter::parse_logic(key, value)?),
            "order" => {
                let (path, _) = filter::parse_path(key)?;
                self.orders.push((path, order::parse(value)?));
            }
            "limit" => cuts.entry(filter::parse_path(key)?.0).or_default().0 = value.parse().ok(),
            "offset" => cuts.entry(filter::parse_path(key)?.0).or_default().1 = value.parse().ok(),
            _ => match filter::parse(key, value, calls)? {
                (path, _, Some(filter)) => {
                    self.filters.push((path, filter));
                    self.filter_keys.insert(key.to_owned());
                }
                (_, Field { name, .. }, None) => {
                    self.arguments.push((name, value.to_owned()));
                    self.filter_keys.insert(key.to_owned());
                }
            },
        }
        Ok(())
    }

    /// Filters of the resource itself.
    pub fn root_filters(&self) -> impl Iterator<Item = &Filter> {
        self.filters
            .iter()
            .filter(|(path, _)| path.is_empty())
            .map(|(_, filter)| filter)
    }
}

fn names(text: &str, what: &str) -> Result<Vec<String>, RestError> {
    let mut scan = Scan::new(text);
    let mut all = Vec::new();
    loop {
        scan.blanks();
        match scan.field_name() {
            Ok(name) => all.push(name),
            Err(Misfit) => return Err(scan.error(what, text)),
        }
        scan.blanks();
        if !scan.eat(',') {
            break;
        }
    }
    if scan.ended() {
        Ok(all)
    } else {
        Err(scan.error(what, text))
    }
}

type Pair = (String, Option<String>);

/// The pairs of a query string or of a form.
pub fn decode(raw: &str) -> Vec<Pair> {
    let parts = raw.split(['&', ';']).filter(|part| !part.is_empty());
    parts
        .map(|part| match part.split_once('=') {
            Some((key, value)) => (unescape(key), Some(unescape(value))),
            None => (unescape(part), None),
        })
        .collect()
}

fn unescape(text: &str) -> String {
    let (bytes, mut plain, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while at < bytes.len() {
        let code = bytes
            .get(at + 1..at + 3)
            .and_then(|hex| std::str::from_utf8(hex).ok());
        match (bytes[at], code.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                plain.push(byte);
                at += 2;
            }
            (b'+', _) => plain.push(b' '),
            (other, _) => plain.push(other),
        }
        at += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Percent-encodes what RFC 3986 does not leave unreserved.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            escaped.push(char::from(b"0123456789ABCDEF"[usize::from(byte >> 4)]));
            escaped.push(char::from(b"0123456789ABCDEF"[usize::from(byte & 15)]));
        }
    }
    escaped
}

fn canonical(pairs: &[Pair]) -> String {
    let mut sorted: Vec<_> = pairs.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let written: Vec<String> = sorted
        .into_iter()
        .map(|(key, value)| format!("{}={}", escape(key), escape(value.as_deref().unwrap_or_default())))
        .collect();
    written.join("&")
}

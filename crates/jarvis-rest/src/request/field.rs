//! Columns, paths into JSON, and operators: what select, filters and order have in common.

use super::scan::{Misfit, Scan, Scanned};

/// A column, and perhaps a way into the JSON it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The column.
    pub name: String,
    /// The way.
    pub path: Vec<JsonStep>,
}

impl Field {
    /// A column alone.
    pub fn column(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            path: Vec::new(),
        }
    }
}

/// One step into JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonStep {
    /// `->>` rather than `->`.
    pub as_text: bool,
    /// Where to.
    pub to: JsonTo,
}

/// Where a step into JSON goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonTo {
    /// A key of an object.
    Key(String),
    /// An element of an array; negative ones count from the end.
    Index(String),
}

/// A field with blanks around it.
pub fn field(scan: &mut Scan) -> Scanned<Field> {
    scan.blanks();
    let name = scan.field_name()?;
    let path = json_path(scan)?;
    scan.blanks();
    Ok(Field { name, path })
}

/// `->a->>1`, or nothing.
pub fn json_path(scan: &mut Scan) -> Scanned<Vec<JsonStep>> {
    let mut steps = Vec::new();
    loop {
        let as_text = scan.word("->>");
        if !as_text && !scan.word("->") {
            return Ok(steps);
        }
        let to = match scan.attempt(index) {
            Some(index) => JsonTo::Index(index),
            None => JsonTo::Key(key(scan)?),
        };
        steps.push(JsonStep { as_text, to });
    }
}

fn index(scan: &mut Scan) -> Scanned<String> {
    let sign = if scan.eat('-') { "-" } else { "" };
    let digits = scan.take_while(|c| c.is_ascii_digit());
    if digits.is_empty() {
        return scan.wanted("digit");
    }
    let ends = ["->", "::", ".", ","].iter().any(|end| scan.ahead(end)) || scan.ended() || scan.ahead(")");
    if ends {
        Ok(format!("{sign}{digits}"))
    } else {
        Err(Misfit)
    }
}

fn key(scan: &mut Scan) -> Scanned<String> {
    if scan.peek() == Some('"') {
        return scan.quoted();
    }
    let is_part = |c: char| !"(-:.,>)".contains(c);
    scan.dashed(is_part, "any non reserved character different from: .,>()")
}

/// A name without dashes and quotes, such as that of a type or of a text search configuration.
pub fn identifier(scan: &mut Scan) -> Scanned<String> {
    let name = scan.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ' ' | '$'));
    if name.is_empty() {
        return scan.wanted("letter or digit");
    }
    Ok(name.trim().to_owned())
}

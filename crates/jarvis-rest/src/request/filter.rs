//! `id=eq.1`, `name=not.ilike(any).{a*,b*}`, `or=(a.eq.1,and(b.gt.2,not.c.is.null))`.

use super::field::{Field, field, identifier, json_path};
use super::scan::{DEEPEST, Misfit, Scan, Scanned};
use crate::error::RestError;

/// A comparison of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Of what.
    pub field: Field,
    /// Whether it is turned round.
    pub negated: bool,
    /// With what.
    pub test: Test,
}

/// A comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// An operator and a value.
    Compare(Operator, String),
    /// An operator that may hold for any or all of a list.
    Quantified(Operator, Option<Quantifier>, String),
    /// `in.(…)`
    In(Vec<String>),
    /// `is.null` and its kin.
    Is(Is),
    /// `isdistinct.…`
    Distinct(String),
    /// Full text search.
    Search(Search, Option<String>, String),
}

/// An operator, spelled in SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operator(pub &'static str);

/// Which elements of a list must fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantifier {
    /// One of them.
    Any,
    /// Each of them.
    All,
}

/// What `is` compares with, spelled in SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Is(pub &'static str);

impl Is {
    /// `is.null`
    pub const NULL: Self = Self("NULL");
    /// `is.not_null`
    pub const NOT_NULL: Self = Self("NOT NULL");
}

/// The function that reads a search, spelled in SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Search(pub &'static str);

/// Filters joined by and, or.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logic {
    /// One filter.
    Filter(Filter),
    /// Several.
    Group {
        /// Whether the group is turned round.
        negated: bool,
        /// `or` rather than `and`.
        any: bool,
        /// What it joins.
        parts: Vec<Logic>,
    },
}

/// The way to an embedded resource, from the outside in.
pub type EmbedPath = Vec<String>;

const SIMPLE: &[(&str, &str)] = &[
    ("neq", "<>"),
    ("cs", "@>"),
    ("cd", "<@"),
    ("ov", "&&"),
    ("sl", "<<"),
    ("sr", ">>"),
    ("nxr", "&<"),
    ("nxl", "&>"),
    ("adj", "-|-"),
];

const QUANTIFIABLE: &[(&str, &str)] = &[
    ("eq", "="),
    ("gte", ">="),
    ("gt", ">"),
    ("lte", "<="),
    ("lt", "<"),
    ("like", "like"),
    ("ilike", "ilike"),
    ("match", "~"),
    ("imatch", "~*"),
];

const SEARCHES: &[(&str, &str)] = &[
    ("fts", "to_tsquery"),
    ("plfts", "plainto_tsquery"),
    ("phfts", "phraseto_tsquery"),
    ("wfts", "websearch_to_tsquery"),
];

const IS: &[(&str, Is)] = &[
    ("not_null", Is::NOT_NULL),
    ("null", Is::NULL),
    ("true", Is("TRUE")),
    ("false", Is("FALSE")),
    ("unknown", Is("UNKNOWN")),
];

/// Reads `path.to.field` and its filter. `Ok(None)` when the value is none and `may_be_plain`.
pub fn parse(
    key: &str,
    value: &str,
    may_be_plain: bool,
) -> Result<(EmbedPath, Field, Option<Filter>), RestError> {
    let (path, field) = parse_path(key)?;
    let mut scan = Scan::new(value);
    match test(&mut scan, Scan::rest) {
        Ok((negated, test)) if scan.ended() => {
            let filter = Filter {
                field: field.clone(),
                negated,
                test,
            };
            Ok((path, field, Some(filter)))
        }
        _ if may_be_plain => Ok((path, field, None)),
        _ => Err(scan.error("filter", value)),
    }
}

/// Reads `path.to.field`.
pub fn parse_path(key: &str) -> Result<(EmbedPath, Field), RestError> {
    let mut scan = Scan::new(key);
    dotted(&mut scan)
        .and_then(|mut names| {
            let path = json_path(&mut scan)?;
            let name = names.pop().ok_or(Misfit)?;
            if scan.ended() {
                Ok((names, Field { name, path }))
            } else {
                Err(Misfit)
            }
        })
        .map_err(|Misfit| scan.error("tree path", key))
}

fn dotted(scan: &mut Scan) -> Scanned<Vec<String>> {
    let mut names = vec![scan.field_name()?];
    while scan.eat('.') {
        names.push(scan.field_name()?);
    }
    Ok(names)
}

/// Reads `path.not.or` and `(…)`.
pub fn parse_logic(key: &str, value: &str) -> Result<(EmbedPath, Logic), RestError> {
    let mut keys = Scan::new(key);
    let mut names = dotted(&mut keys).map_err(|Misfit| keys.error("logic path", key))?;
    let operator = names.pop().unwrap_or_default();
    let negated = names.iter().any(|name| name == "not");
    names.retain(|name| name != "not");
    let whole = format!("{}{operator}{value}", if negated { "not." } else { "" });
    let mut scan = Scan::new(&whole);
    let tree = logic(&mut scan, 0).and_then(|tree| {
        if scan.ended_but_brackets() {
            Ok(tree)
        } else {
            Err(Misfit)
        }
    });
    let tree = tree.map_err(|Misfit| scan.error("logic tree", value))?;
    Ok((names, tree))
}

fn logic(scan: &mut Scan, depth: usize) -> Scanned<Logic> {
    if depth > DEEPEST {
        return scan.wanted("fewer levels of logic");
    }
    if let Some(filter) = scan.attempt(logic_filter) {
        return Ok(Logic::Filter(filter));
    }
    let negated = scan.word("not.");
    if !negated {
        scan.note("negation operator (not)");
    }
    let any = !scan.word("and");
    if any && !scan.word("or") {
        return scan.wanted("logic operator (and, or)");
    }
    scan.blanks();
    if !scan.eat('(') {
        return Err(Misfit);
    }
    let mut parts = Vec::new();
    loop {
        scan.blanks();
        parts.push(logic(scan, depth + 1)?);
        scan.blanks();
        if !scan.eat(',') {
            break;
        }
    }
    if !scan.eat(')') {
        return Err(Misfit);
    }
    scan.blanks();
    Ok(Logic::Group { negated, any, parts })
}

fn logic_filter(scan: &mut Scan) -> Scanned<Filter> {
    let field = field(scan)?;
    if !scan.eat('.') {
        return Err(Misfit);
    }
    let (negated, test) = test(scan, logic_value)?;
    Ok(Filter { field, negated, test })
}

fn logic_value(scan: &mut Scan) -> String {
    let whole = scan.attempt(whole_quoted).or_else(|| scan.attempt(braced));
    whole.unwrap_or_else(|| scan.take_while(|c| c != ',' && c != ')'))
}

fn whole_quoted(scan: &mut Scan) -> Scanned<String> {
    let value = scan.quoted()?;
    match scan.peek() {
        None | Some(',' | ')') => Ok(value),
        Some(_) => Err(Misfit),
    }
}

fn braced(scan: &mut Scan) -> Scanned<String> {
    if !scan.eat('{') {
        return Err(Misfit);
    }
    let inner = scan.take_while(|c| c != '{' && c != '}');
    if scan.eat('}') {
        Ok(format!("{{{inner}}}"))
    } else {
        Err(Misfit)
    }
}

/// An operator and what it compares with.
fn test(scan: &mut Scan, value: impl Fn(&mut Scan) -> String) -> Scanned<(bool, Test)> {
    let negated = scan.word("not.");
    if !negated {
        scan.note("\"not\"");
    }
    scan.note("operator (eq, gt, ...)");
    if scan.word("in.") {
        return list(scan).map(|values| (negated, Test::In(values)));
    }
    if scan.word("is.") {
        return is(scan).map(|is| (negated, Test::Is(is)));
    }
    if scan.word("isdistinct.") {
        return Ok((negated, Test::Distinct(value(scan))));
    }
    if let Some((name, config)) = scan.attempt(search) {
        return Ok((negated, Test::Search(name, config, value(scan))));
    }
    if let Some(operator) = scan.attempt(|scan| named(scan, SIMPLE).and_then(|found| dot(scan, found))) {
        return Ok((negated, Test::Compare(operator, value(scan))));
    }
    let (operator, quantifier) = scan.attempt(quantified).ok_or(Misfit)?;
    Ok((negated, Test::Quantified(operator, quantifier, value(scan))))
}

fn dot<T>(scan: &mut Scan, found: T) -> Scanned<T> {
    if scan.eat('.') { Ok(found) } else { Err(Misfit) }
}

fn named(scan: &mut Scan, operators: &'static [(&str, &'static str)]) -> Scanned<Operator> {
    let found = operators.iter().find(|(name, _)| {
        let here = scan.at();
        // `gt` must not take the beginning of `gte`.
        let fits = scan.word(name) && matches!(scan.peek(), Some('.' | '('));
        if !fits {
            scan.back(here);
        }
        fits
    });
    found.map(|(_, sql)| Operator(sql)).ok_or(Misfit)
}

fn quantified(scan: &mut Scan) -> Scanned<(Operator, Option<Quantifier>)> {
    let operator = named(scan, QUANTIFIABLE)?;
    let quantifier = if scan.word("(any)") {
        Some(Quantifier::Any)
    } else if scan.word("(all)") {
        Some(Quantifier::All)
    } else {
        None
    };
    dot(scan, (operator, quantifier))
}

fn search(scan: &mut Scan) -> Scanned<(Search, Option<String>)> {
    let found = SEARCHES.iter().find(|(name, _)| scan.word(name));
    let (_, function) = found.ok_or(Misfit)?;
    let config = scan.attempt(|scan| {
        if !scan.eat('(') {
            return Err(Misfit);
        }
        let name = identifier(scan)?;
        if scan.eat(')') { Ok(name) } else { Err(Misfit) }
    });
    dot(scan, (Search(function), config))
}

fn is(scan: &mut Scan) -> Scanned<Is> {
    let here = scan.at();
    let word = scan
        .take_while(|c| c.is_ascii_alphabetic() || c == '_')
        .to_ascii_lowercase();
    if let Some((_, is)) = IS.iter().find(|(name, _)| *name == word) {
        return Ok(*is);
    }
    scan.back(here);
    scan.wanted("isVal: (null, not_null, true, false, unknown)")
}

fn list(scan: &mut Scan) -> Scanned<Vec<String>> {
    scan.blanks();
    if !scan.eat('(') {
        return Err(Misfit);
    }
    scan.blanks();
    let mut values = Vec::new();
    loop {
        let quoted = scan.attempt(whole_quoted);
        values.push(quoted.unwrap_or_else(|| scan.take_while(|c| c != ',' && c != ')')));
        if !scan.eat(',') {
            break;
        }
    }
    if !scan.eat(')') {
        return Err(Misfit);
    }
    scan.blanks();
    Ok(values)
}

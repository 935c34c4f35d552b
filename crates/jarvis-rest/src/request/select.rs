//! `select=id,label:name,data->key::text,client:clients!hint!inner(*),...owner(name),amount.sum()`.

use super::field::{Field, JsonTo, field, identifier};
use super::scan::{DEEPEST, Misfit, Scan, Scanned};
use crate::error::RestError;

/// One item of a selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selected {
    /// A column, a computed field or an aggregate.
    Field(SelectedField),
    /// A related resource.
    Embed(Embed),
}

/// A column, a computed field or an aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedField {
    /// What.
    pub field: Field,
    /// Its name in the answer.
    pub alias: Option<String>,
    /// A type to cast to.
    pub cast: Option<String>,
    /// What to compute over the rows.
    pub aggregate: Option<Aggregate>,
    /// A type to cast the aggregate to.
    pub aggregate_cast: Option<String>,
}

/// What is computed over rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// `sum()`
    Sum,
    /// `avg()`
    Avg,
    /// `count()`
    Count,
    /// `max()`
    Max,
    /// `min()`
    Min,
}

impl Aggregate {
    /// Its name in SQL and in the answer.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Max => "max",
            Self::Min => "min",
        }
    }
}

/// A related resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embed {
    /// The relation, the foreign key or the column that leads there.
    pub target: String,
    /// Its name in the answer.
    pub alias: Option<String>,
    /// Which of several relationships.
    pub hint: Option<String>,
    /// Whether a row without it is left out.
    pub inner: bool,
    /// Whether its columns are lifted into the row.
    pub spread: bool,
    /// What of it.
    pub items: Vec<Selected>,
}

/// Reads the parameter.
pub fn parse(text: &str) -> Result<Vec<Selected>, RestError> {
    let mut scan = Scan::new(text);
    forest(&mut scan, 0)
        .and_then(|items| {
            if scan.ended_but_brackets() {
                Ok(items)
            } else {
                Err(Misfit)
            }
        })
        .map_err(|Misfit| scan.error("select parameter", text))
}

fn forest(scan: &mut Scan, depth: usize) -> Scanned<Vec<Selected>> {
    if depth > DEEPEST {
        return scan.wanted("fewer levels of embedding");
    }
    let mut items = Vec::new();
    scan.blanks();
    if scan.peek().is_none() || scan.peek() == Some(')') {
        return Ok(items);
    }
    loop {
        items.push(item(scan, depth)?);
        scan.blanks();
        if !scan.eat(',') {
            return Ok(items);
        }
        scan.blanks();
    }
}

fn item(scan: &mut Scan, depth: usize) -> Scanned<Selected> {
    scan.blanks();
    let head = scan.attempt(embed_head);
    if let Some(mut embed) = head {
        embed.items = forest(scan, depth + 1)?;
        if !scan.eat(')') {
            return Err(Misfit);
        }
        return Ok(Selected::Embed(embed));
    }
    selected_field(scan).map(Selected::Field)
}

/// `...alias:name!hint!inner(`
fn embed_head(scan: &mut Scan) -> Scanned<Embed> {
    let spread = scan.word("...");
    let alias = if spread { None } else { scan.attempt(alias) };
    let target = scan.field_name()?;
    let (mut hint, mut inner) = (None, false);
    for _ in 0..2 {
        if !scan.eat('!') {
            break;
        }
        match scan.field_name()?.as_str() {
            "inner" => inner = true,
            "left" => {}
            other => hint = hint.or_else(|| Some(other.to_owned())),
        }
    }
    if target == "count" || !scan.eat('(') {
        return Err(Misfit);
    }
    Ok(Embed {
        target,
        alias,
        hint,
        inner,
        spread,
        items: Vec::new(),
    })
}

fn alias(scan: &mut Scan) -> Scanned<String> {
    let name = scan.field_name()?;
    if scan.ahead("::") || !scan.eat(':') {
        return Err(Misfit);
    }
    Ok(name)
}

fn selected_field(scan: &mut Scan) -> Scanned<SelectedField> {
    if scan.word("*") {
        at_end(scan)?;
        return Ok(SelectedField {
            field: Field::column("*"),
            alias: None,
            cast: None,
            aggregate: None,
            aggregate_cast: None,
        });
    }
    if let Some(counted) = scan.attempt(counted) {
        return Ok(counted);
    }
    let alias = scan.attempt(alias);
    let field = field(scan)?;
    let last = field.path.last().map(|step| &step.to);
    if alias.is_none() && last == Some(&JsonTo::Key(String::new())) {
        // What has no label is named by its last key, and PostgreSQL has no empty name.
        return scan.wanted("a label");
    }
    let cast = cast(scan)?;
    let aggregate = scan.attempt(aggregate);
    let aggregate_cast = if aggregate.is_some() {
        self::cast(scan)?
    } else {
        None
    };
    at_end(scan)?;
    Ok(SelectedField {
        field,
        alias,
        cast,
        aggregate,
        aggregate_cast,
    })
}

/// `count()`, which counts rows.
fn counted(scan: &mut Scan) -> Scanned<SelectedField> {
    let alias = scan.attempt(alias);
    if !scan.word("count()") {
        return Err(Misfit);
    }
    let aggregate_cast = cast(scan)?;
    at_end(scan)?;
    Ok(SelectedField {
        field: Field::column("*"),
        alias,
        cast: None,
        aggregate: Some(Aggregate::Count),
        aggregate_cast,
    })
}

fn aggregate(scan: &mut Scan) -> Scanned<Aggregate> {
    if !scan.eat('.') {
        return Err(Misfit);
    }
    let all = [
        Aggregate::Sum,
        Aggregate::Avg,
        Aggregate::Count,
        Aggregate::Max,
        Aggregate::Min,
    ];
    for one in all {
        if scan.word(one.name()) && scan.word("()") {
            return Ok(one);
        }
    }
    scan.wanted("an aggregate (sum, avg, count, max, min)")
}

fn cast(scan: &mut Scan) -> Scanned<Option<String>> {
    if !scan.word("::") {
        return Ok(None);
    }
    identifier(scan).map(Some)
}

fn at_end(scan: &mut Scan) -> Scanned<()> {
    scan.blanks();
    if scan.ahead(")") || scan.ahead(",") || scan.ended() {
        return Ok(());
    }
    scan.wanted("\",\"")
}

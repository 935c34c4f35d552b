//! `order=name.desc.nullslast,client(name).asc`.

use super::field::{Field, field};
use super::scan::{Misfit, Scan, Scanned};
use crate::error::RestError;

/// One term of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderTerm {
    /// An embedded to-one resource whose field it is.
    pub relation: Option<String>,
    /// By what.
    pub field: Field,
    /// `ASC` or `DESC`.
    pub direction: Option<&'static str>,
    /// Where nulls stand.
    pub nulls: Option<&'static str>,
}

/// Reads the parameter.
pub fn parse(text: &str) -> Result<Vec<OrderTerm>, RestError> {
    let mut scan = Scan::new(text);
    terms(&mut scan).map_err(|Misfit| scan.error("order", text))
}

fn terms(scan: &mut Scan) -> Scanned<Vec<OrderTerm>> {
    let mut terms = Vec::new();
    loop {
        scan.blanks();
        terms.push(term(scan)?);
        scan.blanks();
        if !scan.eat(',') {
            break;
        }
    }
    if scan.ended() { Ok(terms) } else { Err(Misfit) }
}

fn term(scan: &mut Scan) -> Scanned<OrderTerm> {
    let related = scan.attempt(|scan| {
        let relation = scan.field_name()?;
        if !scan.eat('(') {
            return Err(Misfit);
        }
        let field = field(scan)?;
        if scan.eat(')') {
            Ok((relation, field))
        } else {
            Err(Misfit)
        }
    });
    let (relation, field) = match related {
        Some((relation, field)) => (Some(relation), field),
        None => (None, field(scan)?),
    };
    let direction = suffix(scan, &[(".asc", "ASC"), (".desc", "DESC")]);
    let nulls = suffix(
        scan,
        &[(".nullsfirst", "NULLS FIRST"), (".nullslast", "NULLS LAST")],
    );
    Ok(OrderTerm {
        relation,
        field,
        direction,
        nulls,
    })
}

fn suffix(scan: &mut Scan, known: &[(&str, &'static str)]) -> Option<&'static str> {
    known
        .iter()
        .find(|(word, _)| scan.word(word))
        .map(|(_, sql)| *sql)
}

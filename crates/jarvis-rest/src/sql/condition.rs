//! Fields, conditions and orders.

use super::text::{Spelled, Sql, array_literal};
use crate::cache::Name;
use crate::plan::tree::{Condition, OrderBy, Resolved, SelectField};
use crate::request::field::JsonTo;
use crate::request::filter::{Filter, Quantifier, Test};
use crate::request::select::Aggregate;

/// `relation.column` or `relation.*`.
pub fn column(of: &Name, name: &str) -> Sql {
    let mut sql = Sql::new();
    sql.name(&of.schema, &of.name).raw(".");
    if name == "*" {
        sql.raw("*");
    } else {
        sql.ident(name);
    }
    sql
}

/// A field, and the way into its JSON.
pub fn field(of: &Name, resolved: &Resolved) -> Sql {
    if resolved.whole_row {
        let mut sql = Sql::new();
        sql.ident(&of.name);
        return sql;
    }
    let plain = column(of, &resolved.field.name);
    if resolved.field.path.is_empty() {
        return plain;
    }
    let mut sql = Sql::new();
    if resolved.is_json() {
        sql.append(plain);
    } else {
        sql.raw("to_jsonb(").append(plain).raw(")");
    }
    for step in &resolved.field.path {
        sql.raw(if step.as_text { "->>" } else { "->" });
        match &step.to {
            JsonTo::Key(key) => sql.param(key),
            JsonTo::Index(index) => sql.param(index).raw("::int4"),
        };
    }
    sql
}

fn shown(of: &Name, resolved: &Resolved) -> Sql {
    let plain = field(of, resolved);
    match &resolved.transform {
        Some(function) => applied(function, plain),
        None => plain,
    }
}

fn applied(function: &Spelled, to: Sql) -> Sql {
    let mut sql = Sql::new();
    sql.spelled(function).raw("(").append(to).raw(")");
    sql
}

/// A cast.
pub fn cast(sql: Sql, to: Option<&Spelled>) -> Sql {
    let Some(to) = to else { return sql };
    let mut casted = Sql::of("CAST(");
    casted.append(sql).raw(" AS ").spelled(to).raw(")");
    casted
}

/// An aggregate.
pub fn aggregated(sql: Sql, aggregate: Option<Aggregate>, to: Option<&Spelled>) -> Sql {
    let Some(aggregate) = aggregate else { return sql };
    let mut computed = Sql::of(aggregate.name());
    computed.raw("(").append(sql).raw(")");
    cast(computed, to)
}

/// A field of the answer.
pub fn selected(of: &Name, selected: &SelectField) -> Sql {
    let star = selected.aggregate == Some(Aggregate::Count)
        && selected.field.field.name == "*"
        && !selected.field.whole_row;
    let inner = if star {
        Sql::of("*")
    } else {
        shown(of, &selected.field)
    };
    let casted = cast(inner, selected.cast.as_ref());
    let mut sql = aggregated(casted, selected.aggregate, selected.aggregate_cast.as_ref());
    if let Some(alias) = &selected.alias {
        sql.raw(" AS ").ident(alias);
    }
    sql
}

/// The type that a value is compared as: that of the field, or of what its way into JSON ends at.
fn compared_as(resolved: &Resolved) -> Option<Spelled> {
    let Some(last) = resolved.field.path.last() else {
        return resolved.base.clone();
    };
    let kind = if last.as_text { "text" } else { "jsonb" };
    Some(Spelled::from_catalogue(kind.to_owned()))
}

fn value(text: &str, resolved: &Resolved, as_type: Option<&Spelled>) -> Sql {
    let mut sql = Sql::new();
    match (&resolved.transform, as_type) {
        (Some(function), _) => {
            sql.param(text);
            applied(function, sql)
        }
        (None, Some(kind)) => {
            sql.typed(text, kind);
            sql
        }
        (None, None) => {
            sql.param(text);
            sql
        }
    }
}

fn one_of(values: &[String], resolved: &Resolved, as_type: Option<&Spelled>) -> Sql {
    let mut sql = Sql::of(" = ANY (");
    let values = if values == [String::new()] { &[] } else { values };
    let literal = array_literal(values);
    if let Some(function) = &resolved.transform {
        sql.raw("SELECT ")
            .spelled(function)
            .raw("(unnest(")
            .param(&literal)
            .raw("::text[]))");
    } else {
        match as_type {
            Some(kind) => sql.typed(&literal, &kind.array()),
            None => sql.param(&literal).raw("::text[]"),
        };
    }
    sql.raw(")");
    sql
}

fn filter(of: &Name, filter: &Filter, resolved: &Resolved) -> Sql {
    let mut sql = Sql::of(if filter.negated { "NOT (" } else { "(" });
    let as_type = compared_as(resolved);
    let as_type = as_type.as_ref();
    match &filter.test {
        Test::Search(function, config, text) => {
            let vector = as_type.is_some_and(|kind| kind.as_str() == "tsvector");
            let config_sql = || {
                let mut sql = Sql::new();
                if let Some(config) = config {
                    sql.param(config).raw("::regconfig, ");
                }
                sql
            };
            if vector {
                sql.append(field(of, resolved));
            } else {
                sql.raw("to_tsvector(")
                    .append(config_sql())
                    .append(field(of, resolved))
                    .raw(")");
            }
            sql.raw(" @@ ")
                .raw(function.0)
                .raw("(")
                .append(config_sql())
                .param(text)
                .raw(")");
        }
        Test::Is(is) => {
            sql.append(field(of, resolved)).raw(" IS ").raw(is.0);
        }
        Test::Distinct(text) => {
            sql.append(field(of, resolved))
                .raw(" IS DISTINCT FROM ")
                .append(value(text, resolved, as_type));
        }
        Test::In(values) => {
            sql.append(field(of, resolved))
                .append(one_of(values, resolved, as_type));
        }
        Test::Compare(operator, text) => {
            sql.append(field(of, resolved))
                .raw(" ")
                .raw(operator.0)
                .raw(" ")
                .append(value(text, resolved, as_type));
        }
        Test::Quantified(operator, quantifier, text) => {
            let plain = matches!(operator.0, "like" | "ilike" | "~" | "~*");
            let text = if matches!(operator.0, "like" | "ilike") {
                text.replace('*', "%")
            } else {
                text.clone()
            };
            let text_type = Spelled::from_catalogue("text".to_owned());
            let kind = if plain { Some(&text_type) } else { as_type };
            sql.append(field(of, resolved)).raw(" ").raw(operator.0).raw(" ");
            match quantifier {
                None => sql.append(value(&text, resolved, kind)),
                Some(quantifier) => {
                    sql.raw(if *quantifier == Quantifier::Any {
                        "ANY ("
                    } else {
                        "ALL ("
                    });
                    sql.append(value(&text, resolved, kind.map(Spelled::array).as_ref()))
                        .raw(")")
                }
            };
        }
    }
    sql.raw(")");
    sql
}

/// A condition; `embedded` writes whether a child is there.
pub fn condition(of: &Name, one: &Condition, embedded: &dyn Fn(bool, &str) -> Sql) -> Sql {
    match one {
        Condition::Filter(test, resolved) => filter(of, test, resolved),
        Condition::Embedded { missing, part } => embedded(*missing, part),
        Condition::Group { negated, any, parts } => {
            let mut sql = Sql::of(if *negated { "NOT (" } else { "(" });
            let between = if *any { " OR " } else { " AND " };
            sql.join(between, parts.iter().map(|part| condition(of, part, embedded)))
                .raw(")");
            sql
        }
    }
}

/// Whether a child joined to the statement is there.
pub fn joined(missing: bool, part: &str) -> Sql {
    let mut sql = Sql::new();
    sql.ident(part).raw(if missing {
        " IS NOT DISTINCT FROM NULL"
    } else {
        " IS DISTINCT FROM NULL"
    });
    sql
}

/// `ORDER BY …`, or nothing.
pub fn order(of: &Name, terms: &[OrderBy]) -> Sql {
    let mut sql = Sql::new();
    if terms.is_empty() {
        return sql;
    }
    sql.raw(" ORDER BY ");
    let written = terms.iter().map(|term| {
        let of = term.part.as_deref().map_or_else(|| of.clone(), Name::alias);
        let mut sql = field(&of, &term.field);
        for word in [term.direction, term.nulls].into_iter().flatten() {
            sql.raw(" ").raw(word);
        }
        sql
    });
    sql.join(", ", written);
    sql
}

//! Reading a tree.

use super::condition::{aggregated, column, condition, field, joined, order, selected};
use super::text::Sql;
use crate::cache::Name;
use crate::cache::relationship::{Kind, Pairs};
use crate::plan::tree::{EmbedSelect, OrderBy, ReadNode, Resolved, SelectField, Spread, SpreadField};
use crate::request::field::Field;
use crate::request::span::Span;

const JUNCTION: &str = "pgrst_junction";

/// The statement that reads a node and all that hangs on it.
pub fn read(node: &ReadNode) -> Sql {
    let of = node.reference();
    let mut sql = Sql::of("SELECT ");
    sql.join(", ", selection(node, &of)).append(from(node));
    for (child, embed) in node.children.iter().zip(&node.embeds) {
        sql.append(join(child, embed));
    }
    let mut conditions: Vec<Sql> = node
        .filters
        .iter()
        .map(|one| condition(&of, one, &joined))
        .collect();
    conditions.extend(hanging(node));
    if !conditions.is_empty() {
        sql.raw(" WHERE ").join(" AND ", conditions);
    }
    sql.append(group(node, &of))
        .append(order(&of, &node.order))
        .append(cut(node.span));
    sql
}

fn selection(node: &ReadNode, of: &Name) -> Vec<Sql> {
    let mut items: Vec<Sql> = node.select.iter().map(|one| selected(of, one)).collect();
    if node.select.is_empty() && node.children.is_empty() {
        items.push(column(of, "*"));
    }
    if let Some(Spread::Many { extra, .. }) = &node.spread {
        for (part, one) in extra {
            let of = part.as_deref().map_or_else(|| of.clone(), Name::alias);
            items.push(selected(&of, one));
        }
    }
    for (child, embed) in node.children.iter().zip(&node.embeds) {
        items.extend(embedded(child, embed));
    }
    // Embeds that only filter leave a row without columns, which PostgreSQL allows.
    items
}

fn embedded(child: &ReadNode, embed: &EmbedSelect) -> Vec<Sql> {
    let mut sql = Sql::new();
    match embed {
        EmbedSelect::Nothing => return Vec::new(),
        EmbedSelect::One { label } => {
            sql.raw("row_to_json(")
                .ident(&child.part)
                .raw(".*)::jsonb AS ")
                .ident(label);
        }
        EmbedSelect::Many { label } => {
            sql.raw("COALESCE(")
                .ident(&child.part)
                .raw(".")
                .ident(&child.part)
                .raw(", '[]') AS ")
                .ident(label);
        }
        EmbedSelect::Spread(fields) => return fields.iter().map(|one| lifted(child, one)).collect(),
    }
    vec![sql]
}

fn lifted(child: &ReadNode, one: &SpreadField) -> Sql {
    let plain = column(&Name::alias(&child.part), &one.name);
    let mut sql = aggregated(plain, one.aggregate, one.aggregate_cast.as_ref());
    if let Some(alias) = &one.alias {
        sql.raw(" AS ").ident(alias);
    }
    sql
}

/// `FROM …`, with the junction or the function that leads there.
fn from(node: &ReadNode) -> Sql {
    let mut sql = Sql::of(" FROM ");
    match node
        .relationship
        .as_ref()
        .map(|relationship| (&relationship.kind, &relationship.from))
    {
        Some((Kind::Computed { function, .. }, of)) => {
            // The cast chooses among overloads of the function.
            sql.name(&function.schema, &function.name)
                .raw("(")
                .ident(&node.parent.name)
                .raw("::");
            sql.name(&of.schema, &of.name).raw(")");
        }
        _ => {
            sql.name(&node.from.schema, &node.from.name);
        }
    }
    if let Some(alias) = &node.alias {
        sql.raw(" AS ").ident(alias);
    }
    if let Some(Kind::ManyToMany(junction)) =
        node.relationship.as_ref().map(|relationship| &relationship.kind)
    {
        sql.raw(", ")
            .name(&junction.table.schema, &junction.table.name)
            .raw(" AS ")
            .ident(JUNCTION);
    }
    sql
}

/// How it hangs on its parent.
fn hanging(node: &ReadNode) -> Vec<Sql> {
    let equal = |pairs: &Pairs, left: &Name, right: &Name| -> Vec<Sql> {
        let one = |(a, b): &(String, String)| {
            let mut sql = column(left, a);
            sql.raw(" = ").append(column(right, b));
            sql
        };
        pairs.iter().map(one).collect()
    };
    let own = node.reference();
    match node.relationship.as_ref().map(|relationship| &relationship.kind) {
        Some(
            Kind::OneToMany { pairs, .. } | Kind::ManyToOne { pairs, .. } | Kind::OneToOne { pairs, .. },
        ) => equal(pairs, &node.parent, &own),
        Some(Kind::ManyToMany(junction)) => {
            let between = Name::alias(JUNCTION);
            let mut all = equal(&junction.end_pairs, &own, &between);
            all.extend(equal(&junction.start_pairs, &node.parent, &between));
            all
        }
        Some(Kind::Computed { .. }) | None => Vec::new(),
    }
}

fn join(child: &ReadNode, embed: &EmbedSelect) -> Sql {
    let mut sql = Sql::of(if child.inner {
        " INNER JOIN LATERAL ("
    } else {
        " LEFT JOIN LATERAL ("
    });
    let as_array = match (&child.spread, embed) {
        (Some(Spread::Many { .. }), _) => true,
        (Some(Spread::One), _) => false,
        (None, _) => !child.to_one(),
    };
    if !as_array {
        sql.append(read(child))
            .raw(") AS ")
            .ident(&child.part)
            .raw(" ON TRUE");
        return sql;
    }
    let part = child.part.as_str();
    sql.raw("SELECT json_agg(")
        .ident(part)
        .raw(")::jsonb AS ")
        .ident(part);
    if let (Some(Spread::Many { order, .. }), EmbedSelect::Spread(fields)) = (&child.spread, embed) {
        for one in fields {
            sql.raw(", ").append(gathered(part, one, order));
        }
    }
    sql.raw(" FROM (")
        .append(read(child))
        .raw(") AS ")
        .ident(part)
        .raw(") AS ")
        .ident(part)
        .raw(" ON ");
    if child.inner {
        sql.ident(part).raw(" IS NOT NULL");
    } else {
        sql.raw("TRUE");
    }
    sql
}

/// A column of many rows as an array.
fn gathered(part: &str, one: &SpreadField, terms: &[OrderBy]) -> Sql {
    let of = Name::alias(part);
    let mut sql = Sql::of("COALESCE(json_agg(");
    sql.append(column(&of, &one.name))
        .append(order(&of, terms))
        .raw("), '[]')::jsonb AS ");
    sql.ident(one.alias.as_ref().unwrap_or(&one.name));
    sql
}

fn group(node: &ReadNode, of: &Name) -> Sql {
    let lifted_aggregate = node.embeds.iter().any(|embed| match embed {
        EmbedSelect::Spread(fields) => fields.iter().any(|one| one.aggregate.is_some()),
        _ => false,
    });
    let mut terms: Vec<Sql> = node.select.iter().filter_map(|one| group_term(of, one)).collect();
    for (child, embed) in node.children.iter().zip(&node.embeds) {
        match embed {
            EmbedSelect::One { label } | EmbedSelect::Many { label } => {
                let mut sql = Sql::new();
                sql.ident(label);
                terms.push(sql);
            }
            EmbedSelect::Spread(fields) => {
                let plain = fields.iter().filter(|one| one.aggregate.is_none());
                terms.extend(
                    plain.map(|one| {
                        column(&Name::alias(&child.part), one.alias.as_ref().unwrap_or(&one.name))
                    }),
                );
            }
            EmbedSelect::Nothing => {}
        }
    }
    let computes = lifted_aggregate || node.select.iter().any(|one| one.aggregate.is_some());
    let mut sql = Sql::new();
    if computes && !terms.is_empty() {
        sql.raw(" GROUP BY ").join(", ", terms);
    }
    sql
}

fn group_term(of: &Name, one: &SelectField) -> Option<Sql> {
    if one.aggregate.is_some() {
        return None;
    }
    Some(match &one.alias {
        Some(alias) => {
            let mut sql = Sql::new();
            sql.ident(alias);
            sql
        }
        None => field(of, &one.field),
    })
}

fn cut(span: Span) -> Sql {
    let mut sql = Sql::new();
    if let Some(limit) = span.limit() {
        sql.raw(" LIMIT ").number(limit);
    }
    if span.start > 0 {
        sql.raw(" OFFSET ").number(span.start);
    }
    sql
}

/// One row for each row of the root, whatever limit it has; what is embedded counts only where it filters.
pub fn counting(node: &ReadNode) -> Sql {
    let of = node.reference();
    let mut sql = Sql::of("SELECT 1");
    sql.append(from(node));
    let there = |missing: bool, part: &str| {
        let mut sql = Sql::of(if missing { "NOT EXISTS (" } else { "EXISTS (" });
        if let Some(child) = node.children.iter().find(|child| child.part == part) {
            sql.append(counting(child));
        }
        sql.raw(")");
        sql
    };
    let mut conditions: Vec<Sql> = node
        .filters
        .iter()
        .map(|one| condition(&of, one, &there))
        .collect();
    conditions.extend(hanging(node));
    for child in node.children.iter().filter(|child| child.inner) {
        let mut exists = Sql::of("EXISTS (");
        exists.append(counting(child)).raw(")");
        conditions.push(exists);
    }
    if !conditions.is_empty() {
        sql.raw(" WHERE ").join(" AND ", conditions);
    }
    sql
}

/// A column as it is, for `RETURNING`.
pub fn plain(of: &Name, name: &str) -> Sql {
    field(of, &Resolved::unknown(Field::column(name)))
}

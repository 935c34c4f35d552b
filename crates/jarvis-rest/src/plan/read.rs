//! From a request to the tree of what is read.

use super::fields::Fields;
use super::relate;
use super::tree::{
    Asked, Condition, EmbedSelect, OrderBy, ReadNode, Resolved, SelectField, Spread, SpreadField,
};
use crate::cache::{Name, Routine, SchemaCache};
use crate::error::RestError;
use crate::request::ApiRequest;
use crate::request::field::Field;
use crate::request::filter::{Is, Logic, Test};
use crate::request::select::Aggregate;
use crate::request::span::Span;
use crate::settings::Settings;
use crate::sql::SOURCE;
use std::collections::BTreeSet;

/// Where the rows of the root come from.
#[derive(Debug, Clone, Copy)]
pub enum Root<'a> {
    /// The relation.
    Relation,
    /// What a change returns.
    Change,
    /// What a function returns.
    Function(&'a Routine),
}

/// What the whole tree is planned with.
struct Planner<'a> {
    cache: &'a SchemaCache,
    settings: &'a Settings,
    schema: &'a str,
    root: Root<'a>,
}

/// Plans what is read of a relation.
pub fn plan(
    request: &ApiRequest,
    cache: &SchemaCache,
    settings: &Settings,
    relation: &Name,
    root: Root<'_>,
) -> Result<ReadNode, RestError> {
    let asked = asked(request, settings, root)?;
    let planner = Planner {
        cache,
        settings,
        schema: &relation.schema,
        root,
    };
    let mut node = planner.root(&asked, relation)?;
    planner.refuse_aggregates(&node)?;
    hoist(&mut node);
    lift_orders(&mut node)?;
    Ok(node)
}

/// What the request says of each node.
fn asked(request: &ApiRequest, settings: &Settings, root: Root<'_>) -> Result<Asked, RestError> {
    let query = &request.query;
    let legacy = settings.legacy_target_names;
    let changes = matches!(root, Root::Change);
    let mut tree = Asked::of(&query.select, None);
    for (path, filter) in query
        .filters
        .iter()
        .filter(|(path, _)| !(changes && path.is_empty()))
    {
        tree.at(path, legacy)?.filters.push(Logic::Filter(filter.clone()));
    }
    for (path, terms) in &query.orders {
        tree.at(path, legacy)?.order.clone_from(terms);
    }
    for (path, logic) in query
        .logic
        .iter()
        .filter(|(path, _)| !(changes && path.is_empty()))
    {
        tree.at(path, legacy)?.filters.push(logic.clone());
    }
    if !changes {
        for (path, span) in &query.spans {
            let span = if path.is_empty() {
                request.span
            } else {
                span.both(None)?
            };
            tree.at(path, legacy)?.span = Some(span);
        }
        tree.span = Some(request.span);
    }
    Ok(tree)
}

impl Planner<'_> {
    fn root(&self, asked: &Asked, relation: &Name) -> Result<ReadNode, RestError> {
        let (from, alias) = match self.root {
            Root::Relation => (relation.clone(), None),
            Root::Change | Root::Function(_) => (Name::alias(SOURCE), Some(relation.name.clone())),
        };
        let mut node = empty(from, alias, relation.clone());
        node.target.clone_from(&relation.name);
        self.fill(&mut node, asked, false)?;
        Ok(node)
    }

    fn child(
        &self,
        parent: &ReadNode,
        asked: &Asked,
        place: usize,
        aggregated: bool,
    ) -> Result<ReadNode, RestError> {
        let embed = asked
            .embed
            .clone()
            .expect("every child of a selection comes from an embed");
        let relationship = relate::find(
            self.cache,
            self.schema,
            &parent.relation.name,
            &embed.target,
            embed.hint.as_deref(),
        )?;
        let depth = parent.depth + 1;
        let alias = format!("{}_{depth}", short(&relationship.to.name));
        let mut node = empty(relationship.to.clone(), Some(alias), relationship.to.clone());
        node.depth = depth;
        node.part = format!("pgrst_{depth}_{place}");
        node.parent = parent.reference();
        node.spread = match (embed.spread, relationship.to_one()) {
            (false, _) => None,
            (true, true) => Some(Spread::One),
            (true, false) => Some(Spread::Many {
                extra: Vec::new(),
                order: Vec::new(),
            }),
        };
        node.relationship = Some(relationship);
        node.target = embed.target;
        node.label = embed.alias;
        node.hint = embed.hint;
        node.inner = embed.inner;
        node.named_by_target = asked.named_by_target;
        let aggregated = aggregated || matches!(node.spread, Some(Spread::Many { .. }));
        self.fill(&mut node, asked, aggregated)?;
        Ok(node)
    }

    fn fill(&self, node: &mut ReadNode, asked: &Asked, aggregated: bool) -> Result<(), RestError> {
        let aggregated = aggregated || asked.fields.iter().any(|field| field.aggregate.is_some());
        let relation = node.relation.clone();
        let fields = Fields {
            cache: self.cache,
            settings: self.settings,
            relation: &relation,
            routine: match self.root {
                Root::Function(routine) if node.depth == 0 => Some(routine),
                _ => None,
            },
        };
        node.select = fields.select(&asked.fields, aggregated)?;
        if node.spread.is_some() {
            name_aggregates(&mut node.select);
        }
        node.order = fields.order(&asked.order);
        let most = if matches!(self.root, Root::Change) {
            None
        } else {
            self.settings.max_rows
        };
        node.span = asked.span.unwrap_or(Span::ALL).at_most(most);
        for (place, child) in asked.children.iter().enumerate() {
            let child = self.child(node, child, place, aggregated)?;
            node.children.push(child);
        }
        refuse_twins(node)?;
        node.filters = asked.filters.iter().map(|logic| fields.logic(logic)).collect();
        for filter in &mut node.filters {
            ask_for_embeds(filter, &node.children);
        }
        node.order = related(std::mem::take(&mut node.order), node)?;
        node.embeds = node.children.iter().map(taken).collect();
        Ok(())
    }

    fn refuse_aggregates(&self, node: &ReadNode) -> Result<(), RestError> {
        if !self.settings.aggregates && node.select.iter().any(|field| field.aggregate.is_some()) {
            return Err(RestError::bad(
                "PGRST123",
                "Use of aggregate functions is not allowed",
            ));
        }
        node.children
            .iter()
            .try_for_each(|child| self.refuse_aggregates(child))
    }
}

fn empty(from: Name, alias: Option<String>, relation: Name) -> ReadNode {
    ReadNode {
        from,
        alias,
        relation,
        select: Vec::new(),
        filters: Vec::new(),
        order: Vec::new(),
        span: Span::ALL,
        target: String::new(),
        label: None,
        hint: None,
        inner: false,
        spread: None,
        part: String::new(),
        relationship: None,
        parent: Name::default(),
        embeds: Vec::new(),
        children: Vec::new(),
        depth: 0,
        named_by_target: false,
    }
}

/// Two embeds of one name would overwrite each other in the answer.
fn refuse_twins(node: &ReadNode) -> Result<(), RestError> {
    let mut seen = BTreeSet::new();
    for child in node.children.iter().filter(|child| child.spread.is_none()) {
        if !seen.insert(child.shown()) {
            let name = format!("{}_{}_{}", node.relation.name, child.shown(), child.depth);
            return Err(RestError::bad(
                "42712",
                format!("table name \"{name}\" specified more than once"),
            ));
        }
    }
    Ok(())
}

/// PostgreSQL cuts names at 63 bytes; the depth must survive.
fn short(name: &str) -> &str {
    let mut end = name.len().min(50);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// A lifted aggregate needs a name that the parent can say.
fn name_aggregates(fields: &mut [SelectField]) {
    for field in fields {
        if let Some(aggregate) = field.aggregate {
            field.field.whole_row = field.field.field.name == "*" && aggregate == Aggregate::Count;
            field.alias.get_or_insert_with(|| aggregate.name().to_owned());
        }
    }
}

/// `clients=not.is.null` asks whether an embedded resource is there.
fn ask_for_embeds(condition: &mut Condition, children: &[ReadNode]) {
    match condition {
        Condition::Group { parts, .. } => {
            for part in parts {
                ask_for_embeds(part, children);
            }
        }
        Condition::Filter(filter, _) if filter.field.path.is_empty() => {
            let Some(child) = children.iter().find(|child| child.shown() == filter.field.name) else {
                return;
            };
            let missing = match filter.test {
                Test::Is(Is::NULL) => !filter.negated,
                Test::Is(Is::NOT_NULL) => filter.negated,
                _ => return,
            };
            let part = child.part.clone();
            *condition = Condition::Embedded { missing, part };
        }
        Condition::Filter(..) | Condition::Embedded { .. } => {}
    }
}

/// Orders by a field of an embedded resource, which must be one row.
fn related(order: Vec<OrderBy>, node: &ReadNode) -> Result<Vec<OrderBy>, RestError> {
    let resolve = |mut term: OrderBy| {
        let Some(name) = &term.part else { return Ok(term) };
        let child = node.children.iter().find(|child| child.shown() == name);
        let child = child.ok_or_else(|| RestError::not_embedded(name))?;
        if !child.to_one() {
            let message = format!("A related order on '{name}' is not possible");
            let details = format!(
                "'{}' and '{name}' do not form a many-to-one or one-to-one relationship",
                node.relation.name
            );
            return Err(RestError::bad("PGRST118", message).details(details));
        }
        term.part = Some(child.part.clone());
        Ok(term)
    };
    order.into_iter().map(resolve).collect()
}

fn taken(child: &ReadNode) -> EmbedSelect {
    let label = child.shown().to_owned();
    match &child.spread {
        Some(_) => EmbedSelect::Spread(lifted(child)),
        None if shows_nothing(child) => EmbedSelect::Nothing,
        None if child.to_one() => EmbedSelect::One { label },
        None => EmbedSelect::Many { label },
    }
}

/// `clients()`: only there to filter.
fn shows_nothing(node: &ReadNode) -> bool {
    node.select.is_empty() && node.children.iter().all(shows_nothing)
}

fn lifted(child: &ReadNode) -> Vec<SpreadField> {
    let plain = |name: &str| SpreadField {
        name: name.to_owned(),
        aggregate: None,
        aggregate_cast: None,
        alias: None,
    };
    let own = child
        .select
        .iter()
        .map(|field| plain(field.alias.as_ref().unwrap_or(&field.field.field.name)));
    let mut all: Vec<SpreadField> = own.collect();
    for embed in &child.embeds {
        match embed {
            EmbedSelect::One { label } | EmbedSelect::Many { label } => all.push(plain(label)),
            EmbedSelect::Spread(fields) => all.extend(
                fields
                    .iter()
                    .map(|field| plain(field.alias.as_ref().unwrap_or(&field.name))),
            ),
            EmbedSelect::Nothing => {}
        }
    }
    all
}

/// An aggregate in a lifted to-one resource is computed over the parent's rows: it moves up to the first node that is
/// not lifted itself. Returns what moves further.
fn hoist(node: &mut ReadNode) -> Vec<(String, SelectField)> {
    let mut moved = Vec::new();
    for place in 0..node.children.len() {
        let from_child = hoist(&mut node.children[place]);
        if let EmbedSelect::Spread(fields) = &mut node.embeds[place]
            && !matches!(node.spread, Some(Spread::One))
        {
            for field in fields {
                let Some((_, aggregate)) = from_child.iter().find(|(name, _)| *name == field.name) else {
                    continue;
                };
                field.aggregate = aggregate.aggregate;
                field.aggregate_cast.clone_from(&aggregate.aggregate_cast);
                field.alias.clone_from(&aggregate.alias);
            }
        }
        moved.extend(from_child);
    }
    if !matches!(node.spread, Some(Spread::One)) {
        return Vec::new();
    }
    for field in &mut node.select {
        if field.aggregate.is_some() {
            let name = field.alias.as_ref().unwrap_or(&field.field.field.name).clone();
            moved.push((name, field.clone()));
            field.aggregate = None;
            field.aggregate_cast = None;
        }
    }
    moved
}

/// The order of a lifted to-many resource becomes the order within its arrays.
fn lift_orders(node: &mut ReadNode) -> Result<(), RestError> {
    if let Some(Spread::Many { extra, order }) = &mut node.spread {
        let lifted = node.embeds.iter().any(|embed| matches!(embed, EmbedSelect::Spread(fields) if fields.iter().any(|field| field.aggregate.is_some())));
        if lifted || node.select.iter().any(|field| field.aggregate.is_some()) {
            return Err(RestError::not_implemented(
                "Aggregates are not implemented for one-to-many or many-to-many spreads.",
            ));
        }
        for (place, term) in std::mem::take(&mut node.order).into_iter().enumerate() {
            let name = format!("{}_order_{place}", node.part);
            let mut selected = SelectField::plain(term.field.clone());
            selected.alias = Some(name.clone());
            extra.push((term.part.clone(), selected));
            order.push(OrderBy {
                part: None,
                field: Resolved::unknown(Field::column(&name)),
                ..term
            });
        }
    }
    node.children.iter_mut().try_for_each(lift_orders)
}

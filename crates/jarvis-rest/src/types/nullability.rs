//! Which columns of a view are never null. PostgreSQL calls them all nullable; the view's query tells more: a column is never
//! null when it is plainly a column that never is, reached through no side of an outer join that may be missing. Grouping sets
//! and set operations may add nulls, so nothing is said of those.

use super::nodes::{Node, parse};
use super::read::Relation;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

/// A line of a column's comment that promises it.
const PROMISE: &str = "@notNull";

/// Marks the columns of views that are never null.
pub fn apply(relations: &mut [Relation], trees: &HashMap<i64, &str>, not_null: &HashSet<(i64, i64)>) {
    let views = Views {
        trees,
        not_null,
        known: RefCell::new(HashMap::new()),
    };
    for relation in relations
        .iter_mut()
        .filter(|relation| trees.contains_key(&relation.oid))
    {
        let never = views.never_null(relation.oid);
        for column in &mut relation.columns {
            let promised = || {
                let lines = column.comment.iter().flat_map(|comment| comment.lines());
                lines.into_iter().any(|line| line.trim() == PROMISE)
            };
            column.not_null = column.not_null || never.contains(&column.number) || promised();
        }
    }
}

struct Views<'a> {
    trees: &'a HashMap<i64, &'a str>,
    not_null: &'a HashSet<(i64, i64)>,
    known: RefCell<HashMap<i64, HashSet<i64>>>,
}

/// What a variable may range over, as in PostgreSQL's `RTEKind`.
mod range {
    pub const RELATION: &str = "0";
    pub const SUBQUERY: &str = "1";
    pub const JOIN: &str = "2";
    pub const CTE: &str = "6";
    pub const GROUP: &str = "9";
}

impl Views<'_> {
    fn never_null(&self, view: i64) -> HashSet<i64> {
        if let Some(known) = self.known.borrow().get(&view) {
            return known.clone();
        }
        // A circle, which PostgreSQL forbids, would find nothing here.
        self.known.borrow_mut().insert(view, HashSet::new());
        let tree = self.trees.get(&view).and_then(|text| parse(text));
        let query = tree.as_ref().and_then(|tree| tree.list().first());
        let found: HashSet<i64> = match query {
            Some(query) if may_be_told(query) => query
                .field("targetList")
                .list()
                .iter()
                .filter(|entry| entry.is("TARGETENTRY") && entry.field("resjunk").text() != Some("true"))
                .filter(|entry| self.expression(entry.field("expr"), &[query]))
                .filter_map(|entry| entry.field("resno").number())
                .collect(),
            _ => HashSet::new(),
        };
        self.known.borrow_mut().insert(view, found.clone());
        found
    }

    /// Whether an expression is never null, in a query within queries.
    fn expression(&self, expression: &Node, within: &[&Node]) -> bool {
        let Some(query) = within.last() else { return false };
        if !expression.is("VAR") || expression.field("varlevelsup").text() != Some("0") {
            return false;
        }
        let (Some(place), Some(number)) = (
            expression.field("varno").number(),
            expression.field("varattno").number(),
        ) else {
            return false;
        };
        if number <= 0 || place <= 0 || may_be_missing(query).contains(&place) {
            return false;
        }
        let nth = |list: &Node, number: i64| -> Option<usize> {
            usize::try_from(number - 1)
                .ok()
                .filter(|at| *at < list.list().len())
        };
        let Some(entry) = nth(query.field("rtable"), place).map(|at| &query.field("rtable").list()[at])
        else {
            return false;
        };
        let aliased =
            |list: &Node| nth(list, number).is_some_and(|at| self.expression(&list.list()[at], within));
        match entry.field("rtekind").text() {
            Some(range::RELATION) => entry.field("relid").number().is_some_and(|relation| {
                if self.trees.contains_key(&relation) {
                    self.never_null(relation).contains(&number)
                } else {
                    self.not_null.contains(&(relation, number))
                }
            }),
            Some(range::SUBQUERY) => self.output(entry.field("subquery"), number, within),
            Some(range::JOIN) => aliased(entry.field("joinaliasvars")),
            Some(range::GROUP) => aliased(entry.field("groupexprs")),
            Some(range::CTE) => self.common(entry, number, within),
            _ => false,
        }
    }

    /// A column of a `with` query, which stands in this query or in one around it.
    fn common(&self, entry: &Node, number: i64, within: &[&Node]) -> bool {
        let up = entry
            .field("ctelevelsup")
            .number()
            .and_then(|up| usize::try_from(up).ok());
        let Some(depth) = up
            .and_then(|up| within.len().checked_sub(up))
            .filter(|depth| *depth > 0)
        else {
            return false;
        };
        let name = entry.field("ctename").text();
        let named = within[depth - 1]
            .field("cteList")
            .list()
            .iter()
            .find(|common| common.is("COMMONTABLEEXPR") && common.field("ctename").text() == name);
        named.is_some_and(|common| {
            common.field("cterecursive").text() != Some("true")
                && self.output(common.field("ctequery"), number, &within[..depth])
        })
    }

    /// A column of a query within these queries.
    fn output(&self, query: &Node, number: i64, within: &[&Node]) -> bool {
        let mut entries = query.field("targetList").list().iter();
        may_be_told(query)
            && entries
                .find(|entry| entry.is("TARGETENTRY") && entry.field("resno").number() == Some(number))
                .is_some_and(|entry| self.expression(entry.field("expr"), &[within, &[query]].concat()))
    }
}

fn may_be_told(query: &Node) -> bool {
    query.is("QUERY")
        && matches!(query.field("setOperations"), Node::Nothing)
        && query.field("groupingSets").list().is_empty()
}

/// What a query ranges over on a side of an outer join that may be missing.
fn may_be_missing(query: &Node) -> HashSet<i64> {
    let mut found = HashSet::new();
    collect(query.field("jointree"), false, &mut found);
    found
}

/// Joins, as in PostgreSQL's `JoinType`: 0 inner, 1 left, 2 full, 3 right.
fn collect(node: &Node, missing: bool, found: &mut HashSet<i64>) {
    if node.is("RANGETBLREF") || node.is("JOINEXPR") {
        found.extend(node.field("rtindex").number().filter(|_| missing));
    }
    if node.is("FROMEXPR") {
        for each in node.field("fromlist").list() {
            collect(each, missing, found);
        }
    } else if node.is("JOINEXPR") {
        let join = node.field("jointype").text();
        collect(
            node.field("larg"),
            missing || !matches!(join, Some("0" | "1")),
            found,
        );
        collect(
            node.field("rarg"),
            missing || !matches!(join, Some("0" | "3")),
            found,
        );
    }
}

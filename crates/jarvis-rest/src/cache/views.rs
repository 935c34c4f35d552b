//! Which column of a view is which column of a table, read from the tree of its query that PostgreSQL keeps
//! (`pg_rewrite.ev_action`, in the format of `nodeToString`).

use std::collections::HashMap;

/// A column of a relation: its oid, its number.
pub type Origin = (i64, i64);

/// The columns of each view that are columns of something else: view, number of the column, origin.
pub type Origins = HashMap<i64, Vec<(i64, Origin)>>;

/// The columns of one view's query.
pub fn columns(tree: &str) -> Vec<(i64, Origin)> {
    let mut found = Vec::new();
    let mut words = words(tree);
    let mut depth = 0_usize;
    // Brackets say how deep a word stands: the query's own columns are two braces deep.
    let mut entry: Option<(Option<i64>, Option<i64>, Option<i64>)> = None;
    while let Some(word) = words.next() {
        match word {
            "{" => {
                depth += 1;
                if depth == 2 {
                    entry = (words.next() == Some("TARGETENTRY")).then_some((None, None, None));
                }
            }
            "}" => {
                if depth == 2
                    && let Some((Some(number), Some(relation), Some(column))) = entry.take()
                    && relation != 0
                    && column > 0
                {
                    found.push((number, (relation, column)));
                }
                depth = depth.saturating_sub(1);
            }
            ":resno" if depth == 2 => set(&mut entry, words.next(), |entry| &mut entry.0),
            ":resorigtbl" if depth == 2 => set(&mut entry, words.next(), |entry| &mut entry.1),
            ":resorigcol" if depth == 2 => set(&mut entry, words.next(), |entry| &mut entry.2),
            _ => {}
        }
    }
    found
}

type Entry = (Option<i64>, Option<i64>, Option<i64>);

fn set(entry: &mut Option<Entry>, word: Option<&str>, place: impl Fn(&mut Entry) -> &mut Option<i64>) {
    if let Some(entry) = entry {
        *place(entry) = word.and_then(|word| word.parse().ok());
    }
}

/// Words, braces and parentheses; a backslash makes the next character part of a word.
pub fn words(tree: &str) -> impl Iterator<Item = &str> {
    let bytes = tree.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() && matches!(bytes[at], b' ' | b'\n' | b'\t') {
            at += 1;
        }
        let start = at;
        if at >= bytes.len() {
            return None;
        }
        if matches!(bytes[at], b'{' | b'}' | b'(' | b')') {
            at += 1;
            return Some(&tree[start..at]);
        }
        while at < bytes.len() && !matches!(bytes[at], b' ' | b'\n' | b'\t' | b'(' | b')' | b'{' | b'}') {
            at += if bytes[at] == b'\\' { 2 } else { 1 };
        }
        at = at.min(bytes.len());
        Some(tree.get(start..at).unwrap_or(""))
    })
}

/// Follows views of views down to tables. A circle, which PostgreSQL forbids, would end it.
pub fn to_tables(direct: &Origins) -> Origins {
    let mut resolved = Origins::new();
    for (view, columns) in direct {
        let mut all = Vec::new();
        for (number, origin) in columns {
            let mut reached = vec![*origin];
            for _ in 0..32 {
                let Some(next) = reached.last().and_then(|last| step(direct, *last)) else {
                    break;
                };
                reached.push(next);
            }
            all.extend(reached.into_iter().map(|origin| (*number, origin)));
        }
        resolved.insert(*view, all);
    }
    resolved
}

fn step(direct: &Origins, (relation, column): Origin) -> Option<Origin> {
    let columns = direct.get(&relation)?;
    columns
        .iter()
        .find(|(number, _)| *number == column)
        .map(|(_, origin)| *origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_the_query_itself_are_read_and_those_within_are_not() {
        let tree = "({QUERY :commandType 1 :cteList <> :targetList ({TARGETENTRY :expr {VAR :varno 1} :resno 1 \
                    :resname a\\ b\\} :resorigtbl 7 :resorigcol 2 :resjunk false} {TARGETENTRY :expr {SUBLINK :q {QUERY \
                    :targetList ({TARGETENTRY :resno 9 :resorigtbl 8 :resorigcol 1})}} :resno 2 :resorigtbl 0 :resorigcol 0})})";
        assert_eq!(columns(tree), vec![(1, (7, 2))]);
    }

    #[test]
    fn a_view_of_a_view_leads_to_the_table() {
        let direct = Origins::from([(1, vec![(1, (2, 3))]), (2, vec![(3, (9, 4))])]);
        assert!(to_tables(&direct)[&1].contains(&(1, (9, 4))));
    }
}

//! The nearest of many names, for hints: names that share three, else two letters in a row, ranked by edit distance.

use std::collections::BTreeSet;

/// Least likeness of a table's or function's name that is suggested: no closer names of others are given away.
pub const NAME: f64 = 0.75;
/// Least likeness of anything else.
pub const ANY: f64 = 0.33;

/// The nearest name and its likeness, from 0 to 1, if it is alike enough.
pub fn nearest<'a>(
    names: impl IntoIterator<Item = &'a str>,
    wanted: &str,
    least: f64,
) -> Option<(&'a str, f64)> {
    let names: BTreeSet<&str> = names.into_iter().collect();
    let plain = normal(wanted);
    if let Some(same) = names.iter().find(|name| normal(name) == plain) {
        return Some((same, 1.0));
    }
    for size in [3, 2] {
        let wanted_grams = grams(&plain, size);
        let mut ranked: Vec<(&str, f64)> = names
            .iter()
            .filter(|name| !grams(&normal(name), size).is_disjoint(&wanted_grams))
            .map(|name| (*name, likeness(&normal(name), &plain)))
            .filter(|(_, likeness)| *likeness >= least)
            .collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        if let Some(best) = ranked.first() {
            return Some(*best);
        }
    }
    None
}

fn normal(name: &str) -> String {
    let kept = name
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, '_' | ',' | ' '));
    kept.collect::<String>().to_lowercase()
}

fn grams(name: &str, size: usize) -> BTreeSet<String> {
    let padded: Vec<char> = format!("-{name}-").chars().collect();
    padded.windows(size).map(|gram| gram.iter().collect()).collect()
}

/// 1 minus Levenshtein's distance over the longer length.
fn likeness(a: &str, b: &str) -> f64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let longest = a.len().max(b.len());
    if longest == 0 {
        return 1.0;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "names are short")]
    let (distance, longest) = (row[b.len()] as f64, longest as f64);
    1.0 - distance / longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_a_strange_one_is_not() {
        let names = ["projects", "clients", "tasks"];
        assert_eq!(
            nearest(names, "project", NAME).map(|found| found.0),
            Some("projects")
        );
        assert_eq!(nearest(names, "zebra", ANY), None);
    }
}

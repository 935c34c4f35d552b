//! The order of names: that of the Unicode Collation Algorithm, so that files made on two machines, or by two tools, have the
//! same lines in the same places.

use icu_collator::options::CollatorOptions;
use icu_collator::{Collator, CollatorBorrowed, CollatorPreferences};
use std::cmp::Ordering;

/// Compares names.
pub struct Names(CollatorBorrowed<'static>);

impl Names {
    /// With the root collation, which is also that of English.
    pub fn new() -> Self {
        let collator = Collator::try_new(CollatorPreferences::default(), CollatorOptions::default());
        Self(collator.expect("the root collation is built in"))
    }

    /// Which comes first.
    pub fn compare(&self, a: &str, b: &str) -> Ordering {
        self.0.compare(a, b)
    }

    /// As [`Self::compare`], list by list as JSON writes them.
    pub fn compare_lists(&self, a: &[String], b: &[String]) -> Ordering {
        self.compare(&as_json(a), &as_json(b))
    }
}

/// A list of names, as JSON writes it.
pub fn as_json(names: &[String]) -> String {
    serde_json::to_string(names).expect("text can always be written as JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_come_before_digits_before_letters_and_small_before_large() {
        let names = Names::new();
        let mut all = ["b", "a_b", "B", "a-b", "é", "f", "a1", "A", "ab", "a", "_z", "z"];
        all.sort_by(|a, b| names.compare(a, b));
        assert_eq!(
            all,
            ["_z", "a", "A", "a_b", "a-b", "a1", "ab", "b", "B", "é", "f", "z"]
        );
    }
}

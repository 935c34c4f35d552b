//! A table that another program exported as CSV, and which of its columns is which.

use crate::failure::WrongUse;
use jarvis_core::text::fold;
use std::path::Path;

/// A row: the line it begins on, from 1, and its cells; none when it has another number of them than the head.
pub(super) type Line = (u64, Option<Vec<String>>);

/// The head and the rows of a CSV file.
#[derive(Debug)]
pub(super) struct Sheet {
    head: Vec<String>,
    pub rows: Vec<Line>,
}

impl Sheet {
    /// Reads a file in UTF-8, or in Latin-1 as spreadsheets of a French Windows write it, parted by `;`, tabs or commas.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        use anyhow::Context as _;
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self::read(bytes)?)
    }

    fn read(bytes: Vec<u8>) -> Result<Self, WrongUse> {
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|error| error.as_bytes().iter().map(|byte| char::from(*byte)).collect());
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let first = text.lines().next().unwrap_or_default();
        let delimiter = [b';', b'\t', b',']
            .into_iter()
            .find(|delimiter| first.contains(char::from(*delimiter)))
            .unwrap_or(b',');
        let mut reader = ::csv::ReaderBuilder::new()
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(text.as_bytes());
        let unfit = |error: ::csv::Error| WrongUse(format!("the CSV cannot be read: {error}"));
        let head: Vec<String> = reader
            .headers()
            .map_err(unfit)?
            .iter()
            .map(|name| name.trim().to_owned())
            .collect();
        if head.iter().all(String::is_empty) {
            return Err(WrongUse(
                "the file is empty; its first line names the columns".to_owned(),
            ));
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(unfit)?;
            let line = record.position().map_or(0, ::csv::Position::line);
            let cells = record.iter().map(|cell| cell.trim().to_owned());
            rows.push((line, (record.len() == head.len()).then(|| cells.collect())));
        }
        Ok(Self { head, rows })
    }

    /// The column with this name, in any case, with or without accents.
    pub(super) fn named(&self, name: &str) -> Result<usize, WrongUse> {
        self.find(name).ok_or_else(|| {
            WrongUse(format!(
                "the file has no column `{name}`; it has: {}",
                self.head.join(", ")
            ))
        })
    }

    /// The first column that is called one of these, the likeliest first.
    pub(super) fn guess(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.find(name))
    }

    /// What the head calls a column.
    pub(super) fn title(&self, column: usize) -> &str {
        self.head.get(column).map_or("", String::as_str)
    }

    /// What the head names, for an error.
    pub(super) fn titles(&self) -> String {
        self.head.join(", ")
    }

    fn find(&self, name: &str) -> Option<usize> {
        let wanted = plain(name);
        self.head.iter().position(|title| plain(title) == wanted)
    }
}

/// Letters and digits alone: `N° badge`, `no_badge` and `No Badge` are the same.
fn plain(title: &str) -> String {
    fold(title).chars().filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_spreadsheets_write_is_read() {
        let latin = b"Num\xe9ro de badge;Date de passage\nB1;03/02/2026 18:05\n";
        let sheet = Sheet::read(latin.to_vec()).unwrap();
        assert_eq!(sheet.named("numero DE badge").unwrap(), 0);
        assert_eq!(sheet.guess(&["date", "date de passage"]), Some(1));
        assert_eq!(
            sheet.rows[0],
            (2, Some(vec!["B1".to_owned(), "03/02/2026 18:05".to_owned()]))
        );
        let tabs = Sheet::read("\u{feff}badge\tdate\nB1\n".as_bytes().to_vec()).unwrap();
        assert_eq!(tabs.named("badge").unwrap(), 0);
        assert_eq!(tabs.rows, [(2, None)]);
        let commas = Sheet::read(b"badge,date\n\"B;1\",\"2026-02-03 08:00\"\n".to_vec()).unwrap();
        assert_eq!(commas.rows[0].1.as_ref().unwrap()[0], "B;1");
    }

    #[test]
    fn an_unknown_column_and_an_empty_file_are_told() {
        let sheet = Sheet::read(b"badge;date\n".to_vec()).unwrap();
        assert!(
            sheet
                .named("carte")
                .unwrap_err()
                .to_string()
                .contains("badge, date")
        );
        assert!(Sheet::read(Vec::new()).is_err());
    }
}

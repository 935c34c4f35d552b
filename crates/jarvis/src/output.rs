//! Standard output is data, standard error is talk.

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::{ErrorKind, Write as _};
use std::time::Duration;

/// Where a command's words go.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// As JSON, or for people.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether the data is wanted as JSON.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// The result of a command: JSON, or what `human` makes of it. Who reads only its beginning (`| head`) has what they want.
    pub fn data<T: Serialize>(self, value: &T, human: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        let text = if self.json {
            serde_json::to_string_pretty(value)?
        } else {
            human(value)
        };
        match writeln!(std::io::stdout().lock(), "{}", text.trim_end()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }

    /// What went wrong: cause by cause, then the way out. With `--json`, one object on standard error.
    pub fn error(self, causes: &[String], hint: Option<&str>) {
        if self.json {
            let (error, causes) = causes
                .split_first()
                .map_or(("", &[][..]), |(e, c)| (e.as_str(), c));
            talk(&serde_json::json!({"error": error, "causes": causes, "hint": hint}).to_string());
            return;
        }
        let mut lines = causes.iter();
        if let Some(first) = lines.next() {
            talk(&format!("error: {first}"));
        }
        let mut said = causes.first().cloned().unwrap_or_default();
        for cause in lines.filter(|c| !c.is_empty()) {
            if !said.contains(cause.as_str()) {
                talk(&format!("  because: {cause}"));
                said.clone_from(cause);
            }
        }
        if let Some(hint) = hint {
            talk(&format!("  hint: {hint}"));
        }
    }
}

/// A word to the person in front of it.
#[expect(clippy::print_stderr, reason = "the one place that talks")]
pub fn talk(text: &str) {
    eprintln!("{text}");
}

/// Shows that something takes a while.
pub fn spinner(text: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("the template is valid");
    let bar = ProgressBar::new_spinner()
        .with_style(style)
        .with_message(text.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// Shows how far something is, of so many.
pub fn progress(of: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} ({eta})").expect("the template is valid");
    ProgressBar::new(of).with_style(style)
}

/// A table for people.
pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.map(str::to_uppercase));
    let mut empty = true;
    for row in rows {
        table.add_row(row);
        empty = false;
    }
    if empty {
        "(none)".to_owned()
    } else {
        table.trim_fmt()
    }
}

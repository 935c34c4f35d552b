use super::error::MigrationError;
use chrono::{DateTime, Utc};
use include_dir::{Dir, include_dir};
use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../supabase/migrations");

static EMBEDDED: LazyLock<Source> = LazyLock::new(|| {
    let text = |path: &Path| {
        FILES
            .get_file(path)
            .and_then(|file| file.contents_utf8())
            .map(Cow::Borrowed)
    };
    let names = FILES.files().filter_map(|file| file.path().file_name()?.to_str());
    let migrations = names.filter_map(|name| parse(name, &text)).collect::<Vec<_>>();
    Source {
        extensions: &[("vector", "0.7"), ("unaccent", "1.0")],
        landmark: Some("jarvis.consent_ledger"),
        reference_tables: &["jarvis.data_map", "jarvis.embedding_models"],
        ..Source::sorted(migrations)
    }
});

/// One step of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// 14 digits: when it was begun.
    pub version: String,
    /// What it does, in snake case.
    pub name: String,
    pub(super) up: Cow<'static, str>,
    pub(super) down: Option<Cow<'static, str>>,
}

impl Migration {
    /// Whether it can be undone.
    pub fn has_down(&self) -> bool {
        self.down.is_some()
    }
}

/// A set of migrations, and what they expect of a database.
#[derive(Debug, Clone)]
pub struct Source {
    migrations: Vec<Migration>,
    /// Extensions that the server must offer, each with its oldest version.
    pub(super) extensions: &'static [(&'static str, &'static str)],
    /// A table that exists once the first migration is applied, and in no other schema of the same versions.
    pub(super) landmark: Option<&'static str>,
    /// Tables whose rows the migrations write themselves: dropping them loses nothing.
    pub(super) reference_tables: &'static [&'static str],
}

impl Source {
    /// The migrations that this program brings along.
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// The migrations of a folder: `<14 digits>_<name>.sql`, and the downs in its folder `down`.
    pub fn from_dir(dir: &Path) -> Result<Self, MigrationError> {
        let failed = |source| MigrationError::File {
            path: dir.display().to_string(),
            source,
        };
        let text = |path: &Path| fs::read_to_string(dir.join(path)).ok().map(Cow::Owned);
        let mut migrations = Vec::new();
        for entry in fs::read_dir(dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            migrations.extend(name.to_str().and_then(|name| parse(name, &text)));
        }
        let source = Self::sorted(migrations);
        let twice = source
            .migrations
            .windows(2)
            .find(|pair| pair[0].version == pair[1].version);
        match twice {
            Some(pair) => Err(MigrationError::BadSource(format!(
                "two migrations have the version {}",
                pair[0].version
            ))),
            None => Ok(source),
        }
    }

    fn sorted(mut migrations: Vec<Migration>) -> Self {
        migrations.sort_by(|a, b| a.version.cmp(&b.version));
        Self {
            migrations,
            extensions: &[],
            landmark: None,
            reference_tables: &[],
        }
    }

    /// The migrations, oldest first.
    pub fn migrations(&self) -> &[Migration] {
        &self.migrations
    }

    /// The same, where `table` tells whether the first migration is really this one.
    #[must_use]
    pub fn with_landmark(mut self, table: &'static str) -> Self {
        self.landmark = Some(table);
        self
    }

    /// The same, where the server must offer these extensions (name, oldest version).
    #[must_use]
    pub fn with_extensions(mut self, extensions: &'static [(&'static str, &'static str)]) -> Self {
        self.extensions = extensions;
        self
    }

    pub(super) fn find(&self, version: &str) -> Option<&Migration> {
        self.migrations.iter().find(|m| m.version == version)
    }
}

/// Reads `<14 digits>_<name>.sql` by `text`; other files are no migrations.
fn parse(file: &str, text: &dyn Fn(&Path) -> Option<Cow<'static, str>>) -> Option<Migration> {
    let (version, name) = file.strip_suffix(".sql")?.split_once('_')?;
    if version.len() != 14 || !version.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(Migration {
        version: version.to_owned(),
        name: name.to_owned(),
        up: text(Path::new(file))?,
        down: text(&Path::new("down").join(file)),
    })
}

/// Begins a new migration in `dir`, with its down; returns the paths of both files.
///
/// # Errors
/// When `name` is not snake case (`a-z`, `0-9`, `_`; at most 60 characters), or a file cannot be written.
pub fn new_file(dir: &Path, name: &str, now: DateTime<Utc>) -> Result<[PathBuf; 2], MigrationError> {
    let snake = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !snake || name.is_empty() || name.len() > 60 {
        return Err(MigrationError::BadSource(format!(
            "\"{name}\" is no name for a migration: write what it does in snake case, such as add_lockers"
        )));
    }
    let file = format!("{}_{name}.sql", now.format("%Y%m%d%H%M%S"));
    let paths = [dir.join(&file), dir.join("down").join(&file)];
    let contents = [
        "-- What this adds, and why.\nset local search_path = public, extensions;\n",
        "-- Restores the structure from before.\nset local search_path = public, extensions;\n",
    ];
    for (path, content) in paths.iter().zip(contents) {
        write_new(path, content).map_err(|source| MigrationError::File {
            path: path.display().to_string(),
            source,
        })?;
    }
    Ok(paths)
}

fn write_new(path: &Path, content: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::File::create_new(path)?.write_all(content.as_bytes())
}

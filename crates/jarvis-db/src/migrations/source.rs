use super::error::MigrationError;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use include_dir::{Dir, include_dir};
use std::borrow::Cow;
use std::fs;
use std::io::ErrorKind;
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
    let migration = |file: &str| {
        let (version, name) = parse(file)?;
        Some(Migration {
            version: version.to_owned(),
            name: name.to_owned(),
            up: text(Path::new(file))?,
            down: text(&Path::new("down").join(file)),
        })
    };
    let migrations = names.filter_map(migration).collect::<Vec<_>>();
    Source {
        extensions: &[("vector", "0.7"), ("unaccent", "1.0")],
        landmark: Some("jarvis.consent_ledger"),
        reference_tables: &[
            "jarvis.data_map",
            "jarvis.embedding_models",
            "jarvis.fact_slots",
            "jarvis.retention_periods",
        ],
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

    /// Its statements, when they are compiled in.
    pub(crate) fn up_text(&self) -> Option<&'static str> {
        match &self.up {
            Cow::Borrowed(text) => Some(text),
            Cow::Owned(_) => None,
        }
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
    ///
    /// # Errors
    /// When the folder or a file cannot be read, two files have one version, or the Supabase CLI would run a file that
    /// this program would not.
    pub fn from_dir(dir: &Path) -> Result<Self, MigrationError> {
        let failed = |path: &Path, source| MigrationError::File {
            path: path.display().to_string(),
            source,
        };
        let mut migrations = Vec::new();
        for entry in fs::read_dir(dir).map_err(|error| failed(dir, error))? {
            let file = entry.map_err(|error| failed(dir, error))?.file_name();
            let Some(file) = file.to_str() else { continue };
            let Some((version, name)) = parse(file) else {
                refuse_short_version(file)?;
                continue;
            };
            let (up, down) = (dir.join(file), dir.join("down").join(file));
            migrations.push(Migration {
                version: version.to_owned(),
                name: name.to_owned(),
                up: fs::read_to_string(&up)
                    .map_err(|error| failed(&up, error))?
                    .into(),
                down: match fs::read_to_string(&down) {
                    Ok(text) => Some(text.into()),
                    Err(error) if error.kind() == ErrorKind::NotFound => None,
                    Err(error) => return Err(failed(&down, error)),
                },
            });
        }
        let source = Self::sorted(migrations);
        let twice = source
            .migrations
            .windows(2)
            .find(|pair| pair[0].version == pair[1].version);
        match twice {
            Some(pair) => Err(MigrationError::BadSource(format!(
                "two migrations have the version {}: rename {}_{}.sql",
                pair[0].version, pair[1].version, pair[1].name
            ))),
            None => Ok(source),
        }
    }

    /// A copy of the folder of this program's migrations, perhaps with more of an operator's own: it expects of a
    /// database what the program's migrations expect.
    ///
    /// # Errors
    /// As [`Source::from_dir`]; and when the folder holds no migration.
    pub fn like_embedded(dir: &Path) -> Result<Self, MigrationError> {
        let found = Self::from_dir(dir)?;
        if found.migrations.is_empty() {
            return Err(MigrationError::BadSource(format!(
                "{} holds no migration (<14 digits>_<name>.sql)",
                dir.display()
            )));
        }
        Ok(Self {
            migrations: found.migrations,
            ..EMBEDDED.clone()
        })
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

    /// The migration with this version.
    pub fn find(&self, version: &str) -> Option<&Migration> {
        self.migrations.iter().find(|m| m.version == version)
    }
}

/// Version and name out of `<14 digits>_<name>.sql`; other files are no migrations.
fn parse(file: &str) -> Option<(&str, &str)> {
    let (version, name) = file.strip_suffix(".sql")?.split_once('_')?;
    let digits = version.len() == 14 && version.bytes().all(|b| b.is_ascii_digit());
    digits.then_some((version, name))
}

/// The Supabase CLI takes any number for a version, and would apply what we never see.
fn refuse_short_version(file: &str) -> Result<(), MigrationError> {
    let version = file
        .strip_suffix(".sql")
        .and_then(|file| file.split_once('_'))
        .map(|(version, _)| version);
    match version {
        Some(v) if !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit()) => {
            Err(MigrationError::BadSource(format!(
                "{file} needs a version of 14 digits, such as 20261231235959: `jarvis migration new` writes one"
            )))
        }
        _ => Ok(()),
    }
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
    let file = format!("{}_{name}.sql", free_version(dir, now)?);
    let paths = [dir.join(&file), dir.join("down").join(&file)];
    let contents = [
        "-- What this adds, and why. It runs in one transaction.\nset local search_path = public, extensions;\n",
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

/// The second of `now`; where the folder has a version of that second or a later one (the Supabase CLI may have begun
/// one in this second too), the second after its newest: a version is recorded but once, and a new migration comes last.
fn free_version(dir: &Path, now: DateTime<Utc>) -> Result<String, MigrationError> {
    const FORM: &str = "%Y%m%d%H%M%S";
    let newest = match fs::read_dir(dir) {
        Ok(entries) => entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|file| parse(&file).map(|(version, _)| version.to_owned()))
            .max(),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(source) => {
            return Err(MigrationError::File {
                path: dir.display().to_string(),
                source,
            });
        }
    };
    let present = now.format(FORM).to_string();
    let Some(newest) = newest.filter(|newest| *newest >= present) else {
        return Ok(present);
    };
    match NaiveDateTime::parse_from_str(&newest, FORM) {
        Ok(newest) => Ok((newest + TimeDelta::seconds(1)).format(FORM).to_string()),
        Err(_) => Err(MigrationError::BadSource(format!(
            "the version {newest} is no point in time, and nothing can come after it: rename its file"
        ))),
    }
}

fn write_new(path: &Path, content: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::File::create_new(path)?.write_all(content.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_file_name_is_a_migration_or_none(any_name in any::<String>(), digits in "[0-9]{12,16}", name in "[a-z_.]{0,8}") {
            for file in [any_name, format!("{digits}_{name}.sql"), format!("{digits}{name}")] {
                if let Some((version, name)) = parse(&file) {
                    prop_assert_eq!(version.len(), 14);
                    prop_assert_eq!(format!("{version}_{name}.sql"), file);
                } else {
                    drop(refuse_short_version(&file));
                }
            }
        }
    }
}

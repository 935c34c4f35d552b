//! Where log lines go, and in which form.

use std::fmt;
use std::io::IsTerminal as _;
use std::str::FromStr;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// What a program that serves logs when nobody says otherwise: every request and job of ours, and what goes wrong.
const SERVING: &str =
    "warn,jarvis=info,jarvis_api=info,jarvis_db=info,jarvis_jobs=info,jarvis_llm=info,jarvis_memory=info";
/// What every other command logs.
const QUIET: &str = "warn";

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line, for programs.
    Json,
    /// For people.
    Text,
}

/// A word that is no form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFormat;

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the form of the log is json or text")
    }
}

impl std::error::Error for UnknownFormat {}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(word: &str) -> Result<Self, UnknownFormat> {
        match word {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(UnknownFormat),
        }
    }
}

/// How to log.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What to log, in the form of `RUST_LOG`; when absent, see `serves`.
    pub filter: Option<String>,
    /// In which form; when absent, text for people at a terminal and for commands that end, JSON else.
    pub format: Option<Format>,
    /// Whether this is a server or a worker, whose log somebody keeps. Other commands are quiet, so that their talk can
    /// be read.
    pub serves: bool,
    /// Whether statements are counted although it does not serve, as where a server is measured.
    pub counts: bool,
}

/// A filter that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFilter(String);

impl fmt::Display for BadFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the log filter cannot be read ({}); it is such as `info` or `jarvis=debug,warn`",
            self.0
        )
    }
}

impl std::error::Error for BadFilter {}

/// Sends log lines to standard error from now on. To be called once, at the start of the program.
///
/// # Errors
/// The filter cannot be read; nothing is logged then.
pub fn init(settings: &Settings) -> Result<(), BadFilter> {
    let default = if settings.serves { SERVING } else { QUIET };
    let wanted = settings
        .filter
        .as_deref()
        .map(str::trim)
        .filter(|f| !f.is_empty());
    let filter = EnvFilter::builder()
        .parse(wanted.unwrap_or(default))
        .map_err(|error| BadFilter(error.to_string()))?;
    let terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let format = settings
        .format
        .unwrap_or_else(|| default_format(settings.serves, terminal));
    let lines = match format {
        // Spans are left out: what they would carry is not ours to vouch for.
        Format::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
        Format::Text => {
            let colour = terminal && std::env::var_os("NO_COLOR").is_none();
            lines.with_target(false).with_ansi(colour).boxed()
        }
    };
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter));
    // Only a server is scraped and writes lines with costs.
    let counting = (settings.serves || settings.counts).then(crate::statements);
    subscriber.with(counting).init();
    Ok(())
}

fn default_format(serves: bool, terminal: bool) -> Format {
    if serves && !terminal {
        Format::Json
    } else {
        Format::Text
    }
}

/// Milliseconds with one digit of a tenth, as log lines have them.
pub fn millis(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

/// A panic's message may quote the text that it stumbled over, and what a member said never reaches a log: only the
/// place in the code is told.
pub fn keep_panics_quiet() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        crate::METRICS.panics.inc(&[]);
        tracing::error!(place, "a defect of ours: the program panicked");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_writes_json_unless_somebody_watches() {
        assert_eq!(default_format(true, false), Format::Json);
        assert_eq!(default_format(true, true), Format::Text);
        assert_eq!(default_format(false, false), Format::Text);
    }

    #[test]
    fn a_time_is_written_in_tenths_of_a_millisecond() {
        let written = |micros| millis(std::time::Duration::from_micros(micros)).to_string();
        assert_eq!(
            [0, 49, 50, 1_234, 2_000_060].map(written),
            ["0", "0", "0.1", "1.2", "2000.1"]
        );
    }

    #[test]
    fn the_forms_have_two_names() {
        assert_eq!("json".parse(), Ok(Format::Json));
        assert_eq!("text".parse(), Ok(Format::Text));
        assert_eq!("xml".parse::<Format>(), Err(UnknownFormat));
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_refused() {
        let settings = Settings {
            filter: Some("jarvis=loud".to_owned()),
            ..Settings::default()
        };
        let error = init(&settings).unwrap_err();
        assert!(error.to_string().contains("cannot be read"), "{error}");
    }
}

//! Media types: what is sent, and what is accepted.

/// A media type this server knows something about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MediaType {
    /// `application/json`
    Json,
    /// `application/geo+json`
    GeoJson,
    /// `text/csv`
    Csv,
    /// `text/plain`
    Plain,
    /// `text/xml`
    Xml,
    /// `application/openapi+json`
    OpenApi,
    /// `application/x-www-form-urlencoded`
    Form,
    /// `application/octet-stream`
    Bytes,
    /// `*/*`
    Any,
    /// `application/vnd.pgrst.array+json;nulls=stripped`
    Stripped,
    /// `application/vnd.pgrst.object+json`, perhaps with `nulls=stripped`
    Single {
        /// Whether nulls are left out.
        stripped: bool,
    },
    /// `application/vnd.pgrst.plan`
    Plan(Box<Plan>),
    /// Another.
    Other(String),
}

/// A plan of PostgreSQL's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Plan {
    /// What would be answered.
    pub of: MediaType,
    /// As JSON rather than text.
    pub json: bool,
    /// Options of EXPLAIN, of a fixed list.
    pub options: Vec<&'static str>,
}

const PLAN_OPTIONS: &[&str] = &["analyze", "verbose", "settings", "buffers", "wal"];

impl MediaType {
    /// Reads one.
    pub fn parse(text: &str) -> Self {
        let mut parts = split_quoted(text, ';').into_iter();
        let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let parameters: Vec<(String, String)> = parts
            .filter_map(|part| {
                let (key, value) = part.split_once('=')?;
                Some((
                    key.trim().to_ascii_lowercase(),
                    value.trim().trim_matches('"').to_owned(),
                ))
            })
            .collect();
        let parameter = |name: &str| {
            parameters
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        let stripped = parameter("nulls") == Some("stripped");
        let plan = |json: bool| {
            let wanted: Vec<&str> = parameter("options").unwrap_or_default().split('|').collect();
            Self::Plan(Box::new(Plan {
                of: Self::parse(parameter("for").unwrap_or("application/json")),
                json,
                options: PLAN_OPTIONS
                    .iter()
                    .copied()
                    .filter(|known| wanted.contains(known))
                    .collect(),
            }))
        };
        match essence.as_str() {
            "application/geo+json" => Self::GeoJson,
            "text/csv" => Self::Csv,
            "text/plain" => Self::Plain,
            "text/xml" => Self::Xml,
            "application/openapi+json" => Self::OpenApi,
            "application/x-www-form-urlencoded" => Self::Form,
            "application/octet-stream" => Self::Bytes,
            "*/*" => Self::Any,
            "application/vnd.pgrst.object+json" | "application/vnd.pgrst.object" => Self::Single { stripped },
            "application/vnd.pgrst.array+json" | "application/vnd.pgrst.array" if stripped => Self::Stripped,
            "application/json" | "application/vnd.pgrst.array+json" | "application/vnd.pgrst.array" => {
                Self::Json
            }
            "application/vnd.pgrst.plan" | "application/vnd.pgrst.plan+text" => plan(false),
            "application/vnd.pgrst.plan+json" => plan(true),
            _ => Self::Other(text.trim().to_owned()),
        }
    }

    /// Reads `Accept`, the most wanted first.
    pub fn accepted(header: Option<&str>) -> Vec<Self> {
        let Some(header) = header else {
            return vec![Self::Any];
        };
        let mut all: Vec<(u32, Self)> = split_quoted(header, ',')
            .into_iter()
            .filter(|part| !part.trim().is_empty())
            .map(|part| {
                let (essence, quality) = quality(part);
                (quality, Self::parse(&essence))
            })
            .collect();
        all.sort_by_key(|(quality, _)| std::cmp::Reverse(*quality));
        if all.is_empty() {
            vec![Self::Any]
        } else {
            all.into_iter().map(|(_, media)| media).collect()
        }
    }

    /// Its name.
    pub fn name(&self) -> String {
        match self {
            Self::Json => "application/json".to_owned(),
            Self::GeoJson => "application/geo+json".to_owned(),
            Self::Csv => "text/csv".to_owned(),
            Self::Plain => "text/plain".to_owned(),
            Self::Xml => "text/xml".to_owned(),
            Self::OpenApi => "application/openapi+json".to_owned(),
            Self::Form => "application/x-www-form-urlencoded".to_owned(),
            Self::Bytes => "application/octet-stream".to_owned(),
            Self::Any => "*/*".to_owned(),
            Self::Stripped => "application/vnd.pgrst.array+json;nulls=stripped".to_owned(),
            Self::Single { stripped: false } => "application/vnd.pgrst.object+json".to_owned(),
            Self::Single { stripped: true } => "application/vnd.pgrst.object+json;nulls=stripped".to_owned(),
            Self::Plan(plan) => {
                let format = if plan.json { "json" } else { "text" };
                let options = if plan.options.is_empty() {
                    String::new()
                } else {
                    format!("; options={}", plan.options.join("|"))
                };
                format!(
                    "application/vnd.pgrst.plan+{format}; for=\"{}\"{options}",
                    plan.of.name()
                )
            }
            Self::Other(name) => name.clone(),
        }
    }

    /// As `Content-Type`.
    pub fn content_type(&self) -> String {
        match self {
            Self::Bytes | Self::Other(_) => self.name(),
            _ => format!("{}; charset=utf-8", self.name()),
        }
    }
}

/// Takes `;q=…` off; in thousandths.
fn quality(part: &str) -> (String, u32) {
    let mut quality = 1000;
    let kept: Vec<&str> = split_quoted(part, ';')
        .into_iter()
        .filter(
            |piece| match piece.trim().strip_prefix("q=").map(str::parse::<f32>) {
                Some(Ok(value)) => {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "clamped to 0 and 1000"
                    )]
                    let thousandths = (value.clamp(0.0, 1.0) * 1000.0) as u32;
                    quality = thousandths;
                    false
                }
                _ => true,
            },
        )
        .collect();
    (kept.join(";"), quality)
}

/// Splits where the separator is not within quotes.
fn split_quoted(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut quoted) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        if c == '"' {
            quoted = !quoted;
        } else if c == separator && !quoted {
            parts.push(&text[start..at]);
            start = at + c.len_utf8();
        }
    }
    parts.push(&text[start..]);
    parts
}

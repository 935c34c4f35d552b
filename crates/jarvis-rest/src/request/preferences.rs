//! The `Prefer` header.

use axum::http::HeaderMap;

/// What the caller would like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preferences {
    /// What happens to a row that is there already.
    pub resolution: Option<Resolution>,
    /// What is answered to a change.
    pub returned: Option<Returned>,
    /// Whether all rows are counted.
    pub count: Option<Count>,
    /// Whether the transaction is kept.
    pub rollback: Option<bool>,
    /// Whether a missing column gets its default.
    pub missing_default: Option<bool>,
    /// Whether an unknown preference is an error.
    pub strict: Option<bool>,
    /// The time zone of the answer.
    pub timezone: Option<String>,
    /// Most rows a change may touch.
    pub max_affected: Option<i64>,
    /// What was not understood.
    pub unknown: Vec<String>,
}

/// What happens to a row that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It is updated.
    Merge,
    /// It stays.
    Ignore,
}

/// What is answered to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    /// The rows.
    Representation,
    /// Nothing.
    Minimal,
    /// Where the row is.
    HeadersOnly,
}

/// How all rows are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// One by one.
    Exact,
    /// By the planner's guess.
    Planned,
    /// Exactly while there are few.
    Estimated,
}

impl Preferences {
    /// Reads the headers; the transaction's end only where a caller may choose it.
    pub fn read(headers: &HeaderMap, may_choose_end: bool) -> Self {
        let mut read = Self::default();
        let values = headers
            .get_all("prefer")
            .iter()
            .filter_map(|value| value.to_str().ok());
        for preference in values
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|one| !one.is_empty())
        {
            read.take(preference, may_choose_end);
        }
        read
    }

    fn take(&mut self, preference: &str, may_choose_end: bool) {
        match preference {
            "resolution=merge-duplicates" => keep(&mut self.resolution, Resolution::Merge),
            "resolution=ignore-duplicates" => keep(&mut self.resolution, Resolution::Ignore),
            "return=representation" => keep(&mut self.returned, Returned::Representation),
            "return=minimal" => keep(&mut self.returned, Returned::Minimal),
            "return=headers-only" => keep(&mut self.returned, Returned::HeadersOnly),
            "count=exact" => keep(&mut self.count, Count::Exact),
            "count=planned" => keep(&mut self.count, Count::Planned),
            "count=estimated" => keep(&mut self.count, Count::Estimated),
            "tx=commit" | "tx=rollback" if may_choose_end => {
                keep(&mut self.rollback, preference == "tx=rollback");
            }
            "tx=commit" | "tx=rollback" => {}
            "missing=default" => keep(&mut self.missing_default, true),
            "missing=null" => keep(&mut self.missing_default, false),
            "handling=strict" => keep(&mut self.strict, true),
            "handling=lenient" => keep(&mut self.strict, false),
            other => self.take_valued(other),
        }
    }

    fn take_valued(&mut self, preference: &str) {
        if let Some(zone) = preference.strip_prefix("timezone=") {
            keep(&mut self.timezone, zone.to_owned());
        } else if let Some(most) = preference.strip_prefix("max-affected=") {
            if let Ok(most) = most.parse() {
                keep(&mut self.max_affected, most);
            }
        } else {
            self.unknown.push(preference.to_owned());
        }
    }

    /// Whether all rows are counted one by one.
    pub fn counts(&self) -> bool {
        matches!(self.count, Some(Count::Exact | Count::Estimated))
    }

    /// Whether the planner is asked for its guess.
    pub fn guesses(&self) -> bool {
        matches!(self.count, Some(Count::Planned | Count::Estimated))
    }

    /// Whether rows come back from a change.
    pub fn wants_rows(&self) -> bool {
        self.returned == Some(Returned::Representation)
    }

    /// `Preference-Applied`, of what was not taken out.
    pub fn applied(&self) -> Option<String> {
        let strict = self.strict == Some(true);
        let all = [
            self.resolution.map(|one| match one {
                Resolution::Merge => "resolution=merge-duplicates".to_owned(),
                Resolution::Ignore => "resolution=ignore-duplicates".to_owned(),
            }),
            self.missing_default
                .map(|yes| if yes { "missing=default" } else { "missing=null" }.to_owned()),
            self.returned.map(|one| match one {
                Returned::Representation => "return=representation".to_owned(),
                Returned::Minimal => "return=minimal".to_owned(),
                Returned::HeadersOnly => "return=headers-only".to_owned(),
            }),
            self.count.map(|one| match one {
                Count::Exact => "count=exact".to_owned(),
                Count::Planned => "count=planned".to_owned(),
                Count::Estimated => "count=estimated".to_owned(),
            }),
            self.rollback
                .map(|yes| if yes { "tx=rollback" } else { "tx=commit" }.to_owned()),
            self.strict.map(|yes| {
                if yes {
                    "handling=strict"
                } else {
                    "handling=lenient"
                }
                .to_owned()
            }),
            self.timezone.as_ref().map(|zone| format!("timezone={zone}")),
            self.max_affected
                .filter(|_| strict)
                .map(|most| format!("max-affected={most}")),
        ];
        let applied: Vec<String> = all.into_iter().flatten().collect();
        if applied.is_empty() {
            None
        } else {
            Some(applied.join(", "))
        }
    }
}

/// The first of a kind counts.
fn keep<T>(place: &mut Option<T>, value: T) {
    if place.is_none() {
        *place = Some(value);
    }
}

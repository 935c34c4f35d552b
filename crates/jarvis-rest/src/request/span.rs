//! Which rows of many: limit and offset, and the Range header.

use crate::error::RestError;

/// Rows from `start`, up to and without `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Rows left out.
    pub start: i64,
    /// Where it ends; never before `start`, unless it is invalid.
    pub end: Option<i64>,
}

impl Span {
    /// All rows.
    pub const ALL: Self = Self { start: 0, end: None };

    /// From a limit and an offset.
    pub fn of(limit: Option<i64>, offset: Option<i64>) -> Self {
        let start = offset.unwrap_or(0).max(0);
        Self {
            start,
            end: limit.map(|limit| start.saturating_add(limit)),
        }
    }

    /// How many rows.
    pub fn limit(self) -> Option<i64> {
        self.end.map(|end| end.saturating_sub(self.start))
    }

    /// At most so many rows.
    #[must_use]
    pub fn at_most(self, rows: Option<i64>) -> Self {
        let Some(rows) = rows else { return self };
        let most = self.start.saturating_add(rows);
        Self {
            end: Some(self.end.map_or(most, |end| end.min(most))),
            ..self
        }
    }

    /// The rows of both. `limit=0` stays what it is.
    pub fn both(self, header: Option<&str>) -> Result<Self, RestError> {
        let negative = || RestError::range("Limit should be greater than or equal to zero.");
        if self.limit().is_some_and(|limit| limit < 0) {
            return Err(negative());
        }
        let Some((start, end)) = header.and_then(parse_header) else {
            return Ok(self);
        };
        if end.is_some_and(|end| end < start) {
            let why =
                "The lower boundary must be lower than or equal to the upper boundary in the Range header.";
            return Err(RestError::range(why));
        }
        if self.limit() == Some(0) {
            return Ok(self);
        }
        let end = match (self.end, end.map(|last| last.saturating_add(1))) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let both = Self {
            start: self.start.max(start),
            end,
        };
        if both.limit().is_some_and(|limit| limit < 0) {
            Err(negative())
        } else {
            Ok(both)
        }
    }
}

/// `0-9` or `5-`; anything else asks for nothing.
fn parse_header(text: &str) -> Option<(i64, Option<i64>)> {
    let (start, end) = text
        .trim()
        .strip_prefix("items=")
        .unwrap_or(text.trim())
        .split_once('-')?;
    if !end.chars().all(|c| c.is_ascii_digit()) || !start.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    Some((
        start.parse().ok()?,
        if end.is_empty() {
            None
        } else {
            Some(end.parse().ok()?)
        },
    ))
}

/// `Content-Range`: from, to, total.
pub fn content_range(first: i64, last: i64, total: Option<i64>) -> String {
    let rows = if total != Some(0) && first <= last {
        format!("{first}-{last}")
    } else {
        "*".to_owned()
    };
    format!(
        "{rows}/{}",
        total.map_or_else(|| "*".to_owned(), |total| total.to_string())
    )
}

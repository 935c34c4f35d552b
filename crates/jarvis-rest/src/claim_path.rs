//! Where a token names its role: a path of keys and places, as in `$.app_metadata.roles[0]`.

use serde_json::{Map, Value};

/// A way into the claims, of the singular queries of RFC 9535; the leading `$` may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Place(usize),
}

impl Default for ClaimPath {
    /// The claim `role`.
    fn default() -> Self {
        Self(vec![Step::Key("role".to_owned())])
    }
}

impl ClaimPath {
    /// What is there.
    pub fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let mut steps = self.0.iter();
        let Some(Step::Key(first)) = steps.next() else {
            return None;
        };
        steps.try_fold(claims.get(first)?, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Place(place) => value.get(place),
        })
    }
}

/// A text that is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no path to a claim; write keys and places, as in $.app_metadata.roles[0] or $['https://my.app/role']"
)]
pub struct NoPath(String);

impl std::str::FromStr for ClaimPath {
    type Err = NoPath;

    fn from_str(text: &str) -> Result<Self, NoPath> {
        let refused = || NoPath(text.to_owned());
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest).ok_or_else(refused)?;
            steps.push(step);
            rest = after;
        }
        match steps.first() {
            Some(Step::Key(_)) => Ok(Self(steps)),
            _ => Err(refused()),
        }
    }
}

fn step(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix('.') {
        // PostgREST before 16 wrote a key with signs as `."https://my.app/role"`.
        if rest.starts_with('"') {
            return quoted(rest);
        }
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-')
            .unwrap_or(rest.len());
        return (end > 0).then(|| (Step::Key(rest[..end].to_owned()), &rest[end..]));
    }
    let rest = text.strip_prefix('[')?;
    if rest.starts_with(['"', '\'']) {
        let (step, after) = quoted(rest)?;
        return Some((step, after.strip_prefix(']')?));
    }
    let (digits, after) = rest.split_once(']')?;
    Some((Step::Place(digits.parse().ok()?), after))
}

fn quoted(text: &str) -> Option<(Step, &str)> {
    let quote = text.chars().next()?;
    let (key, after) = text[1..].split_once(quote)?;
    Some((Step::Key(key.to_owned()), after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_role_is_found_where_the_path_leads() {
        let claims = json!({"role": "a", "app": {"roles": ["b", "c"]}, "https://my.app/role": "d"});
        let claims = claims.as_object().unwrap();
        for (path, role) in [
            (".role", Some("a")),
            ("$.role", Some("a")),
            ("$.app.roles[1]", Some("c")),
            ("$['app'][\"roles\"][0]", Some("b")),
            ("$['https://my.app/role']", Some("d")),
            (".\"https://my.app/role\"", Some("d")),
            ("$.app.roles[2]", None),
            ("$.role.more", None),
        ] {
            let path: ClaimPath = path.parse().unwrap();
            assert_eq!(path.find(claims).and_then(Value::as_str), role, "{path:?}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "",
            "$",
            "role",
            "$[0]",
            "$.",
            "$.a[",
            "$.a[x]",
            "$.a['b]",
            "$..a",
            "$.a[?(@ == 'b')]",
        ] {
            assert!(text.parse::<ClaimPath>().is_err(), "{text}");
        }
    }
}

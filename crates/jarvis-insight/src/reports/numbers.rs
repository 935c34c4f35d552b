//! How numbers are written: never without what they were counted of, nothing from too few.

use super::definitions::{Unit, definition_of_figure};
use super::{Reading, Report};
use jarvis_core::Language;
use jarvis_db::queries::report::Figure;

/// Below this many, a share or a mean says more than is known: counts alone are shown.
pub const FEW: i64 = 20;
/// Below this many, a report that leaves the gym shows no count: somebody could be recognised in it.
pub const HIDDEN: i64 = 5;
/// What stands where there is no number.
pub const NONE: &str = "—";

/// For whose eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Those who work in the gym.
    Gym,
    /// Anybody: counts from 1 to 4 are hidden.
    Shareable,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// The language.
    pub language: Language,
    /// For whom.
    pub audience: Audience,
}

impl Style {
    /// In the report's own language, for the gym.
    pub fn of(report: &Report) -> Self {
        Self {
            language: report.gym.language,
            audience: Audience::Gym,
        }
    }

    /// Whether a count is too small to be shown to that audience.
    pub(super) fn hides(self, count: f64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "five")]
        let fewest = HIDDEN as f64;
        self.audience == Audience::Shareable && count > 0.0 && count < fewest
    }
}

/// A number with so many decimals, as the language has it: `1 234,5` or `1,234.5`.
pub fn number(value: f64, decimals: usize, language: Language) -> String {
    let plain = format!("{:.decimals$}", value.abs());
    let (whole, part) = plain.split_once('.').unwrap_or((&plain, ""));
    let (group, point) = match language.message_language() {
        Language::Fr => ('\u{202f}', ','),
        _ => (',', '.'),
    };
    let mut text = String::new();
    let zero = plain.bytes().all(|b| b == b'0' || b == b'.');
    if value < 0.0 && !zero {
        text.push('−');
    }
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            text.push(group);
        }
        text.push(digit);
    }
    if !part.is_empty() {
        text.push(point);
        text.push_str(part);
    }
    text
}

/// A percentage: `42 %` or `42%`.
fn percent(share: f64, language: Language) -> String {
    let number = number(share * 100.0, 0, language);
    match language.message_language() {
        Language::Fr => format!("{number}\u{202f}%"),
        _ => format!("{number}%"),
    }
}

fn signed(text: String, value: f64) -> String {
    if value > 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        format!("+{text}")
    } else {
        text
    }
}

fn of(count: f64, n: i64, style: Style) -> String {
    let language = style.language;
    #[expect(clippy::cast_precision_loss, reason = "counts of a gym")]
    let all = n as f64;
    let between = match language.message_language() {
        Language::Fr => "sur",
        _ => "of",
    };
    format!(
        "{} {between} {}",
        number(count, 0, language),
        number(all, 0, language)
    )
}

/// What stands for `count` of `n` when it, those left over or all of them are too few to be shown; else none.
fn part(count: f64, n: i64, style: Style) -> Option<String> {
    #[expect(clippy::cast_precision_loss, reason = "counts of a gym")]
    let all = n as f64;
    if style.hides(count) || style.hides(all) {
        Some(hidden(style))
    } else if style.hides(all - count) {
        Some(NONE.to_owned())
    } else {
        None
    }
}

/// What stands for a count that is hidden.
pub(super) fn hidden(style: Style) -> String {
    match style.language.message_language() {
        Language::Fr => format!("<\u{202f}{HIDDEN}"),
        _ => format!("<{HIDDEN}"),
    }
}

/// A number as it is shown.
pub fn shown(figure: Figure, value: Option<f64>, n: i64, style: Style) -> String {
    let Some(value) = value else {
        return NONE.to_owned();
    };
    #[expect(clippy::cast_precision_loss, reason = "counts of a gym")]
    let all = n as f64;
    match definition_of_figure(figure).unit {
        Unit::Count if style.hides(value) => hidden(style),
        Unit::Count => number(value, 0, style.language),
        Unit::Part if n == 0 => NONE.to_owned(),
        Unit::Part => part(value, n, style).unwrap_or_else(|| of(value, n, style)),
        Unit::Share => part((value * all).round(), n, style).unwrap_or_else(|| {
            if n < FEW {
                of((value * all).round(), n, style)
            } else {
                percent(value, style.language)
            }
        }),
        Unit::Mean(_) if n < FEW => NONE.to_owned(),
        Unit::Mean(decimals) => number(value, decimals, style.language),
    }
}

/// Of how many, as it is shown.
pub fn shown_n(n: i64, style: Style) -> String {
    #[expect(clippy::cast_precision_loss, reason = "counts of a gym")]
    let n = n as f64;
    if style.hides(n) {
        hidden(style)
    } else {
        number(n, 0, style.language)
    }
}

/// How a number changed: in per cent where there is enough to compare, else by how many; [`NONE`] where it cannot be said.
pub fn change(figure: Figure, reading: &Reading, style: Style) -> String {
    let none = || NONE.to_owned();
    let Some((is, before)) = reading.value.zip(reading.before) else {
        return none();
    };
    let Some(was) = before.value else {
        return none();
    };
    let language = style.language;
    let enough = reading.n >= FEW && before.n >= FEW;
    match definition_of_figure(figure).unit {
        Unit::Count | Unit::Part => {
            if style.hides(is) || style.hides(was) || style.hides((is - was).abs()) {
                none()
            } else if enough && was > 0.0 {
                signed(percent(is / was - 1.0, language), is - was)
            } else {
                signed(number(is - was, 0, language), is - was)
            }
        }
        Unit::Share
            if enough
                && ![(is, reading.n), (was, before.n)]
                    .iter()
                    .any(|(share, n)| hides_share(*share, *n, style)) =>
        {
            let points = (is - was) * 100.0;
            let text = number(points, 0, language);
            signed(format!("{text} pts"), points)
        }
        Unit::Mean(decimals) if enough => signed(number(is - was, decimals, language), is - was),
        Unit::Share | Unit::Mean(_) => none(),
    }
}

fn hides_share(share: f64, n: i64, style: Style) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "counts of a gym")]
    let all = n as f64;
    part((share * all).round(), n, style).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::Before;

    const FR: Style = Style {
        language: Language::Fr,
        audience: Audience::Gym,
    };
    const EN: Style = Style {
        language: Language::En,
        audience: Audience::Gym,
    };
    const OUT: Style = Style {
        language: Language::En,
        audience: Audience::Shareable,
    };

    fn reading(value: Option<f64>, n: i64, before: Option<(Option<f64>, i64)>) -> Reading {
        Reading {
            key: String::new(),
            value,
            n,
            before: before.map(|(value, n)| Before { value, n }),
        }
    }

    #[test]
    fn numbers_are_written_as_the_language_has_them() {
        assert_eq!(number(1_234_567.0, 0, Language::Fr), "1\u{202f}234\u{202f}567");
        assert_eq!(number(1234.56, 1, Language::En), "1,234.6");
        assert_eq!(number(-0.25, 2, Language::Fr), "−0,25");
        assert_eq!(number(-0.001, 2, Language::En), "0.00");
        assert_eq!(number(999.0, 0, Language::En), "999");
    }

    #[test]
    fn of_too_few_only_counts_are_shown() {
        let share = |value, n, style| shown(Figure::NegativeShare, Some(value), n, style);
        assert_eq!(share(3.0 / 7.0, 7, FR), "3 sur 7");
        assert_eq!(share(0.5, 20, FR), "50\u{202f}%");
        assert_eq!(share(0.5, 20, EN), "50%");
        assert_eq!(shown(Figure::Mood, Some(0.3), 19, EN), NONE);
        assert_eq!(shown(Figure::Mood, Some(0.3), 20, EN), "0.30");
        assert_eq!(shown(Figure::NegativeShare, None, 0, EN), NONE);
        assert_eq!(shown(Figure::AtRisk, Some(0.0), 0, EN), NONE);
    }

    #[test]
    fn what_leaves_the_gym_hides_small_counts() {
        assert_eq!(shown(Figure::NewMembers, Some(4.0), 4, OUT), "<5");
        assert_eq!(shown(Figure::NewMembers, Some(0.0), 0, OUT), "0");
        assert_eq!(shown(Figure::NewMembers, Some(5.0), 5, OUT), "5");
        assert_eq!(shown(Figure::AtRisk, Some(2.0), 300, OUT), "<5");
        assert_eq!(shown(Figure::NegativeShare, Some(1.0 / 3.0), 3, OUT), "<5");
        assert_eq!(shown_n(3, OUT), "<5");
        // A percentage of enough still tells of one, or of all but one.
        assert_eq!(shown(Figure::NegativeShare, Some(0.05), 20, OUT), "<5");
        assert_eq!(shown(Figure::NegativeShare, Some(0.95), 20, OUT), NONE);
        assert_eq!(shown(Figure::NegativeShare, Some(0.5), 20, OUT), "50%");
        assert_eq!(shown(Figure::AtRisk, Some(297.0), 300, OUT), NONE);
        let share = |is| reading(Some(is), 20, Some((Some(0.5), 20)));
        assert_eq!(change(Figure::NegativeShare, &share(0.05), OUT), NONE);
        assert_eq!(change(Figure::NegativeShare, &share(0.25), OUT), "−25 pts");
        // The difference of two counts that are shown would give the third away.
        assert_eq!(
            change(
                Figure::Visitors,
                &reading(Some(9.0), 9, Some((Some(7.0), 7))),
                OUT
            ),
            NONE
        );
    }

    #[test]
    fn a_change_is_a_percentage_only_of_enough_and_never_infinite() {
        let visits = |is: i32, was: i32| {
            let visits = reading(Some(is.into()), is.into(), Some((Some(was.into()), was.into())));
            change(Figure::Visits, &visits, EN)
        };
        assert_eq!(visits(120, 100), "+20%");
        assert_eq!(visits(100, 100), "0%");
        assert_eq!(visits(80, 100), "−20%");
        assert_eq!(visits(12, 0), "+12");
        assert_eq!(visits(500, 0), "+500");
        assert_eq!(visits(0, 0), "0");
        assert_eq!(change(Figure::Visits, &reading(Some(1.0), 1, None), EN), NONE);
        let mood = reading(Some(0.5), 30, Some((Some(0.25), 30)));
        assert_eq!(change(Figure::Mood, &mood, FR), "+0,25");
        let few = reading(Some(0.5), 30, Some((Some(0.25), 3)));
        assert_eq!(change(Figure::Mood, &few, FR), NONE);
    }
}

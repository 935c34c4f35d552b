//! The sentences of a report. Every number in them is one of the report's own, written by [`super::numbers`].

use super::dates;
use super::definitions::{Unit, definition_of_figure};
use super::numbers::{FEW, Style, change, number, shown};
use super::words::{Words, words};
use super::{Freshness, Kind, Reading, Report};
use jarvis_core::Language;
use jarvis_db::queries::report::Figure;
use serde::{Deserialize, Serialize};

/// How soon something is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Today.
    Urgent,
    /// This week.
    High,
    /// When there is time.
    Medium,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// What, in a few words.
    pub title: String,
    /// How, and why.
    pub description: String,
    /// How soon.
    pub priority: Priority,
}

/// A change of this many standard errors stands out: Shewhart's limits (Economic Control of Quality of Manufactured
/// Product, 1931), wide because a report makes many comparisons.
const STANDS_OUT: f64 = 3.0;

/// What is told whenever it is not zero, however usual.
const ALWAYS_TOLD: [Figure; 3] = [
    Figure::KiosksSilent,
    Figure::FailedConversations,
    Figure::AlertsPressing,
];

/// `Bilan de la semaine — Salle du Port, du 2 mars 2026 au 8 mars 2026`.
pub fn title(report: &Report, language: Language) -> String {
    let name = match report.kind {
        Kind::DailySummary => words("Bilan du jour", "Daily summary"),
        Kind::WeeklyDigest => words("Bilan de la semaine", "Weekly digest"),
        Kind::MonthlyAnalysis => words("Analyse du mois", "Monthly analysis"),
        Kind::ChurnForecast => words("Prévision des départs", "Churn forecast"),
        Kind::MemberSatisfaction => words("Satisfaction des membres", "Member satisfaction"),
    };
    format!(
        "{} — {}, {}",
        name.of(language),
        report.gym.name,
        dates::period(report.period, language)
    )
}

/// One line: the numbers that lead, with what changed.
pub fn summary(report: &Report, style: Style) -> String {
    if is_silent(report) {
        return words(
            "Rien n'a été enregistré dans cette période : ni visite, ni conversation.",
            "Nothing was recorded in this period: no visit, no conversation.",
        )
        .of(style.language)
        .to_owned();
    }
    let lead: &[Figure] = match report.kind {
        Kind::DailySummary => &[Figure::Visits, Figure::Conversations, Figure::AlertsPressing],
        Kind::WeeklyDigest | Kind::MonthlyAnalysis => &[
            Figure::Visits,
            Figure::Visitors,
            Figure::Conversations,
            Figure::AtRisk,
        ],
        Kind::ChurnForecast => &[Figure::Members, Figure::AtRisk, Figure::Away],
        Kind::MemberSatisfaction => &[Figure::Conversations, Figure::Mood, Figure::NegativeShare],
    };
    let mut parts = Vec::new();
    for figure in lead {
        let Some(reading) = report.reading(*figure) else {
            continue;
        };
        parts.push(told(*figure, reading, style));
    }
    format!("{}.", parts.join(" ; "))
}

/// `Visites : 120 (+20 %)`.
fn told(figure: Figure, reading: &Reading, style: Style) -> String {
    let name = definition_of_figure(figure).name.of(style.language);
    let value = shown(figure, reading.value, reading.n, style);
    let change = change(figure, reading, style);
    let colon = words(" :", ":").of(style.language);
    if change == super::numbers::NONE || change == "0" {
        format!("{name}{colon} {value}")
    } else {
        format!("{name}{colon} {value} ({change})")
    }
}

/// Whether nothing at all happened, in a report that counts both visits and conversations.
pub fn is_silent(report: &Report) -> bool {
    let none = |figure| {
        report
            .reading(figure)
            .is_some_and(|reading| reading.value == Some(0.0))
    };
    none(Figure::Visits) && none(Figure::Conversations)
}

/// How old the analytics are, when that is not as it should be.
pub fn age_of_analytics(report: &Report, language: Language) -> Option<String> {
    let french = language.message_language() == Language::Fr;
    match report.freshness() {
        Freshness::Fresh(_) => None,
        Freshness::Never if french => Some(
            "Il n'y a pas encore d'analyses des membres à ce moment : risque et engagement manquent."
                .to_owned(),
        ),
        Freshness::Never => Some(
            "There are no analytics of the members at this moment yet: risk and engagement are missing."
                .to_owned(),
        ),
        Freshness::Stale(age) => {
            let at = report.analytics_as_of.unwrap_or(report.as_of);
            let at = dates::moment(at, report.gym.timezone, language);
            let age = dates::age(age, language);
            Some(if french {
                format!(
                    "Les analyses des membres datent du {at}, il y a {age} : risque et engagement sont ceux de ce moment."
                )
            } else {
                format!("The members' analytics are of {at}, {age} ago: risk and engagement are as of then.")
            })
        }
    }
}

/// What stands out: sentences, the most pressing first. Empty when nothing does.
pub fn findings(report: &Report, style: Style) -> Vec<String> {
    let language = style.language;
    let mut found = Vec::new();
    found.extend(age_of_analytics(report, language));
    for figure in ALWAYS_TOLD {
        if let Some(reading) = some(report, figure) {
            found.push(format!("{}.", told(figure, reading, style)));
        }
    }
    for reading in &report.figures {
        let known = Figure::named(&reading.key).filter(|figure| !ALWAYS_TOLD.contains(figure));
        let Some(figure) = known else {
            continue;
        };
        let Some(z) = standard_errors(figure, reading) else {
            continue;
        };
        if z.abs() < STANDS_OUT || change(figure, reading, style) == super::numbers::NONE {
            continue;
        }
        let was = reading.before.and_then(|before| before.value);
        let n = reading.before.map_or(0, |before| before.n);
        let was = shown(figure, was, n, style);
        let way = if z > 0.0 {
            words("en hausse, après", "up, after")
        } else {
            words("en baisse, après", "down, after")
        };
        found.push(format!(
            "{}, {} {was}.",
            told(figure, reading, style),
            way.of(language)
        ));
    }
    found
}

/// What to do when a number is not zero, by how soon; `{}` stands for the number.
const TO_DO: [(Figure, Priority, Words, Words); 4] = [
    (
        Figure::AlertsPressing,
        Priority::Urgent,
        words("Traiter les alertes pressantes", "See to the pressing alerts"),
        words(
            "Alertes ouvertes de priorité haute ou urgente : {}. Chacune dit pourquoi elle est là.",
            "Open alerts of high or urgent priority: {}. Each says why it is there.",
        ),
    ),
    (
        Figure::KiosksSilent,
        Priority::Urgent,
        words("Voir pourquoi des bornes se taisent", "See why kiosks are silent"),
        words(
            "Bornes sans nouvelles depuis une heure : {}. Vérifiez courant et réseau.",
            "Kiosks not heard of for an hour: {}. Check power and network.",
        ),
    ),
    (
        Figure::AtRisk,
        Priority::High,
        words(
            "Prendre contact avec les membres à risque",
            "Get in touch with members at risk",
        ),
        words(
            "Risque de départ élevé ou critique : {}.",
            "High or critical risk of leaving: {}.",
        ),
    ),
    (
        Figure::FailedConversations,
        Priority::Medium,
        words(
            "Faire reprendre les conversations en échec",
            "Have failed conversations taken up again",
        ),
        words(
            "Conversations dont la mémoire n'a pas pu être faite : {}. L'exploitant peut les relancer.",
            "Conversations that could not be made into memory: {}. The operator can run them again.",
        ),
    ),
];

/// What to do, the most pressing first. Empty when there is nothing to do.
pub fn actions(report: &Report, style: Style) -> Vec<Action> {
    let action = |priority, title: Words, description: Words, value: &str| Action {
        title: title.of(style.language).to_owned(),
        description: description.of(style.language).replace("{}", value),
        priority,
    };
    let mut todo: Vec<Action> = TO_DO
        .iter()
        .filter_map(|(figure, priority, title, description)| {
            let reading = some(report, *figure)?;
            let value = shown(*figure, reading.value, reading.n, style);
            Some(action(*priority, *title, *description, &value))
        })
        .collect();
    if is_silent(report) {
        todo.push(action(
            Priority::High,
            words("Vérifier que tout est branché", "Check that everything is connected"),
            words(
                "Ni visite ni conversation dans la période. Si la salle était ouverte, rien n'arrive jusqu'ici.",
                "No visit and no conversation in the period. If the gym was open, nothing gets here.",
            ),
            "",
        ));
    }
    if matches!(report.freshness(), Freshness::Stale(_)) {
        todo.push(action(
            Priority::Medium,
            words("Faire refaire les analyses", "Have the analytics computed again"),
            words("Elles sont trop vieilles.", "They are too old."),
            "",
        ));
    }
    todo.sort_by_key(|action| action.priority);
    todo
}

fn some(report: &Report, figure: Figure) -> Option<&Reading> {
    report
        .reading(figure)
        .filter(|reading| reading.value.is_some_and(|value| value > 0.0))
}

/// By how many standard errors a number differs from the one before; none where too little is known. Counts are compared as
/// Poisson counts (Przyborowski and Wilenski, Biometrika 1940, in its normal approximation), shares by the pooled test of
/// two proportions.
fn standard_errors(figure: Figure, reading: &Reading) -> Option<f64> {
    let (is, before) = reading.value.zip(reading.before)?;
    let was = before.value?;
    match definition_of_figure(figure).unit {
        Unit::Count if is + was > 0.0 => Some((is - was) / (is + was).sqrt()),
        Unit::Share if reading.n >= FEW && before.n >= FEW => {
            #[expect(clippy::cast_precision_loss, reason = "counts of a gym")]
            let (n, m) = (reading.n as f64, before.n as f64);
            let pooled = (is * n + was * m) / (n + m);
            let error = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
            (error > 0.0).then(|| (is - was) / error)
        }
        _ => None,
    }
}

/// `Calculé le 9 mars 2026 à 07:00 (Europe/Paris)`.
pub fn as_of(report: &Report, language: Language) -> String {
    let at = dates::moment(report.as_of, report.gym.timezone, language);
    let zone = report.gym.timezone;
    if language.message_language() == Language::Fr {
        format!("État au {at} ({zone})")
    } else {
        format!("As of {at} ({zone})")
    }
}

/// A bar's label: a day, an hour, a band, or a topic as it stands.
pub fn label(text: &str, language: Language) -> String {
    let band = match text {
        "low" => Some(words("faible", "low")),
        "medium" => Some(words("moyen", "medium")),
        "high" => Some(words("élevé", "high")),
        "critical" => Some(words("critique", "critical")),
        _ => None,
    };
    if let Some(band) = band {
        band.of(language).to_owned()
    } else if let Ok(date) = text.parse() {
        dates::short_day(date, language)
    } else if let Ok(hour) = text.parse::<u8>() {
        number(hour.into(), 0, language)
    } else {
        text.to_owned()
    }
}

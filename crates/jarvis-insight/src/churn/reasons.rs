//! Why a score is what it is: exact parts of its log-odds, told in words with the values a person can check.

use super::counts::Counts;
use super::features::{FEATURES, Feature};
use super::model::Score;
use jarvis_core::Language;
use serde::{Deserialize, Serialize};

/// What a reason is about: one feature, or several that a person sees as one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// Days since the last visit, alone and against the habit.
    Absence,
    /// Visits of four weeks.
    Visits,
    /// These four weeks against those before.
    Trend,
    /// How long a member.
    Tenure,
    /// The end of the term.
    ContractEnds,
    /// Bound to a term.
    Committed,
    /// Negative conversations.
    Negative,
    /// Conversations.
    Conversations,
    /// Goals that progress.
    Goals,
    /// Group classes.
    GroupClass,
}

impl Theme {
    const ALL: [Self; 10] = [
        Self::Absence,
        Self::Visits,
        Self::Trend,
        Self::Tenure,
        Self::ContractEnds,
        Self::Committed,
        Self::Negative,
        Self::Conversations,
        Self::Goals,
        Self::GroupClass,
    ];

    fn of(feature: Feature) -> Self {
        match feature {
            Feature::Absence | Feature::AbsenceByHabit => Self::Absence,
            Feature::Visits => Self::Visits,
            Feature::Trend => Self::Trend,
            Feature::FirstQuarter | Feature::FirstMonth | Feature::Tenure => Self::Tenure,
            Feature::ContractEnds => Self::ContractEnds,
            Feature::Committed => Self::Committed,
            Feature::Negative => Self::Negative,
            Feature::Conversations => Self::Conversations,
            Feature::Goals => Self::Goals,
            Feature::GroupClass => Self::GroupClass,
        }
    }

    /// What is the case, with raw values. French for French, English for every other language.
    pub fn words(self, c: &Counts, language: Language) -> String {
        match language.message_language() {
            Language::Fr => self.french(c),
            _ => self.english(c),
        }
    }

    fn french(self, c: &Counts) -> String {
        match self {
            Self::Absence if !c.ever_visited => format!("Jamais venu en {} j d'adhésion", c.days_absent),
            Self::Absence => match c.own_gap {
                Some(gap) if gap > 1.0 => format!(
                    "Absent depuis {} j, d'habitude tous les {} j",
                    c.days_absent,
                    decimal(gap, ',')
                ),
                Some(_) => format!("Absent depuis {} j, d'habitude tous les jours", c.days_absent),
                None => format!("Absent depuis {} j", c.days_absent),
            },
            Self::Visits => counted(
                c.visits_28d,
                "Aucune visite en 28 j",
                "1 visite en 28 j",
                "visites en 28 j",
            ),
            Self::Trend => c.visits_before.map_or_else(
                || "Trop récent pour une tendance".to_owned(),
                |before| format!("{} visites en 28 j, {before} les 28 j d'avant", c.visits_28d),
            ),
            Self::Tenure => format!("Membre depuis {} j", c.tenure_days),
            Self::ContractEnds => match c.days_to_end {
                Some(days) if days < 0.0 => format!("Contrat échu depuis {} j", -days),
                Some(days) => format!("Contrat jusque dans {days} j"),
                None => "Pas d'échéance de contrat connue".to_owned(),
            },
            Self::Committed if c.committed => "Sous engagement".to_owned(),
            Self::Committed => "Sans engagement".to_owned(),
            Self::Negative => counted(
                c.negative_30d,
                "Aucune conversation négative en 30 j",
                "1 conversation négative en 30 j",
                "conversations négatives en 30 j",
            ),
            Self::Conversations => counted(
                c.conversations_28d,
                "Aucune conversation en 28 j",
                "1 conversation en 28 j",
                "conversations en 28 j",
            ),
            Self::Goals => counted(
                c.goals_progressing,
                "Aucun objectif en progrès",
                "1 objectif en progrès",
                "objectifs en progrès",
            ),
            Self::GroupClass if c.group_class => "Suit des cours collectifs".to_owned(),
            Self::GroupClass => "Aucun cours collectif en 90 j".to_owned(),
        }
    }

    fn english(self, c: &Counts) -> String {
        match self {
            Self::Absence if !c.ever_visited => format!("Never came in {} d of membership", c.days_absent),
            Self::Absence => match c.own_gap {
                Some(gap) if gap > 1.0 => format!(
                    "Absent for {} d, usually every {} d",
                    c.days_absent,
                    decimal(gap, '.')
                ),
                Some(_) => format!("Absent for {} d, usually every day", c.days_absent),
                None => format!("Absent for {} d", c.days_absent),
            },
            Self::Visits => counted(
                c.visits_28d,
                "No visit in 28 d",
                "1 visit in 28 d",
                "visits in 28 d",
            ),
            Self::Trend => c.visits_before.map_or_else(
                || "Too new for a trend".to_owned(),
                |before| format!("{} visits in 28 d, {before} in the 28 d before", c.visits_28d),
            ),
            Self::Tenure => format!("Member for {} d", c.tenure_days),
            Self::ContractEnds => match c.days_to_end {
                Some(days) if days < 0.0 => format!("Contract ran out {} d ago", -days),
                Some(days) => format!("Contract ends in {days} d"),
                None => "No end of contract known".to_owned(),
            },
            Self::Committed if c.committed => "Bound to a term".to_owned(),
            Self::Committed => "Not bound to a term".to_owned(),
            Self::Negative => counted(
                c.negative_30d,
                "No negative conversation in 30 d",
                "1 negative conversation in 30 d",
                "negative conversations in 30 d",
            ),
            Self::Conversations => counted(
                c.conversations_28d,
                "No conversation in 28 d",
                "1 conversation in 28 d",
                "conversations in 28 d",
            ),
            Self::Goals => counted(
                c.goals_progressing,
                "No goal progresses",
                "1 goal progresses",
                "goals progress",
            ),
            Self::GroupClass if c.group_class => "Takes group classes".to_owned(),
            Self::GroupClass => "No group class in 90 d".to_owned(),
        }
    }
}

fn counted(n: u32, none: &str, one: &str, many: &str) -> String {
    match n {
        0 => none.to_owned(),
        1 => one.to_owned(),
        n => format!("{n} {many}"),
    }
}

/// One decimal at most, with the language's mark.
fn decimal(value: f64, mark: char) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0")
        .map_or_else(|| text.replace('.', &mark.to_string()), str::to_owned)
}

/// One reason.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Reason {
    /// What it is about.
    pub theme: Theme,
    /// What it adds to the log-odds; negative speaks against leaving.
    pub log_odds: f64,
}

/// Every part of the log-odds by theme. With the baseline they sum to the log-odds.
pub fn parts(score: &Score) -> [Reason; 10] {
    let mut parts = Theme::ALL.map(|theme| Reason { theme, log_odds: 0.0 });
    for j in 0..FEATURES {
        let theme = Theme::of(Feature::ALL[j]);
        parts[theme as usize].log_odds += score.contributions[j];
    }
    parts
}

/// Smaller parts are no reason.
const LEAST: f64 = 0.01;

/// The three parts that raise a score most, then the one that lowers it most.
pub fn top(score: &Score) -> Vec<Reason> {
    let mut parts = parts(score);
    parts.sort_by(|a, b| b.log_odds.total_cmp(&a.log_odds));
    let raising = parts.iter().filter(|r| r.log_odds >= LEAST).take(3);
    let lowering = parts.iter().rev().filter(|r| r.log_odds <= -LEAST).take(1);
    raising.chain(lowering).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::super::features::{Vector, raw};
    use super::super::logit;
    use super::super::model::{Model, Prior};
    use super::*;

    fn absent() -> Counts {
        Counts {
            days_absent: 23.0,
            ever_visited: true,
            own_gap: Some(4.0),
            visits_28d: 2,
            visits_before: Some(7),
            tenure_days: 400.0,
            days_to_end: Some(200.0),
            committed: false,
            negative_30d: 1,
            conversations_28d: 0,
            goals_progressing: 0,
            group_class: true,
        }
    }

    fn present() -> Counts {
        Counts {
            days_absent: 2.0,
            visits_28d: 7,
            negative_30d: 0,
            group_class: false,
            ..absent()
        }
    }

    #[test]
    fn reasons_sum_to_the_log_odds_and_are_told_in_both_languages() {
        let population: Vec<Vector> = [absent(), present(), present(), present()]
            .iter()
            .map(raw)
            .collect();
        let model = Model::unfitted(&Prior::built_in(0.034), &population);
        let score = model.score(&absent());
        let sum: f64 = score.baseline + parts(&score).iter().map(|r| r.log_odds).sum::<f64>();
        assert!((sum - logit(score.p)).abs() < 1e-9);
        let told = |language| -> Vec<String> {
            top(&score)
                .iter()
                .map(|r| r.theme.words(&absent(), language))
                .collect()
        };
        assert_eq!(
            told(Language::Fr),
            [
                "Absent depuis 23 j, d'habitude tous les 4 j",
                "1 conversation négative en 30 j",
                "2 visites en 28 j, 7 les 28 j d'avant",
                "Suit des cours collectifs"
            ]
        );
        assert_eq!(told(Language::En)[0], "Absent for 23 d, usually every 4 d");
    }

    #[test]
    fn every_theme_stands_at_its_place() {
        for (place, theme) in Theme::ALL.iter().enumerate() {
            assert_eq!(*theme as usize, place);
        }
    }

    #[test]
    fn halves_are_written_as_each_language_writes_them() {
        let counts = Counts {
            own_gap: Some(2.5),
            ..absent()
        };
        assert!(
            Theme::Absence
                .words(&counts, Language::Fr)
                .ends_with("tous les 2,5 j")
        );
        assert!(
            Theme::Absence
                .words(&counts, Language::De)
                .ends_with("every 2.5 d")
        );
    }
}

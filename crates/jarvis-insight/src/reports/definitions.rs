//! What each number means, in words that stand beside it.

use super::words::{Words, words};
use jarvis_db::queries::report::{Chart, Figure};

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// So many.
    Count,
    /// So many of `n`.
    Part,
    /// A share of `n`, 0 to 1, as a percentage.
    Share,
    /// A mean or median of `n`, with so many decimals.
    Mean(usize),
}

/// A number, explained.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// Its name for people.
    pub name: Words,
    /// What is counted.
    pub meaning: Words,
    /// How it is written.
    pub unit: Unit,
}

const fn definition(name: Words, meaning: Words, unit: Unit) -> Definition {
    Definition { name, meaning, unit }
}

/// What a number means.
#[expect(clippy::too_many_lines, reason = "a table")]
pub fn definition_of_figure(figure: Figure) -> Definition {
    match figure {
        Figure::Visits => definition(
            words("Visites", "Visits"),
            words(
                "passages comptés à l'entrée ; une conversation n'est pas une visite",
                "counted at the door; a conversation is no visit",
            ),
            Unit::Count,
        ),
        Figure::Visitors => definition(
            words("Membres venus", "Members who came"),
            words(
                "membres avec au moins une visite",
                "members with at least one visit",
            ),
            Unit::Count,
        ),
        Figure::VisitsPerVisitor => definition(
            words("Visites par membre venu", "Visits per member who came"),
            words(
                "visites divisées par membres venus",
                "visits divided by members who came",
            ),
            Unit::Mean(1),
        ),
        Figure::Conversations => definition(
            words("Conversations", "Conversations"),
            words(
                "conversations commencées, celles où personne n'a parlé exceptées",
                "conversations that began, except those in which nobody spoke",
            ),
            Unit::Count,
        ),
        Figure::Speakers => definition(
            words("Membres qui ont parlé", "Members who spoke"),
            words(
                "membres avec au moins une conversation",
                "members with at least one conversation",
            ),
            Unit::Count,
        ),
        Figure::FailedConversations => definition(
            words("Conversations en échec", "Failed conversations"),
            words(
                "conversations dont la mémoire n'a pas pu être faite",
                "conversations that could not be made into memory",
            ),
            Unit::Count,
        ),
        Figure::Mood => definition(
            words("Humeur moyenne", "Mean mood"),
            words(
                "moyenne du ton des conversations, de −1 (négatif) à 1 (positif)",
                "mean tone of the conversations, from −1 (negative) to 1 (positive)",
            ),
            Unit::Mean(2),
        ),
        Figure::NegativeShare => definition(
            words("Conversations négatives", "Negative conversations"),
            words(
                "part des conversations au ton négatif",
                "share of conversations with a negative tone",
            ),
            Unit::Share,
        ),
        Figure::PositiveShare => definition(
            words("Conversations positives", "Positive conversations"),
            words(
                "part des conversations au ton positif",
                "share of conversations with a positive tone",
            ),
            Unit::Share,
        ),
        Figure::NewMembers => definition(
            words("Nouveaux membres", "New members"),
            words(
                "abonnements qui commencent dans la période",
                "memberships that begin in the period",
            ),
            Unit::Count,
        ),
        Figure::AlertsRaised => definition(
            words("Alertes levées", "Alerts raised"),
            words(
                "alertes apparues dans la période",
                "alerts that appeared in the period",
            ),
            Unit::Count,
        ),
        Figure::Complaints => definition(
            words("Réclamations", "Complaints"),
            words("alertes d'avis négatif", "alerts of negative feedback"),
            Unit::Count,
        ),
        Figure::AlertsResolved => definition(
            words("Alertes résolues", "Alerts resolved"),
            words(
                "alertes résolues dans la période",
                "alerts resolved in the period",
            ),
            Unit::Count,
        ),
        Figure::AlertHours => definition(
            words("Heures jusqu'à la résolution", "Hours to resolution"),
            words(
                "médiane, de l'alerte à sa résolution",
                "median, from the alert to its resolution",
            ),
            Unit::Mean(1),
        ),
        Figure::Members => definition(
            words("Membres actifs", "Active members"),
            words(
                "membres actifs au moment du rapport",
                "members active at the time of the report",
            ),
            Unit::Count,
        ),
        Figure::Away => definition(
            words("Sans visite depuis 14 jours", "No visit for 14 days"),
            words(
                "membres actifs, inscrits depuis 14 jours au moins, sans visite depuis 14 jours",
                "active members, known for 14 days at least, without a visit for 14 days",
            ),
            Unit::Part,
        ),
        Figure::AtRisk => definition(
            words("Risque de départ élevé", "High risk of leaving"),
            words(
                "membres actifs au risque élevé ou critique, parmi ceux qui ont un score",
                "active members at high or critical risk, of those who have a score",
            ),
            Unit::Part,
        ),
        Figure::Engagement => definition(
            words("Engagement moyen", "Mean engagement"),
            words(
                "moyenne de l'engagement des membres actifs, de 0 à 1",
                "mean engagement of active members, from 0 to 1",
            ),
            Unit::Mean(2),
        ),
        Figure::AlertsOpen => definition(
            words("Alertes ouvertes", "Open alerts"),
            words(
                "alertes à traiter ou en cours",
                "alerts that wait or are being worked on",
            ),
            Unit::Count,
        ),
        Figure::AlertsPressing => definition(
            words("Alertes pressantes", "Pressing alerts"),
            words(
                "alertes ouvertes de priorité haute ou urgente",
                "open alerts of high or urgent priority",
            ),
            Unit::Count,
        ),
        Figure::KiosksSilent => definition(
            words("Bornes muettes", "Silent kiosks"),
            words(
                "bornes en service sans nouvelles depuis une heure",
                "kiosks in service not heard of for an hour",
            ),
            Unit::Part,
        ),
    }
}

/// What a chart shows: its name and what is counted.
pub fn definition_of_chart(chart: Chart) -> (Words, Words) {
    match chart {
        Chart::VisitsByDay => (
            words("Visites par jour", "Visits by day"),
            words(
                "visites de chaque jour de la période",
                "visits on each day of the period",
            ),
        ),
        Chart::VisitsByHour => (
            words("Visites par heure", "Visits by hour"),
            words(
                "visites de la période selon l'heure d'arrivée",
                "visits of the period by the hour of arrival",
            ),
        ),
        Chart::Topics => (
            words("Sujets des conversations", "Topics of conversations"),
            words(
                "membres qui en ont parlé, à partir de cinq",
                "members who spoke of it, from five on",
            ),
        ),
        Chart::Bands => (
            words("Risque de départ", "Risk of leaving"),
            words(
                "membres actifs dans chaque niveau de risque",
                "active members in each band of risk",
            ),
        ),
    }
}

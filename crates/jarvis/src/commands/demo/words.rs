//! What the demo says to people, in French and in English.

use crate::language::Lang;

/// The demo's sentences in one language.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    pub gyms_are_there: &'static str,
    pub playing: &'static str,
    /// Between a badge and a gym.
    pub speaks_at: &'static str,
    pub making_memory: &'static str,
    pub summary: &'static str,
    pub next_time: &'static str,
    /// Before what the member says.
    pub when_they_say: &'static str,
    pub logins: &'static str,
    pub read_badge: &'static str,
    pub token_lasts: &'static str,
    pub stopped: &'static str,
}

static FRENCH: Words = Words {
    gyms_are_there: "deux salles sont prêtes : lyon (12 membres) et nantes (3 membres)",
    playing: "les conversations se jouent",
    speaks_at: "parle à",
    making_memory: "ce qui a été dit devient mémoire",
    summary: "résumé ",
    next_time: "À la prochaine lecture du premier badge, l'assistant saura :",
    when_they_say: "Puis, quand la personne dira",
    logins: "Comptes",
    read_badge: "Lire le badge BADGE_001 à la borne de Lyon :",
    token_lasts: "Le jeton vaut 15 minutes. Dans un autre terminal :",
    stopped: "arrêté ; les données de la démonstration sont gardées",
};

static ENGLISH: Words = Words {
    gyms_are_there: "two gyms are there: lyon (12 members) and nantes (3 members)",
    playing: "playing conversations",
    speaks_at: "speaks at",
    making_memory: "making memory of what was said",
    summary: "summary",
    next_time: "When the first badge is read again, the assistant is told:",
    when_they_say: "Then, when they say",
    logins: "Logins",
    read_badge: "Read badge BADGE_001 at the kiosk of Lyon:",
    token_lasts: "The token lasts 15 minutes. In another terminal:",
    stopped: "stopped; the demo's data is kept",
};

impl Words {
    /// In the language with this name.
    pub fn named(name: &str) -> Result<&'static Self, String> {
        match name {
            "fr" => Ok(&FRENCH),
            "en" => Ok(&ENGLISH),
            _ => Err("the demo speaks fr or en".to_owned()),
        }
    }

    /// In the language that the terminal is set to.
    pub fn of_surroundings() -> &'static Self {
        match Lang::or_of_surroundings(None) {
            Lang::Fr => &FRENCH,
            Lang::En => &ENGLISH,
        }
    }
}

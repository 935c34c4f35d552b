//! Rules that wake somebody, as an example to start from.

use super::Text;
use std::fmt::Write as _;

/// One rule.
#[derive(Debug, Clone, Copy)]
pub struct Alert {
    /// Its name.
    pub name: &'static str,
    /// When it is so, in PromQL.
    pub expr: &'static str,
    /// For how long it must be so.
    pub lasting: &'static str,
    /// `page` wakes somebody, `ticket` waits for the morning.
    pub severity: &'static str,
    /// What it means, and what to do.
    pub meaning: Text,
}

/// The rules of `deploy/prometheus-rules.yml`.
pub static ALERTS: &[Alert] = &[
    Alert {
        name: "JarvisDown",
        expr: "up{job=\"jarvis\"} == 0",
        lasting: "1m",
        severity: "page",
        meaning: Text {
            en: "A process does not answer the scrape: see systemctl status jarvis and its journal",
            fr: "Un processus ne répond pas à la lecture : voir systemctl status jarvis et son journal",
        },
    },
    Alert {
        name: "JarvisDatabaseDown",
        expr: "jarvis_db_up == 0",
        lasting: "1m",
        severity: "page",
        meaning: Text {
            en: "The database does not answer; badges are refused, kiosks keep their events",
            fr: "La base ne répond pas ; les badges sont refusés, les bornes gardent leurs événements",
        },
    },
    Alert {
        name: "JarvisPartDown",
        expr: "min by (part) (jarvis_part_ready) == 0",
        lasting: "2m",
        severity: "page",
        meaning: Text {
            en: "A part is down; /readyz names the cause and what to do",
            fr: "Une partie est arrêtée ; /readyz nomme la cause et quoi faire",
        },
    },
    Alert {
        name: "JarvisPartDegraded",
        expr: "min by (part) (jarvis_part_ready) == 0.5",
        lasting: "1h",
        severity: "ticket",
        meaning: Text {
            en: "A part is degraded; /readyz names the cause and what to do",
            fr: "Une partie est dégradée ; /readyz nomme la cause et quoi faire",
        },
    },
    Alert {
        name: "JarvisErrors",
        expr: "sum by (route) (rate(jarvis_http_requests_total{status=\"5xx\"}[5m])) > 0.01 * sum by (route) (rate(jarvis_http_requests_total[5m]))",
        lasting: "5m",
        severity: "page",
        meaning: Text {
            en: "More than 1 % of a route's requests fail; the log lines of level ERROR have code and cause",
            fr: "Plus de 1 % des requêtes d'une route échouent ; les lignes ERROR du journal ont code et cause",
        },
    },
    Alert {
        name: "JarvisQueueStuck",
        expr: "max(jarvis_queue_oldest_overdue_seconds) > 300",
        lasting: "5m",
        severity: "page",
        meaning: Text {
            en: "Jobs wait for more than five minutes: is a worker running?",
            fr: "Des tâches attendent depuis plus de cinq minutes : un worker tourne-t-il ?",
        },
    },
    Alert {
        name: "JarvisDeadJobs",
        expr: "max by (kind) (jarvis_queue_jobs{state=\"discarded\"}) > 0",
        lasting: "10m",
        severity: "ticket",
        meaning: Text {
            en: "Jobs gave up: see the log lines with outcome failed or exhausted",
            fr: "Des tâches ont abandonné : voir les lignes du journal avec outcome failed ou exhausted",
        },
    },
    Alert {
        name: "JarvisMemoryLate",
        expr: "max(jarvis_sessions_oldest_closing_seconds) > 900",
        lasting: "5m",
        severity: "ticket",
        meaning: Text {
            en: "A session has waited for its memory for a quarter of an hour: jarvis doctor",
            fr: "Une session attend sa mémoire depuis un quart d'heure : jarvis doctor",
        },
    },
    Alert {
        name: "JarvisPanic",
        expr: "increase(jarvis_panics_total[10m]) > 0",
        lasting: "0m",
        severity: "ticket",
        meaning: Text {
            en: "A defect of ours; the log line has the place in the code",
            fr: "Un défaut de notre part ; la ligne du journal a l'endroit dans le code",
        },
    },
    Alert {
        name: "JarvisDiskLow",
        expr: "jarvis_disk_free_bytes < 1073741824",
        lasting: "10m",
        severity: "page",
        meaning: Text {
            en: "Less than 1 GiB is left for the embedded PostgreSQL",
            fr: "Il reste moins de 1 Gio pour le PostgreSQL embarqué",
        },
    },
];

/// The rules as Prometheus reads them.
pub fn rules_file() -> String {
    let mut file = String::from(
        "# Rules to start from; see docs/metrics.md. Written by the program: change crates/jarvis-observe.\n\
         # JARVIS_UPDATE=1 cargo nextest run -p jarvis-observe writes it again.\n\
         groups:\n  - name: jarvis\n    rules:\n",
    );
    for alert in ALERTS {
        // A single-quoted scalar of YAML doubles its quotes.
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let Alert {
            name,
            expr,
            lasting,
            severity,
            meaning,
        } = alert;
        let (expr, en, fr) = (quoted(expr), quoted(meaning.en), quoted(meaning.fr));
        write!(
            file,
            "      - alert: {name}\n        expr: {expr}\n        for: {lasting}\n        labels:\n          \
             severity: {severity}\n        annotations:\n          summary: {en}\n          resume: {fr}\n"
        )
        .expect("a string takes all that is written");
    }
    file
}

//! The figures of a backtest, as Markdown, for the terminal and for `docs/churn.md`.

use crate::commands::simulate::Size;
use crate::language::Lang;
use jarvis_insight::churn::backtest::{ABOVE_RECENCY, Judged, Report, Rival, Verdict, median};
use jarvis_insight::churn::trust::FAIR;
use std::fmt::Write as _;

/// What is told of each rival: the head in English and French, how it is written, and where it is found.
type Column = (&'static str, &'static str, Form, fn(&Judged) -> Option<f64>);

#[derive(Clone, Copy)]
enum Form {
    Three,
    Two,
    One,
    Percent,
}

const SCORES: [Column; 8] = [
    ("AUC", "AUC", Form::Three, |j| j.auc.map(|a| a.value)),
    ("AUC in term", "AUC avant échéance", Form::Three, |j| {
        j.auc_in_term.map(|a| a.value)
    }),
    ("PR-AUC", "PR-AUC", Form::Three, |j| j.pr_auc),
    (
        "precision, top 2 %",
        "précision, 2 % premiers",
        Form::Percent,
        |j| j.precision_at_capacity,
    ),
    ("log-loss", "perte log", Form::Three, |j| j.log_loss),
    ("Brier skill", "gain de Brier", Form::Three, |j| {
        j.calibration.map(|c| c.brier_skill)
    }),
    ("ECE", "ECE", Form::Three, |j| j.calibration_error),
    ("O/E", "O/A", Form::Two, |j| {
        j.calibration.and_then(|c| c.observed_over_expected)
    }),
];

const ALERTS: [Column; 4] = [
    (
        "alerts per 100 members a month",
        "alertes pour 100 membres par mois",
        Form::One,
        |j| Some(j.alerts.per_100_members),
    ),
    (
        "left within 30 days",
        "partis sous 30 jours",
        Form::Percent,
        |j| j.alerts.precision,
    ),
    ("exits foretold", "départs annoncés", Form::Percent, |j| {
        j.alerts.exits_called
    }),
    ("lead, days", "avance, jours", Form::One, |j| j.alerts.lead_days),
];

/// The figures of one gym and the verdict.
pub fn of_one(gym: u32, report: &Report, lang: Lang) -> String {
    let alone = std::slice::from_ref(report);
    let mut text = match lang {
        Lang::En => format!(
            "Gym {gym}: {} days tested, {} scores, {} exits.\n\n",
            report.origins, report.scores, report.exits
        ),
        Lang::Fr => format!(
            "Salle {gym} : {} jours testés, {} scores, {} départs.\n\n",
            report.origins, report.scores, report.exits
        ),
    };
    if report.scores > 0 {
        text += &tables(alone, lang);
    }
    if let Some(auc) = report.of(Rival::Map).and_then(|j| j.auc) {
        let _ = match lang {
            Lang::En => writeln!(
                text,
                "AUC of map: {:.3}, 95 % {:.3} to {:.3}.",
                auc.value, auc.lo, auc.hi
            ),
            Lang::Fr => writeln!(
                text,
                "AUC de map : {}, 95 % de {} à {}.",
                decimal(auc.value, 3, lang),
                decimal(auc.lo, 3, lang),
                decimal(auc.hi, 3, lang)
            ),
        };
    }
    let verdict = match (report.verdict, lang) {
        (Verdict::TooFewExits, Lang::Fr) => "données insuffisantes : moins de 20 départs, donc pas d'AUC",
        (Verdict::TooFewExits, Lang::En) => "not enough data: fewer than 20 exits, so no AUC",
        (Verdict::Holds, Lang::Fr) => {
            "le modèle vaut mieux que compter les jours d'absence, et ses chiffres sont justes"
        }
        (Verdict::Holds, Lang::En) => {
            "the model is worth more than counting days of absence, and its figures are fair"
        }
        (Verdict::Misses, Lang::Fr) => {
            "le modèle n'atteint pas ses seuils (AUC 0,08 au-dessus de l'absence, O/A de 0,8 à 1,25)"
        }
        (Verdict::Misses, Lang::En) => {
            "the model misses its bars (AUC 0.08 above recency, O/E from 0.8 to 1.25)"
        }
    };
    let _ = writeln!(
        text,
        "Verdict{}: {verdict}.",
        if lang == Lang::Fr { " " } else { "" }
    );
    text
}

/// The medians of several gyms, and whether they reach the bars.
pub fn of_many(reports: &[Report], size: Size, lang: Lang) -> String {
    let exits: Vec<usize> = reports.iter().map(|r| r.exits).collect();
    let (fewest, most) = (exits.iter().min().unwrap_or(&0), exits.iter().max().unwrap_or(&0));
    let scores: usize = reports.iter().map(|r| r.scores).sum();
    let mut text = match lang {
        Lang::En => format!(
            "Median of {} simulated gyms of {} members and {} days; {fewest} to {most} exits each, {scores} scores in all.\n\n",
            reports.len(),
            size.members,
            size.days
        ),
        Lang::Fr => format!(
            "Médiane de {} salles simulées de {} membres et {} jours ; {fewest} à {most} départs chacune, {scores} scores en tout.\n\n",
            reports.len(),
            size.members,
            size.days
        ),
    };
    text += &tables(reports, lang);
    text += &bars(reports, lang);
    text
}

/// Whether the medians reach the bars.
pub fn median_holds(reports: &[Report]) -> bool {
    above(reports).is_some_and(|a| a >= ABOVE_RECENCY) && fair(reports).is_some_and(|f| FAIR.contains(&f))
}

fn above(reports: &[Report]) -> Option<f64> {
    median_of(reports.iter().map(Report::above_recency))
}

fn fair(reports: &[Report]) -> Option<f64> {
    median_of(reports.iter().map(Report::observed_over_expected))
}

fn bars(reports: &[Report], lang: Lang) -> String {
    let range = |of: fn(&Report) -> Option<f64>, digits| {
        let mut values: Vec<f64> = reports.iter().filter_map(of).collect();
        values.sort_by(f64::total_cmp);
        let end = |v: Option<&f64>| v.map_or("–".to_owned(), |v| decimal(*v, digits, lang));
        (end(values.first()), end(values.last()))
    };
    let shown = |v: Option<f64>, digits| v.map_or("–".to_owned(), |v| decimal(v, digits, lang));
    let (low, high) = range(Report::above_recency, 3);
    let (least, most) = range(Report::observed_over_expected, 2);
    let (above, fair) = (shown(above(reports), 3), shown(fair(reports), 2));
    match lang {
        Lang::En => format!(
            "| bar | wanted | median | lowest and highest gym |\n|---|---|--:|---|\n\
             | AUC of map above recency | at least 0.08 | {above} | {low}, {high} |\n\
             | exits observed ÷ expected | 0.8 to 1.25 | {fair} | {least}, {most} |\n"
        ),
        Lang::Fr => format!(
            "| seuil | voulu | médiane | salle la plus basse et la plus haute |\n|---|---|--:|---|\n\
             | AUC de map au-dessus de l'absence | au moins 0,08 | {above} | {low} ; {high} |\n\
             | départs observés ÷ attendus | 0,8 à 1,25 | {fair} | {least} ; {most} |\n"
        ),
    }
}

fn tables(reports: &[Report], lang: Lang) -> String {
    table(reports, &SCORES, lang) + "\n" + &table(reports, &ALERTS, lang) + "\n"
}

fn table(reports: &[Report], columns: &[Column], lang: Lang) -> String {
    let mut text = String::from("| |");
    for (en, fr, ..) in columns {
        let _ = write!(text, " {} |", if lang == Lang::En { en } else { fr });
    }
    text += "\n|---|";
    text += &"--:|".repeat(columns.len());
    text.push('\n');
    for rival in Rival::ALL {
        let _ = write!(text, "| {} |", name(rival, lang));
        for (_, _, form, of) in columns {
            let value = median_of(reports.iter().map(|r| r.of(rival).and_then(of)));
            let _ = write!(
                text,
                " {} |",
                value.map_or("–".to_owned(), |v| written(v, *form, lang))
            );
        }
        text.push('\n');
    }
    text
}

fn name(rival: Rival, lang: Lang) -> &'static str {
    match (rival, lang) {
        (Rival::Recency, Lang::Fr) => "absence",
        (Rival::FourteenDays, Lang::Fr) => "14 jours",
        (Rival::Prior, Lang::Fr) => "a priori",
        _ => rival.as_str(),
    }
}

fn median_of(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    median(&mut values.flatten().collect::<Vec<_>>())
}

fn written(value: f64, form: Form, lang: Lang) -> String {
    match form {
        Form::Three => decimal(value, 3, lang),
        Form::Two => decimal(value, 2, lang),
        Form::One => decimal(value, 1, lang),
        Form::Percent => format!("{} %", decimal(100.0 * value, 0, lang)),
    }
}

fn decimal(value: f64, digits: usize, lang: Lang) -> String {
    let text = format!("{value:.digits$}");
    match lang {
        Lang::Fr => text.replace('.', ","),
        Lang::En => text,
    }
}

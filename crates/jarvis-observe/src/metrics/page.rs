//! The table as a page of the documentation.

use super::{ALERTS, Spec, TABLE, Text};
use std::fmt::Write as _;

const INTRO: Text = Text {
    en: r#"# Metrics

[Français](metrics.fr.md)

A process that is given `--metrics-listen ADDRESS` (or `JARVIS_METRICS_LISTEN`), such as `127.0.0.1:9464`, serves
`/metrics` in the text format of OpenMetrics, which Prometheus reads, and `/healthz` and `/readyz` with the full causes.
`serve`, `up` and `worker` take it. Without it nothing is served: metrics tell how much business a gym does, so they have
a listener of their own that belongs on the loopback or on a private network, never on the port that kiosks reach; and two
processes on one machine do not collide unless they are told to.

```yaml
scrape_configs:
  - job_name: jarvis
    static_configs: [{targets: ['127.0.0.1:9464', '127.0.0.1:9465']}]   # server, worker
```

There is no label for the gym: a label's values are kept for every series, gyms can be thousands, and a gym's use is its
own affair. What happens in one gym is in the log, whose lines carry `gym`. No label holds what a caller typed: a path is
its template, an unknown one is `-`, an unknown method is `other`.

Counters are of one process and begin at 0 with it. What is counted in the database (`jarvis_queue_…`, `jarvis_sessions`,
`jarvis_sessions_oldest_…`) is equal for every process on that database: take `max`, not `sum`. It is looked up at the
scrape; while the database is away it is not shown, and `jarvis_db_up` is 0.

When a backup was last made is not among them: a backup is a command that ends. Watch the age of its file.
"#,
    fr: r#"# Métriques

[English](metrics.md)

Un processus qui reçoit `--metrics-listen ADRESSE` (ou `JARVIS_METRICS_LISTEN`), par exemple `127.0.0.1:9464`, sert
`/metrics` au format texte d'OpenMetrics, que lit Prometheus, ainsi que `/healthz` et `/readyz` avec les causes complètes.
`serve`, `up` et `worker` l'acceptent. Sans elle rien n'est servi : les métriques disent l'activité d'une salle, elles ont
donc leur propre adresse, sur la boucle locale ou un réseau privé, jamais sur le port que les bornes atteignent ; et deux
processus d'une même machine ne se gênent que si on le leur demande.

```yaml
scrape_configs:
  - job_name: jarvis
    static_configs: [{targets: ['127.0.0.1:9464', '127.0.0.1:9465']}]   # serveur, worker
```

Il n'y a pas d'étiquette pour la salle : les valeurs d'une étiquette sont gardées pour chaque série, les salles peuvent
être des milliers, et l'usage d'une salle ne regarde qu'elle. Ce qui se passe dans une salle est au journal, dont les lignes
portent `gym`. Aucune étiquette ne contient ce qu'un appelant a tapé : un chemin est son modèle, un chemin inconnu est `-`,
une méthode inconnue `other`.

Les compteurs sont ceux d'un processus et partent de 0 avec lui. Ce qui est compté dans la base (`jarvis_queue_…`,
`jarvis_sessions`, `jarvis_sessions_oldest_…`) est égal pour chaque processus de cette base : prendre `max`, pas `sum`. La
base est consultée à la lecture ; tant qu'elle est absente rien n'est montré, et
`jarvis_db_up` vaut 0.

La date de la dernière sauvegarde n'en fait pas partie : une sauvegarde est une commande qui se termine. Surveiller l'âge
de son fichier.
"#,
};

const HEADINGS: Text = Text {
    en: "| metric | type | labels | what it counts | when to worry |",
    fr: "| métrique | type | étiquettes | ce qu'elle compte | quand s'inquiéter |",
};

const RULES: Text = Text {
    en: r#"
## Rules to start from

`deploy/prometheus-rules.yml` has them ready for Prometheus.

| alert | when | for | severity | what to do |
|---|---|---|---|---|
"#,
    fr: r#"
## Des règles pour commencer

`deploy/prometheus-rules.yml` les contient, prêtes pour Prometheus.

| alerte | quand | pendant | gravité | que faire |
|---|---|---|---|---|
"#,
};

/// The page in English, or in French.
pub fn page(french: bool) -> String {
    let of = |text: Text| if french { text.fr } else { text.en };
    let cell = |text: &str| text.replace('|', "\\|");
    let mut page = format!("{}\n{}\n|---|---|---|---|---|\n", of(INTRO), of(HEADINGS));
    for Spec {
        name,
        kind,
        labels,
        meaning,
        worry,
        ..
    } in TABLE
    {
        let labels = labels
            .iter()
            .map(|l| format!("`{l}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let (kind, meaning, worry) = (kind.as_str(), cell(of(*meaning)), cell(of(*worry)));
        writeln!(page, "| `{name}` | {kind} | {labels} | {meaning} | {worry} |").expect("a string takes it");
    }
    page.push_str(of(RULES));
    for alert in ALERTS {
        writeln!(
            page,
            "| {} | `{}` | {} | {} | {} |",
            alert.name,
            cell(alert.expr),
            alert.lasting,
            alert.severity,
            cell(of(alert.meaning))
        )
        .expect("a string takes it");
    }
    page
}

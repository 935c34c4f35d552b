//! The table: what there is to measure.

use super::kinds::{Counter, Gauge, Histogram};
use super::{Kind, Spec, Text};
use crate::machine::Process;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};

/// The metrics of this process.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

macro_rules! metrics {
    ($($field:ident: $kind:ident::$make:ident $name:literal [$($label:literal),*] $start:literal
        en $en:literal fr $fr:literal worry_en $worry_en:literal worry_fr $worry_fr:literal;)+) => {
        /// Every metric, and the registry that writes them out.
        pub struct Metrics {
            $(#[doc = $en] pub $field: $kind,)+
            registry: Registry,
            writing: Mutex<()>,
        }

        /// What is said of each, in the order of the fields.
        pub static TABLE: &[Spec] = &[$(Spec {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            meaning: Text { en: $en, fr: $fr },
            worry: Text { en: $worry_en, fr: $worry_fr },
            from_the_start: $start,
        }),+];

        impl Metrics {
            fn register() -> Self {
                let mut registry = Registry::default();
                let mut specs = TABLE.iter();
                let mut next = || specs.next().expect("the table has a line per field");
                Self {
                    $($field: $kind::$make(&mut registry, next()),)+
                    registry,
                    writing: Mutex::new(()),
                }
            }
        }
    };
}

metrics! {
    build_info: Gauge::register "jarvis_build_info" ["version"] true
        en "Always 1; the label says which version runs."
        fr "Toujours 1 ; l'étiquette dit quelle version tourne."
        worry_en "Two versions for longer than an upgrade takes."
        worry_fr "Deux versions plus longtemps que ne dure une mise à jour.";
    panics: Counter::register "jarvis_panics_total" [] true
        en "Panics: defects of ours. Each is a log line with its place in the code."
        fr "Paniques : des défauts de notre part. Chacune est une ligne du journal avec son endroit dans le code."
        worry_en "Any." worry_fr "Dès la première.";
    ready: Gauge::register "jarvis_part_ready" ["part"] true
        en "How well a part works, as /readyz says: 1 ready, 0.5 degraded, 0 down."
        fr "Comment va une partie, comme le dit /readyz : 1 prête, 0,5 dégradée, 0 arrêtée."
        worry_en "0 for a minute; 0.5 for an hour."
        worry_fr "0 pendant une minute ; 0,5 pendant une heure.";
    http_requests: Counter::register "jarvis_http_requests_total" ["method", "route", "status"] false
        en "Requests answered, by route template and class of status (2xx, 4xx, 5xx). `-` is an unknown path; `499` a caller who left."
        fr "Requêtes répondues, par modèle de route et classe de statut (2xx, 4xx, 5xx). `-` est un chemin inconnu ; `499` un appelant parti."
        worry_en "5xx above 1 % of a route." worry_fr "Plus de 1 % de 5xx sur une route.";
    http_request_duration: Histogram::short "jarvis_http_request_duration_seconds" ["method", "route"] false
        en "Seconds from the head of a request to the head of its answer."
        fr "Secondes entre l'en-tête d'une requête et celui de sa réponse."
        worry_en "p95 of opening a session above 0.15 s."
        worry_fr "p95 de l'ouverture d'une session au-dessus de 0,15 s.";
    http_in_flight: Gauge::register "jarvis_http_requests_in_flight" [] true
        en "Requests being worked on." fr "Requêtes en cours."
        worry_en "It grows and does not shrink." worry_fr "Croît sans redescendre.";
    http_limited: Counter::register "jarvis_http_rate_limited_total" ["limit"] true
        en "Requests refused with 429, by what was counted."
        fr "Requêtes refusées par un 429, selon ce qui est compté."
        worry_en "sign_in_account in bursts: somebody tries passwords. gym_rate, gym_at_once: a gym asks more than its share."
        worry_fr "sign_in_account par rafales : quelqu'un essaie des mots de passe. gym_rate, gym_at_once : une salle demande plus que sa part.";
    db_up: Gauge::register "jarvis_db_up" [] true
        en "Whether the database answered at the scrape."
        fr "Si la base a répondu à la lecture."
        worry_en "0." worry_fr "0.";
    db_pool: Gauge::register "jarvis_db_pool_connections" ["state"] true
        en "Connections of this process, busy and idle; `max` is the most it may have."
        fr "Connexions de ce processus, occupées (busy) et libres (idle) ; `max` est le plafond."
        worry_en "busy = max for minutes." worry_fr "busy = max pendant des minutes.";
    db_pool_wait: Histogram::short "jarvis_db_pool_wait_seconds" [] true
        en "Seconds waited for a connection." fr "Secondes d'attente d'une connexion."
        worry_en "p95 above 0.05 s: more connections, or fewer slow statements."
        worry_fr "p95 au-dessus de 0,05 s : plus de connexions, ou moins d'instructions lentes.";
    db_query_duration: Histogram::short "jarvis_db_query_duration_seconds" [] true
        en "Seconds of a statement, its rows read out." fr "Secondes d'une instruction, lignes lues."
        worry_en "p99 above 1 s." worry_fr "p99 au-dessus de 1 s.";
    jobs_finished: Counter::register "jarvis_jobs_finished_total" ["kind", "outcome"] true
        en "Tries of jobs that ended: completed, retry, waiting (for something outside; no try counts), failed and exhausted (both dead), handed_back, lease_lost."
        fr "Essais de tâches terminés : completed, retry, waiting (de l'extérieur ; aucun essai n'est compté), failed et exhausted (mortes), handed_back, lease_lost."
        worry_en "failed or exhausted: any. lease_lost: any outside of a deployment."
        worry_fr "failed ou exhausted : dès la première. lease_lost : dès la première hors d'un déploiement.";
    job_duration: Histogram::long "jarvis_job_duration_seconds" ["kind"] true
        en "Seconds of one try." fr "Secondes d'un essai."
        worry_en "Near the kind's time limit (memory.process_session: 120 s)."
        worry_fr "Proche de la limite du genre (memory.process_session : 120 s).";
    job_wait: Histogram::long "jarvis_job_wait_seconds" ["kind"] true
        en "Seconds from the time a job was due to the begin of its try."
        fr "Secondes entre l'échéance d'une tâche et le début de son essai."
        worry_en "p95 above 60 s: more workers." worry_fr "p95 au-dessus de 60 s : plus de workers.";
    jobs_taken_back: Counter::register "jarvis_jobs_taken_back_total" [] true
        en "Jobs of other workers whose lease ran out, taken back by this one."
        fr "Tâches d'autres workers dont le bail a expiré, reprises par celui-ci."
        worry_en "Any without a worker having been killed."
        worry_fr "Dès la première si aucun worker n'a été tué.";
    queue_jobs: Gauge::register "jarvis_queue_jobs" ["kind", "state"] false
        en "Jobs in the database: available, retryable, running, discarded (dead letters). Counted at the scrape."
        fr "Tâches dans la base : available, retryable, running, discarded (lettres mortes). Comptées à la lecture."
        worry_en "discarded above 0; retryable that grows."
        worry_fr "discarded au-dessus de 0 ; retryable qui croît.";
    queue_overdue: Gauge::register "jarvis_queue_oldest_overdue_seconds" ["kind"] false
        en "How long the oldest job that waits is overdue; 0 when none is."
        fr "Retard de la plus vieille tâche en attente ; 0 sans retard."
        worry_en "Above 300: no worker, or too few." worry_fr "Au-dessus de 300 : pas de worker, ou trop peu.";
    sessions: Gauge::register "jarvis_sessions" ["state"] false
        en "Sessions in the database that are not over: open, and closing (ended, memory not made yet)."
        fr "Sessions non terminées dans la base : open, et closing (finie, mémoire pas encore faite)."
        worry_en "closing that grows." worry_fr "closing qui croît.";
    sessions_oldest: Gauge::register "jarvis_sessions_oldest_closing_seconds" [] false
        en "How long ago the session ended that waits longest for its memory; 0 when none waits."
        fr "Temps écoulé depuis la fin de la session qui attend sa mémoire depuis le plus longtemps ; 0 si aucune."
        worry_en "Above 900." worry_fr "Au-dessus de 900.";
    sessions_opened: Counter::register "jarvis_sessions_opened_total" ["channel"] true
        en "Sessions opened by a badge." fr "Sessions ouvertes par un badge."
        worry_en "None in opening hours." worry_fr "Aucune aux heures d'ouverture.";
    sessions_processed: Counter::register "jarvis_sessions_processed_total" ["outcome"] true
        en "Sessions whose processing ended: processed, empty, failed."
        fr "Sessions dont le traitement est fini : processed, empty, failed."
        worry_en "failed: any. See `jarvis session list --state failed`."
        worry_fr "failed : dès la première. Voir `jarvis session list --state failed`.";
    processing_lag: Histogram::long "jarvis_session_processing_lag_seconds" [] true
        en "Seconds from the end of a session to its memory." fr "Secondes entre la fin d'une session et sa mémoire."
        worry_en "p95 above 60 s." worry_fr "p95 au-dessus de 60 s.";
    events: Counter::register "jarvis_events_total" ["outcome"] true
        en "Events sent by kiosks: stored, duplicate (stored before), rejected."
        fr "Événements envoyés par les bornes : stored, duplicate (déjà là), rejected."
        worry_en "rejected: a kiosk sends what nobody understands."
        worry_fr "rejected : une borne envoie de l'incompréhensible.";
    facts: Counter::register "jarvis_facts_total" ["outcome"] true
        en "Facts read out of conversations: stored, refused_evidence (no exact quote), refused_guard (by the database)."
        fr "Faits lus dans les conversations : stored, refused_evidence (pas de citation exacte), refused_guard (par la base)."
        worry_en "refused_guard above a tenth of stored."
        worry_fr "refused_guard au-dessus d'un dixième de stored.";
    turns_quarantined: Counter::register "jarvis_turns_quarantined_total" [] true
        en "Turns that tried to steer the assistant: kept as they were said, and nothing is made of them."
        fr "Tours de parole qui cherchaient à diriger l'assistant : gardés tels quels, rien n'en est tiré."
        worry_en "A sudden rise: somebody tries something; see `jarvis session list --note injection_quarantined`."
        worry_fr "Une hausse soudaine : quelqu'un essaie quelque chose ; voyez `jarvis session list --note injection_quarantined`.";
    recall_duration: Histogram::short "jarvis_recall_duration_seconds" ["method"] true
        en "Seconds of a recall, by how it was found: embedding or full_text."
        fr "Secondes d'un rappel, selon la méthode : embedding ou full_text."
        worry_en "p95 above 0.25 s; full_text where a model should be."
        worry_fr "p95 au-dessus de 0,25 s ; full_text là où un modèle devrait être.";
    embedding_duration: Histogram::short "jarvis_embedding_duration_seconds" ["source"] true
        en "Seconds to embed a text, waiting for a thread included: local or provider."
        fr "Secondes pour vectoriser un texte, attente d'un fil comprise : local ou provider."
        worry_en "p95 above 0.5 s." worry_fr "p95 au-dessus de 0,5 s.";
    embeddings_in_flight: Gauge::register "jarvis_embeddings_in_flight" ["source"] true
        en "Texts being embedded or waiting for it." fr "Textes en cours de vectorisation ou en attente."
        worry_en "It grows." worry_fr "Croît.";
    model_calls: Counter::register "jarvis_model_calls_total" ["use", "outcome"] true
        en "Calls of a provider's models, retries not counted: ok, or the code of the error."
        fr "Appels aux modèles d'un fournisseur, sans les nouvelles tentatives : ok, ou le code de l'erreur."
        worry_en "Errors above 5 %." worry_fr "Plus de 5 % d'erreurs.";
    model_tokens: Counter::register "jarvis_model_tokens_total" ["use", "direction"] true
        en "Tokens read (input) and written (output) by a provider's models."
        fr "Jetons lus (input) et écrits (output) par les modèles d'un fournisseur."
        worry_en "Twice the usual of the hour." worry_fr "Le double de l'ordinaire de l'heure.";
    model_cost: Counter::register "jarvis_model_cost_micro_usd_total" ["use"] false
        en "Price of those calls in millionths of a US dollar, where it is known."
        fr "Prix de ces appels en millionièmes de dollar américain, quand il est connu."
        worry_en "Above the budget." worry_fr "Au-dessus du budget.";
    model_breaker: Gauge::register "jarvis_model_breaker_open" ["use"] true
        en "The circuit breaker before a provider's model: 0 closed, 0.5 trying again, 1 open."
        fr "Le disjoncteur devant le modèle d'un fournisseur : 0 fermé, 0,5 nouvel essai, 1 ouvert."
        worry_en "1 for five minutes." worry_fr "1 pendant cinq minutes.";
    postgres_up: Gauge::register "jarvis_embedded_postgres_up" [] false
        en "Whether the embedded PostgreSQL runs; only of `jarvis up`."
        fr "Si le PostgreSQL embarqué tourne ; seulement avec `jarvis up`."
        worry_en "0." worry_fr "0.";
    postgres_restarts: Counter::register "jarvis_embedded_postgres_restarts_total" [] true
        en "How often the embedded PostgreSQL ended by itself and was started again."
        fr "Combien de fois le PostgreSQL embarqué s'est arrêté seul et a été relancé."
        worry_en "Any." worry_fr "Dès la première.";
    disk_free: Gauge::register "jarvis_disk_free_bytes" [] false
        en "Bytes left on the disk of the embedded PostgreSQL; only of `jarvis up`."
        fr "Octets libres sur le disque du PostgreSQL embarqué ; seulement avec `jarvis up`."
        worry_en "Below 1 GiB." worry_fr "Sous 1 Gio.";
    process_cpu: Gauge::register "jarvis_process_cpu_seconds" [] true
        en "Processor seconds used by this process." fr "Secondes de processeur de ce processus."
        worry_en "" worry_fr "";
    process_memory: Gauge::register "jarvis_process_resident_memory_bytes" [] true
        en "Memory of this process in bytes; most of it is the embedding model."
        fr "Mémoire de ce processus en octets ; l'essentiel est le modèle de vectorisation."
        worry_en "It grows for days." worry_fr "Croît pendant des jours.";
    process_fds: Gauge::register "jarvis_process_open_fds" [] true
        en "Open files and connections." fr "Fichiers et connexions ouverts."
        worry_en "Above 80 % of jarvis_process_max_fds." worry_fr "Au-dessus de 80 % de jarvis_process_max_fds.";
    process_max_fds: Gauge::register "jarvis_process_max_fds" [] true
        en "The most files and connections that may be open." fr "Le plafond de fichiers et de connexions ouverts."
        worry_en "" worry_fr "";
    process_start: Gauge::register "jarvis_process_start_time_seconds" [] true
        en "When the process started, in seconds since 1970." fr "Début du processus, en secondes depuis 1970."
        worry_en "It changes by itself: the process was restarted."
        worry_fr "Change tout seul : le processus a redémarré.";
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Registers everything, and shows what can be known before it happens, so that rates start at zero.
    fn new() -> Self {
        let new = Self::register();
        new.build_info.set(&[env!("CARGO_PKG_VERSION")], 1.0);
        new.panics.add(&[], 0);
        new.http_in_flight.set(&[], 0.0);
        for limit in [
            "pairing",
            "assertion",
            "refresh",
            "password_change",
            "sign_in_address",
            "sign_in_account",
            "gym_rate",
            "gym_at_once",
        ] {
            new.http_limited.add(&[limit], 0);
        }
        new.db_pool_wait.show(&[]);
        new.db_query_duration.show(&[]);
        new.jobs_taken_back.add(&[], 0);
        for channel in ["voice", "text"] {
            new.sessions_opened.add(&[channel], 0);
        }
        for outcome in ["processed", "empty", "failed"] {
            new.sessions_processed.add(&[outcome], 0);
        }
        new.processing_lag.show(&[]);
        for outcome in ["stored", "duplicate", "rejected"] {
            new.events.add(&[outcome], 0);
        }
        for outcome in ["stored", "refused_evidence", "refused_guard"] {
            new.facts.add(&[outcome], 0);
        }
        new.turns_quarantined.add(&[], 0);
        for method in ["embedding", "full_text"] {
            new.recall_duration.show(&[method]);
        }
        for source in ["local", "provider"] {
            new.embedding_duration.show(&[source]);
            new.embeddings_in_flight.set(&[source], 0.0);
        }
        for what_for in ["embedding", "extraction"] {
            new.model_calls.add(&[what_for, "ok"], 0);
            for direction in ["input", "output"] {
                new.model_tokens.add(&[what_for, direction], 0);
            }
            new.model_breaker.set(&[what_for], 0.0);
        }
        new.postgres_restarts.add(&[], 0);
        new
    }

    /// Shows a kind of job before its first try.
    pub fn show_job(&self, kind: &str) {
        for outcome in JOB_OUTCOMES {
            self.jobs_finished.add(&[kind, outcome], 0);
        }
        self.job_duration.show(&[kind]);
        self.job_wait.show(&[kind]);
    }

    /// Everything in the text format of OpenMetrics.
    pub fn render(&self) -> String {
        self.look_at_the_process();
        let _complete = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes all that is written");
        text
    }

    /// Changes several values that are scraped together: either all of the old ones or all of the new ones.
    pub fn all_at_once(&self, change: impl FnOnce()) {
        let _complete = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        change();
    }

    fn look_at_the_process(&self) {
        let process = Process::look();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge is a double; nobody counts single bytes"
        )]
        let whole = |gauge: &Gauge, value: Option<u64>| {
            if let Some(value) = value {
                gauge.set(&[], value as f64);
            }
        };
        whole(&self.process_memory, process.resident_bytes);
        whole(&self.process_fds, process.open_fds);
        whole(&self.process_max_fds, process.max_fds);
        if let Some(seconds) = process.cpu_seconds {
            self.process_cpu.set(&[], seconds);
        }
        if let Some(seconds) = process.start_seconds {
            self.process_start.set(&[], seconds);
        }
    }
}

/// How a try of a job can end.
pub const JOB_OUTCOMES: [&str; 7] = [
    "completed",
    "retry",
    "waiting",
    "failed",
    "exhausted",
    "handed_back",
    "lease_lost",
];

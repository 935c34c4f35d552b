//! Why a part does not work as it should: stable codes with a way out.

use jarvis_core::Language;
use serde::Serialize;
use utoipa::ToSchema;

/// How well a part works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// As it should.
    Ready,
    /// Requests are answered, something is missing.
    Degraded,
    /// Requests fail.
    Down,
}

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident = $code:literal $standing:ident en $en:literal fr $fr:literal;)+) => {
        /// Why a part does not work as it should.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
        pub(crate) enum Cause {
            $($(#[$doc])* #[serde(rename = $code)] $name,)+
        }

        impl Cause {
            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// How bad it is.
            pub(crate) fn standing(self) -> Standing {
                match self { $(Self::$name => Standing::$standing,)+ }
            }

            /// What to do about it.
            pub(crate) fn hint(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$name, Language::Fr) => $fr, (Self::$name, _) => $en,)+
                }
            }
        }
    };
}

causes! {
    /// The process was told to stop.
    Stopping = "stopping" Down
        en "The process ends; send requests to another one."
        fr "Le processus s'arrête ; envoyez les requêtes à un autre.";
    /// The database cannot be reached.
    DatabaseUnreachable = "database_unreachable" Down
        en "See that PostgreSQL runs and can be reached; JARVIS reconnects by itself."
        fr "Vérifiez que PostgreSQL tourne et est joignable ; JARVIS se reconnecte tout seul.";
    /// The database did not answer in time.
    DatabaseSlow = "database_slow" Down
        en "The database is overloaded or all connections are busy; see jarvis_db_pool_connections and its slow statements."
        fr "La base est surchargée ou toutes les connexions sont prises ; voir jarvis_db_pool_connections et ses instructions lentes.";
    /// The database refused what the program asks.
    DatabaseRefuses = "database_refuses" Down
        en "The log says what was refused; most often a role or a right was changed."
        fr "Le journal dit ce qui a été refusé ; le plus souvent, un rôle ou un droit a changé.";
    /// Migrations of this program are missing.
    SchemaBehind = "schema_behind" Down
        en "Run `jarvis migration up`."
        fr "Lancez `jarvis migration up`.";
    /// An embedding model is missing.
    EmbeddingUnavailable = "embedding_unavailable" Degraded
        en "Recall goes by words where a model is missing. Run scripts/fetch.py, or set JARVIS_E5_WEIGHTS and JARVIS_USE_WEIGHTS, and start again."
        fr "Le rappel se fait par les mots là où un modèle manque. Lancez scripts/fetch.py, ou réglez JARVIS_E5_WEIGHTS et JARVIS_USE_WEIGHTS, puis redémarrez.";
    /// The worker of this process has not begun.
    WorkerAbsent = "worker_absent" Degraded
        en "The worker of this process has not reached the database yet; if this lasts, see the log."
        fr "Le worker de ce processus n'a pas encore atteint la base ; si cela dure, voir le journal.";
    /// The worker of this process is not heard any more.
    WorkerSilent = "worker_silent" Degraded
        en "The worker of this process has not looked for jobs for two minutes; restart it."
        fr "Le worker de ce processus n'a plus cherché de tâches depuis deux minutes ; redémarrez-le.";
    /// Jobs wait and nobody takes them.
    QueueStuck = "queue_stuck" Degraded
        en "A job has been due for five minutes: start a worker (`jarvis worker`), or more of them."
        fr "Une tâche attend depuis cinq minutes : démarrez un worker (`jarvis worker`), ou davantage.";
    /// The provider of models does not answer.
    ProviderFailing = "provider_failing" Degraded
        en "Calls to the provider of models are held back after failures and tried again by themselves; /readyz of the listener for operators says why, docs/provider.md what to do."
        fr "Les appels au fournisseur de modèles sont suspendus après des échecs et reprendront tout seuls ; /readyz de l'accès des exploitants dit pourquoi, docs/provider.fr.md que faire.";
    /// The provider of models ends one that is set.
    ModelEnding = "model_ending" Degraded
        en "Its provider ends this model within 30 days, or has ended it: set the successor that `jarvis doctor` names."
        fr "Son fournisseur arrête ce modèle d'ici 30 jours, ou l'a arrêté : réglez le successeur que nomme `jarvis doctor`.";
    /// The disk of the database is nearly full.
    DiskLow = "disk_low" Degraded
        en "Less than 1 GiB is left on the disk of the database; make room."
        fr "Il reste moins de 1 Gio sur le disque de la base ; faites de la place.";
    /// The disk of the database is full.
    DiskFull = "disk_full" Down
        en "The disk of the database is full, nothing can be stored; make room."
        fr "Le disque de la base est plein, rien ne peut être enregistré ; faites de la place.";
    /// The disk of the database cannot be looked at.
    DiskUnknown = "disk_unknown" Degraded
        en "The data folder cannot be looked at; see that it is there and mounted."
        fr "Le dossier des données ne peut être lu ; vérifiez qu'il existe et est monté.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_code_of_its_own_and_a_way_out_in_both_languages() {
        let mut codes = Vec::new();
        for cause in Cause::ALL {
            let code = serde_json::to_value(cause).unwrap();
            let code = code.as_str().unwrap().to_owned();
            assert!(code.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{code}");
            assert!(cause.standing() > Standing::Ready, "{code}");
            assert_ne!(cause.hint(Language::Fr), cause.hint(Language::En), "{code}");
            codes.push(code);
        }
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), Cause::ALL.len());
    }
}

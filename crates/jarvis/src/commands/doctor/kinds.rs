//! What can be wrong: each finding with what it means, where it usually comes from, and how to mend it.

use crate::language::Lang;
use jarvis_db::lint::{Said, Severity};

/// A kind of finding.
#[derive(Debug)]
pub struct Kind {
    /// Its stable name.
    pub code: &'static str,
    /// How much it matters: an error breaks a promise; a warning will; what is only unknown does not count.
    pub severity: Severity,
    /// What was found.
    pub what: Said,
    /// What it means for members and gyms.
    pub meaning: Said,
    /// Where it usually comes from.
    pub cause: Said,
    /// What to do.
    pub mend: Said,
}

macro_rules! kind {
    ($severity:ident $code:literal what $en1:literal $fr1:literal meaning $en2:literal $fr2:literal
     cause $en3:literal $fr3:literal mend $en4:literal $fr4:literal) => {
        Kind {
            code: $code,
            severity: Severity::$severity,
            what: Said { en: $en1, fr: $fr1 },
            meaning: Said { en: $en2, fr: $fr2 },
            cause: Said { en: $en3, fr: $fr3 },
            mend: Said { en: $en4, fr: $fr4 },
        }
    };
}

/// Every kind, in the order in which a report shows them.
#[rustfmt::skip]
pub static KINDS: [Kind; 27] = [
    kind!(Error "migrations_pending"
        what "migrations are not applied yet" "des migrations ne sont pas encore appliquées"
        meaning "The program and the database do not fit: a server refuses to start. Nothing else is checked before they are."
                "Le programme et la base ne vont pas ensemble : un serveur refuse de démarrer. Rien d'autre n'est vérifié avant."
        cause "the program was updated, or the database is new or was restored from an older backup"
              "le programme a été mis à jour, ou la base est neuve ou restaurée d'une sauvegarde plus ancienne"
        mend "`jarvis migration up` (on a database of the guide: `jarvis migration adopt`)"
             "`jarvis migration up` (sur une base du guide : `jarvis migration adopt`)"),
    kind!(Error "migrations_unknown"
        what "the database has migrations that this program does not know" "la base a des migrations que ce programme ne connaît pas"
        meaning "A newer program, or somebody by hand, changed the schema. This program may write what the other one does not expect."
                "Un programme plus récent, ou quelqu'un à la main, a changé le schéma. Ce programme peut écrire ce que l'autre n'attend pas."
        cause "the program was set back to an older version, or two versions run side by side"
              "le programme est revenu à une version antérieure, ou deux versions tournent côte à côte"
        mend "run the newer program; `jarvis migration list` names the versions"
             "lancez le programme plus récent ; `jarvis migration list` nomme les versions"),
    kind!(Error "extension_missing"
        what "an extension is missing in the database" "une extension manque dans la base"
        meaning "Recall and search cannot work without it. What depends on it is not checked."
                "Le rappel et la recherche ne fonctionnent pas sans elle. Ce qui en dépend n'est pas vérifié."
        cause "the database was restored or moved to a server without pgvector or unaccent, or an extension was dropped"
              "la base a été restaurée ou déplacée sur un serveur sans pgvector ou unaccent, ou une extension a été supprimée"
        mend "install the extension on the server (package postgresql-NN-pgvector); restore what depended on it from a backup, or migrate a new database"
             "installez l'extension sur le serveur (paquet postgresql-NN-pgvector) ; restaurez ce qui en dépendait, ou migrez une base neuve"),
    kind!(Error "login_unfit"
        what "the server's login cannot be used" "l'identifiant du serveur ne peut pas servir"
        meaning "`jarvis serve` and `jarvis worker` do not start with this DATABASE_URL."
                "`jarvis serve` et `jarvis worker` ne démarrent pas avec ce DATABASE_URL."
        cause "a wrong password or role in DATABASE_URL, or the login lost its right to act as the roles of the server"
              "mot de passe ou rôle erroné dans DATABASE_URL, ou l'identifiant a perdu le droit d'agir comme les rôles du serveur"
        mend "use jarvis_login: `alter role jarvis_login password '…'`, and postgres://jarvis_login:…@host/database in DATABASE_URL"
             "utilisez jarvis_login : `alter role jarvis_login password '…'`, et postgres://jarvis_login:…@hôte/base dans DATABASE_URL"),
    kind!(Error "login_too_powerful"
        what "the server's login may do more than it must" "l'identifiant du serveur peut plus qu'il ne doit"
        meaning "Row level security does not hold for it: one mistake in a query mixes the gyms."
                "La sécurité des lignes ne vaut pas pour lui : une erreur dans une requête mélange les salles."
        cause "DATABASE_URL names an administrator or the owner of the tables"
              "DATABASE_URL nomme un administrateur ou le propriétaire des tables"
        mend "jarvis_login in DATABASE_URL, the owner only in JARVIS_ADMIN_DATABASE_URL"
             "jarvis_login dans DATABASE_URL, le propriétaire seulement dans JARVIS_ADMIN_DATABASE_URL"),
    kind!(Error "database_holes"
        what "the database lets people reach what is not theirs" "la base laisse atteindre ce qui n'est pas à soi"
        meaning "A visitor, or a person of another gym, can read or change rows."
                "Un visiteur, ou une personne d'une autre salle, peut lire ou modifier des lignes."
        cause "a grant, policy, view or function was added by hand or by an application beside this one"
              "un droit, une règle, une vue ou une fonction ajoutés à la main ou par une autre application"
        mend "`jarvis db lint` tells each hole and the SQL that closes it"
             "`jarvis db lint` dit chaque faille et le SQL qui la ferme"),
    kind!(Error "memory_missing"
        what "processed, but without summary or embedding" "traitées, mais sans résumé ou sans vecteur"
        meaning "What was said in these conversations is not remembered at the next visit."
                "Ce qui a été dit dans ces conversations ne sera pas rappelé à la prochaine visite."
        cause "the embedding weights were not there when they were processed, or a summary was deleted"
              "les poids du modèle manquaient lors du traitement, ou un résumé a été supprimé"
        mend "see that the embedding weights are there (/readyz), then: jarvis session reprocess ID"
             "vérifiez la présence des poids du modèle (/readyz), puis : jarvis session reprocess ID"),
    kind!(Error "memory_unsearchable"
        what "summaries that recall cannot see" "des résumés que le rappel ne voit pas"
        meaning "They are kept, but never recalled."
                "Ils sont gardés, mais jamais rappelés."
        cause "the search table was changed by hand, or restored without its rows"
              "la table de recherche a été modifiée à la main, ou restaurée sans ses lignes"
        mend "jarvis session reprocess ID"
             "jarvis session reprocess ID"),
    kind!(Error "empty_with_words"
        what "ended empty although the member spoke" "terminées vides alors que le membre a parlé"
        meaning "A conversation left no memory."
                "Une conversation n'a laissé aucune mémoire."
        cause "its events arrived after it had been processed, or were written past the program"
              "ses événements sont arrivés après le traitement, ou ont été écrits sans passer par le programme"
        mend "jarvis session reprocess ID"
             "jarvis session reprocess ID"),
    kind!(Error "processing_failed"
        what "processing gave up" "le traitement a renoncé"
        meaning "After eight tries these conversations are still not memory. Nothing is lost: their words are kept."
                "Après huit essais, ces conversations ne sont toujours pas mémoire. Rien n'est perdu : leurs paroles sont gardées."
        cause "a defect, or something that was broken for hours (disk, database)"
              "un défaut du programme, ou une panne de plusieurs heures (disque, base)"
        mend "jarvis session show ID tells why; then: jarvis session reprocess ID"
             "jarvis session show ID dit pourquoi ; puis : jarvis session reprocess ID"),
    kind!(Error "processing_late"
        what "closed for more than 15 minutes and not processed" "closes depuis plus de 15 minutes et pas traitées"
        meaning "The next visit begins without these conversations."
                "La prochaine visite commence sans ces conversations."
        cause "no worker runs, or it has more to do than it can"
              "aucun ouvrier ne tourne, ou il a trop à faire"
        mend "is a worker running? start `jarvis worker`"
             "un ouvrier tourne-t-il ? lancez `jarvis worker`"),
    kind!(Error "session_orphaned"
        what "open without a sign of life for more than 30 minutes" "ouvertes sans signe de vie depuis plus de 30 minutes"
        meaning "They should have been closed after 15 minutes."
                "Elles auraient dû être closes au bout de 15 minutes."
        cause "no worker runs: it is the worker that closes them"
              "aucun ouvrier ne tourne : c'est lui qui les clôt"
        mend "is a worker running? start `jarvis worker`; it closes orphans every minute"
             "un ouvrier tourne-t-il ? lancez `jarvis worker` ; il clôt les orphelines chaque minute"),
    kind!(Error "facts_without_evidence"
        what "facts whose quote is not in the member's own words" "des faits dont la citation n'est pas dans les paroles du membre"
        meaning "The assistant may say something to a member that they never said."
                "L'assistant peut prêter à un membre ce qu'il n'a pas dit."
        cause "a fact or an event was changed by hand or by another application"
              "un fait ou un événement modifié à la main ou par une autre application"
        mend "jarvis fact retire ID, after looking at jarvis fact history MEMBER"
             "jarvis fact retire ID, après avoir regardé jarvis fact history MEMBRE"),
    kind!(Unknown "database_unchecked"
        what "parts of the database that could not be checked for holes" "des parties de la base dont les failles n'ont pu être cherchées"
        meaning "Nothing is known to be wrong with them, and nothing is proven either."
                "Rien n'indique qu'elles soient fautives, et rien n'est prouvé non plus."
        cause "the login that looks may not act as a visitor, or a policy or a row ends with an error when it is tried"
              "l'identifiant qui regarde ne peut agir comme visiteur, ou une règle ou une ligne donne une erreur à l'essai"
        mend "`jarvis db lint` names each attempt and why it ended; look as the owner of the database (JARVIS_ADMIN_DATABASE_URL)"
             "`jarvis db lint` nomme chaque essai et pourquoi il a échoué ; regardez en propriétaire de la base (JARVIS_ADMIN_DATABASE_URL)"),
    kind!(Error "jobs_dead"
        what "jobs that were given up" "des travaux abandonnés"
        meaning "Something that was promised in the background was not done after all its tries."
                "Quelque chose de promis en arrière-plan n'a pas été fait malgré tous les essais."
        cause "a defect, or something that was broken for hours; the error stands beside each job"
              "un défaut, ou une panne de plusieurs heures ; l'erreur est notée à côté de chaque travail"
        mend "of a conversation: jarvis session reprocess ID; periodic jobs start again at their next time"
             "d'une conversation : jarvis session reprocess ID ; les travaux périodiques reprennent à leur prochaine échéance"),
    kind!(Error "jobs_late"
        what "jobs that wait for more than 15 minutes" "des travaux qui attendent depuis plus de 15 minutes"
        meaning "The queue stands still, or grows faster than it is worked off."
                "La file est à l'arrêt, ou grandit plus vite qu'elle n'est traitée."
        cause "no worker runs, or too few for what comes in"
              "aucun ouvrier ne tourne, ou trop peu pour ce qui arrive"
        mend "start `jarvis worker`, or one more on another machine"
             "lancez `jarvis worker`, ou un de plus sur une autre machine"),
    kind!(Error "jobs_abandoned"
        what "jobs whose worker is gone" "des travaux dont l'ouvrier a disparu"
        meaning "Their lease ran out more than 5 minutes ago, and no other worker took them."
                "Leur bail a expiré depuis plus de 5 minutes, et aucun autre ouvrier ne les a repris."
        cause "every worker was killed or cut off from the database"
              "tous les ouvriers ont été tués ou coupés de la base"
        mend "start `jarvis worker`: it takes them over at once"
             "lancez `jarvis worker` : il les reprend aussitôt"),
    kind!(Warning "clock_skew"
        what "the clocks of this machine and of the database differ" "les horloges de cette machine et de la base diffèrent"
        meaning "Access tokens are refused or live too long; times in a conversation do not fit together; from a day on nothing is purged."
                "Des jetons sont refusés ou vivent trop longtemps ; les heures d'une conversation ne concordent pas ; à partir d'un jour, rien n'est purgé."
        cause "no time synchronisation on one of the two machines"
              "pas de synchronisation de l'heure sur l'une des deux machines"
        mend "`timedatectl set-ntp true` (or chrony) on both"
             "`timedatectl set-ntp true` (ou chrony) sur les deux"),
    kind!(Warning "disk_low"
        what "little room is left where the data is" "il reste peu de place là où sont les données"
        meaning "On a full disk events are refused, and nothing is remembered until there is room."
                "Sur un disque plein les événements sont refusés, et rien n'est mémorisé tant qu'il n'y a pas de place."
        cause "backups, logs or other programs on the same disk"
              "des sauvegardes, des journaux ou d'autres programmes sur le même disque"
        mend "make room, or move the data folder (JARVIS_DATA_DIR) while jarvis is stopped"
             "faites de la place, ou déplacez le dossier de données (JARVIS_DATA_DIR) jarvis arrêté"),
    kind!(Error "backup_damaged"
        what "a backup is not what it was when it was made" "une sauvegarde n'est plus ce qu'elle était"
        meaning "It may not open when it is needed. Its length differs from its label, or the label is gone."
                "Elle pourrait ne pas s'ouvrir le jour venu. Sa longueur diffère de son étiquette, ou l'étiquette a disparu."
        cause "a copy that was cut short, a full disk, or a file moved without its `.json`"
              "une copie interrompue, un disque plein, ou un fichier déplacé sans son `.json`"
        mend "`jarvis backup --verify FILE` tells more; make a new one with `jarvis backup`, then remove this one"
             "`jarvis backup --verify FICHIER` en dit plus ; faites-en une nouvelle par `jarvis backup`, puis retirez celle-ci"),
    kind!(Warning "backup_old"
        what "the newest backup is old" "la dernière sauvegarde est ancienne"
        meaning "What was said since would be lost with this machine."
                "Ce qui a été dit depuis serait perdu avec cette machine."
        cause "the timer is off, or the last backups failed: `systemctl status jarvis-backup.timer jarvis-backup`"
              "le minuteur est arrêté, ou les dernières sauvegardes ont échoué : `systemctl status jarvis-backup.timer jarvis-backup`"
        mend "`jarvis backup`, then see why it did not happen by itself"
             "`jarvis backup`, puis cherchez pourquoi elle ne s'est pas faite d'elle-même"),
    kind!(Unknown "backup_missing"
        what "no backup is known here" "aucune sauvegarde n'est connue ici"
        meaning "Unless your database is saved elsewhere, everything would be lost with this machine."
                "Si la base n'est pas sauvegardée ailleurs, tout serait perdu avec cette machine."
        cause "none was made yet, or they are in a folder that JARVIS_BACKUP_DIR does not name"
              "aucune n'a encore été faite, ou elles sont dans un dossier que JARVIS_BACKUP_DIR ne nomme pas"
        mend "`jarvis backup key`, `jarvis backup`, and the timer in `deploy/`"
             "`jarvis backup key`, `jarvis backup`, et le minuteur de `deploy/`"),
    kind!(Warning "models_degraded"
        what "the rules read conversations that a model should have read" "les règles ont lu des conversations qu'un modèle devait lire"
        meaning "Nothing is lost: they have facts and a summary, of the rules instead of the model. Those of the last seven days are counted by reason."
                "Rien n'est perdu : elles ont leurs faits et leur résumé, par les règles et non par le modèle. Celles des sept derniers jours sont comptées par motif."
        cause "the provider failed or was left alone after failures (`circuit_open`, `timeout`, `rate_limited`), declined (`refused`), was cut short, or answered nonsense; `no_model`: the worker runs without JARVIS_CHAT"
              "le fournisseur était en panne ou suspendu (`circuit_open`, `timeout`, `rate_limited`), a refusé (`refused`), a été coupé, ou a répondu n'importe quoi ; `no_model` : le worker tourne sans JARVIS_CHAT"
        mend "docs/provider.md says what each reason asks for; then `jarvis session reprocess SESSION` reads one again"
             "docs/provider.fr.md dit ce que demande chaque motif ; puis `jarvis session reprocess SESSION` en relit une"),
    kind!(Warning "model_ending"
        what "a model that is used ends soon, or has ended" "un modèle utilisé s'arrête bientôt, ou s'est arrêté"
        meaning "After its last day the provider answers no more: conversations are read by the rules, embeddings wait."
                "Après son dernier jour le fournisseur ne répond plus : les règles lisent les conversations, les vecteurs attendent."
        cause "the provider announced the day; the warning begins 90 days before"
              "le fournisseur a annoncé ce jour ; l'avertissement commence 90 jours avant"
        mend "set the successor that is named in JARVIS_CHAT_MODEL or JARVIS_EMBEDDING_MODEL, and restart"
             "mettez le successeur indiqué dans JARVIS_CHAT_MODEL ou JARVIS_EMBEDDING_MODEL, puis redémarrez"),
    kind!(Warning "embedding_refused"
        what "gyms compare vectors of a provider and let none read their conversations" "des salles comparent les vecteurs d'un fournisseur et n'en laissent aucun lire leurs conversations"
        meaning "No word of theirs leaves this machine, so nothing new is embedded: they recall by words."
                "Aucun de leurs mots ne quitte cette machine, donc rien de nouveau n'est vectorisé : elles retrouvent par les mots."
        cause "the gym was made for the provider's model before its answer was asked, or refused since"
              "la salle a été créée pour le modèle du fournisseur avant qu'on lui demande son accord, ou a refusé depuis"
        mend "`jarvis gym external-models allow --gym GYM`, or `jarvis gym reembed --gym GYM` for the model of this machine"
             "`jarvis gym external-models allow --gym SALLE`, ou `jarvis gym reembed --gym SALLE` pour le modèle de cette machine"),
    kind!(Unknown "models_unused"
        what "gyms let a model read their conversations, and none is set here" "des salles laissent un modèle lire leurs conversations, et aucun n'est réglé ici"
        meaning "The rules read them. If the worker runs elsewhere with its own settings, this machine cannot know."
                "Les règles les lisent. Si le worker tourne ailleurs avec ses propres réglages, cette machine ne peut le savoir."
        cause "JARVIS_CHAT is not set on this machine" "JARVIS_CHAT n'est pas réglé sur cette machine"
        mend "set JARVIS_CHAT=openai for the worker (docs/provider.md), or `jarvis gym external-models refuse --gym GYM`"
             "réglez JARVIS_CHAT=openai pour le worker (docs/provider.fr.md), ou `jarvis gym external-models refuse --gym SALLE`"),
    kind!(Unknown "model_missing"
        what "embedding weights are missing on this machine" "des poids de modèle manquent sur cette machine"
        meaning "If the worker runs here, conversations are found by their words, not by their meaning."
                "Si l'ouvrier tourne ici, les conversations sont retrouvées par leurs mots, pas par leur sens."
        cause "the weights were not fetched, or JARVIS_E5_WEIGHTS or JARVIS_USE_WEIGHTS names nothing that is there"
              "les poids n'ont pas été téléchargés, ou JARVIS_E5_WEIGHTS ou JARVIS_USE_WEIGHTS ne désigne rien de présent"
        mend "fetch them (`make fetch`), or copy them and set JARVIS_E5_WEIGHTS and JARVIS_USE_WEIGHTS to where they are"
             "téléchargez-les (`make fetch`), ou copiez-les et donnez leur place dans JARVIS_E5_WEIGHTS et JARVIS_USE_WEIGHTS"),
];

/// The kind with this code.
pub fn kind(code: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.code == code)
}

impl Kind {
    /// Everything there is to say about it.
    pub fn page(&self, lang: Lang) -> String {
        let [cause, mend] = match lang {
            Lang::Fr => ["Cause probable", "Remède"],
            Lang::En => ["Likely cause", "Mend"],
        };
        format!(
            "{}: {}\n\n{}\n\n{cause}: {}\n{mend}: {}",
            self.code,
            lang.of(self.what),
            lang.of(self.meaning),
            lang.of(self.cause),
            lang.of(self.mend)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page with the table in its middle written again.
    fn with_kinds(page: &str, lang: Lang) -> String {
        let (head, rest) = page
            .split_once("<!-- findings -->")
            .expect("the page has a place for the findings");
        let (_, tail) = rest.split_once("<!-- /findings -->").expect("the place ends");
        let [cause, mend] = match lang {
            Lang::Fr => ["Cause probable :", "Remède :"],
            Lang::En => ["Likely cause:", "Mend:"],
        };
        let kinds = KINDS.iter().map(|kind| {
            format!(
                "### `{}`\n\n**{}.** {}\n\n{cause} {}.\n\n{mend} {}.\n",
                kind.code,
                capital(lang.of(kind.what)),
                lang.of(kind.meaning),
                lang.of(kind.cause),
                lang.of(kind.mend)
            )
        });
        let kinds = kinds.collect::<Vec<_>>().join("\n");
        format!("{head}<!-- findings -->\n\n{kinds}\n<!-- /findings -->{tail}")
    }

    fn capital(sentence: &str) -> String {
        let mut letters = sentence.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect())
            .unwrap_or_default()
    }

    #[test]
    fn the_pages_explain_every_finding_as_the_program_does() {
        for (name, lang) in [("doctor.md", Lang::En), ("doctor.fr.md", Lang::Fr)] {
            let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
            let page = std::fs::read_to_string(&path).expect("the page is there");
            let current = with_kinds(&page, lang);
            if std::env::var_os("JARVIS_UPDATE").is_some() {
                std::fs::write(&path, &current).expect("the page can be written");
            } else {
                assert_eq!(
                    page, current,
                    "{name} is behind: JARVIS_UPDATE=1 cargo nextest run -p jarvis the_pages"
                );
            }
        }
    }
}

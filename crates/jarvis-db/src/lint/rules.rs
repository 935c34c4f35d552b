//! The rules: what each looks for, and what somebody gets who finds the hole first.

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Data can be read or changed by somebody who must not, or one mistake away from it.
    Error,
    /// A second line of defence is missing.
    Warning,
    /// Something could not be looked at.
    Unknown,
}

/// A sentence in the two languages of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// English.
    pub en: &'static str,
    /// French.
    pub fr: &'static str,
}

/// A rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its stable name.
    pub code: &'static str,
    /// How much a finding matters.
    pub severity: Severity,
    /// What is wrong where it finds something.
    pub title: Said,
    /// What somebody gets from it.
    pub danger: Said,
    /// The query that finds it in the catalogue; none for the probes.
    pub(crate) sql: Option<&'static str>,
    /// Whether it needs a tenant column.
    pub(crate) tenancy: bool,
}

macro_rules! catalogue {
    ($code:literal) => {
        Some(concat!(
            include_str!("sql/prelude.sql"),
            include_str!(concat!("sql/", $code, ".sql"))
        ))
    };
}

macro_rules! rule {
    ($severity:ident, $code:literal, $sql:expr, $tenancy:literal,
     $en:literal, $fr:literal, $danger_en:literal, $danger_fr:literal) => {
        Rule {
            code: $code,
            severity: Severity::$severity,
            title: Said { en: $en, fr: $fr },
            danger: Said {
                en: $danger_en,
                fr: $danger_fr,
            },
            sql: $sql,
            tenancy: $tenancy,
        }
    };
}

/// The query that lists what can be probed.
pub(crate) const TARGETS: &str = concat!(include_str!("sql/prelude.sql"), include_str!("sql/targets.sql"));

/// Every rule, in the order in which a report shows them: what is open first, then what could open.
#[rustfmt::skip]
pub static RULES: [Rule; 32] = [
    rule!(Error, "anon_can_read", None, false,
        "a visitor without any account reads rows",
        "un visiteur sans compte lit des lignes",
        "Whoever has the public key of the project, which every browser receives, downloads the table.",
        "Qui possède la clé publique du projet, que chaque navigateur reçoit, télécharge la table."),
    rule!(Error, "anon_can_insert", None, false,
        "a visitor without any account adds rows",
        "un visiteur sans compte ajoute des lignes",
        "Anybody plants rows: invented facts, alerts, members; or fills the disk.",
        "N'importe qui dépose des lignes : faits inventés, alertes, membres ; ou remplit le disque."),
    rule!(Error, "anon_can_update", None, false,
        "a visitor without any account changes rows",
        "un visiteur sans compte modifie des lignes",
        "Anybody changes what is stored, for example their own role or rights.",
        "N'importe qui change ce qui est enregistré, par exemple son propre rôle ou ses droits."),
    rule!(Error, "anon_can_delete", None, false,
        "a visitor without any account deletes rows",
        "un visiteur sans compte efface des lignes",
        "Anybody empties the table, with one request.",
        "N'importe qui vide la table, en une requête."),
    rule!(Error, "stranger_can_read", None, false,
        "anybody who signs in reads rows, whoever they are",
        "toute personne connectée lit des lignes, quelle qu'elle soit",
        "An account that belongs to no tenant (where sign-up is open: anybody) reads the rows of all of them.",
        "Un compte rattaché à aucune salle (si l'inscription est ouverte : n'importe qui) lit les lignes de toutes."),
    rule!(Error, "stranger_can_insert", None, false,
        "anybody who signs in adds rows, whoever they are",
        "toute personne connectée ajoute des lignes, quelle qu'elle soit",
        "An account that belongs to no tenant writes into any of them.",
        "Un compte rattaché à aucune salle écrit dans n'importe laquelle."),
    rule!(Error, "stranger_can_update", None, false,
        "anybody who signs in changes rows, whoever they are",
        "toute personne connectée modifie des lignes, quelle qu'elle soit",
        "An account that belongs to no tenant changes the rows of all of them, or gives itself rights.",
        "Un compte rattaché à aucune salle modifie les lignes de toutes, ou s'accorde des droits."),
    rule!(Error, "stranger_can_delete", None, false,
        "anybody who signs in deletes rows, whoever they are",
        "toute personne connectée efface des lignes, quelle qu'elle soit",
        "An account that belongs to no tenant empties the table.",
        "Un compte rattaché à aucune salle vide la table."),
    rule!(Error, "policy_without_identity", catalogue!("policy_without_identity"), false,
        "a policy takes a missing identity for a right",
        "une règle prend l'absence d'identité pour un droit",
        "`auth.uid() is null` is meant for the server, but it is also true for every anonymous visitor: they pass as the server.",
        "`auth.uid() is null` vise le serveur, mais c'est vrai aussi de tout visiteur anonyme : il passe pour le serveur."),
    rule!(Error, "rls_off", catalogue!("rls_off"), false,
        "row level security is off",
        "la sécurité des lignes est désactivée",
        "Policies do nothing; every grant opens all rows of all tenants.",
        "Les règles ne font rien ; chaque droit ouvre toutes les lignes de toutes les salles."),
    rule!(Warning, "rls_not_forced", catalogue!("rls_not_forced"), false,
        "row level security does not hold for the owner",
        "la sécurité des lignes ne vaut pas pour le propriétaire",
        "A process, view or function that runs as the owner sees every tenant; one wrong connection string is enough.",
        "Un processus, une vue ou une fonction du propriétaire voit toutes les salles ; une chaîne de connexion erronée suffit."),
    rule!(Warning, "policy_to_public", catalogue!("policy_to_public"), false,
        "a policy is for everybody (TO PUBLIC, or no TO at all)",
        "une règle vaut pour tous (TO PUBLIC, ou sans TO)",
        "It holds for anonymous visitors and for every role to come; only its expression stands between them and the rows.",
        "Elle vaut pour les visiteurs anonymes et pour tout rôle à venir ; seule son expression les sépare des lignes."),
    rule!(Warning, "update_without_check", catalogue!("update_without_check"), false,
        "a policy for updates has no WITH CHECK",
        "une règle de modification n'a pas de WITH CHECK",
        "What a row may become is not said. PostgreSQL then uses USING; whoever widens that for reading widens writing, and a row can be moved to where its writer should not write.",
        "Rien ne dit ce que la ligne peut devenir. PostgreSQL reprend alors USING ; l'élargir pour la lecture élargit l'écriture, et une ligne peut partir là où son auteur ne devrait pas écrire."),
    rule!(Error, "policy_recursion", catalogue!("policy_recursion"), false,
        "a policy reads the table that it guards",
        "une règle lit la table qu'elle protège",
        "PostgreSQL refuses the query with \"infinite recursion\", and the usual way out of that, taken in a hurry, is to switch row level security off.",
        "PostgreSQL refuse la requête (« infinite recursion »), et la parade habituelle, prise à la hâte, est de désactiver la sécurité des lignes."),
    rule!(Error, "tenant_column_missing", catalogue!("tenant_column_missing"), true,
        "a table does not say to which tenant a row belongs",
        "une table ne dit pas à quelle salle appartient une ligne",
        "Its policy must look elsewhere, or cannot tell tenants apart; a row that changes owner follows nobody's rule.",
        "Sa règle doit chercher ailleurs, ou ne peut distinguer les salles ; une ligne qui change de main n'obéit à personne."),
    rule!(Error, "foreign_key_without_tenant", catalogue!("foreign_key_without_tenant"), true,
        "a foreign key joins rows without their tenant",
        "une clé étrangère joint des lignes sans leur salle",
        "Foreign keys ignore row level security: a row of one tenant can point at a row of another, and the answer tells whether that row exists.",
        "Les clés étrangères ignorent la sécurité des lignes : une ligne d'une salle peut désigner celle d'une autre, et la réponse dit si elle existe."),
    rule!(Error, "unique_without_tenant", catalogue!("unique_without_tenant"), true,
        "a value must be unique over all tenants",
        "une valeur doit être unique dans toutes les salles",
        "The error \"duplicate key\" tells one tenant what another has (a badge, an address), and lets one block the other.",
        "L'erreur « duplicate key » dit à une salle ce qu'une autre possède (un badge, une adresse), et permet de la bloquer."),
    rule!(Error, "definer_without_search_path", catalogue!("definer_without_search_path"), false,
        "a SECURITY DEFINER function takes its caller's search_path",
        "une fonction SECURITY DEFINER suit le search_path de l'appelant",
        "The caller puts a table or operator of their own before the real one, and it runs with the owner's rights.",
        "L'appelant place une table ou un opérateur à lui avant le vrai, exécuté avec les droits du propriétaire."),
    rule!(Error, "definer_callable_by_anybody", catalogue!("definer_callable_by_anybody"), false,
        "anybody may call a SECURITY DEFINER function",
        "n'importe qui peut appeler une fonction SECURITY DEFINER",
        "It runs with its owner's rights, past row level security, for visitors without any account.",
        "Elle s'exécute avec les droits de son propriétaire, hors sécurité des lignes, pour des visiteurs sans compte."),
    rule!(Warning, "anon_can_execute", catalogue!("anon_can_execute"), false,
        "anybody may call a function",
        "n'importe qui peut appeler une fonction",
        "It is an open door of the API (PostgreSQL gives EXECUTE to everybody unless told otherwise), and becomes a hole with its next version.",
        "C'est une porte ouverte de l'API (PostgreSQL donne EXECUTE à tous sauf ordre contraire), et une faille à sa prochaine version."),
    rule!(Error, "view_without_security_invoker", catalogue!("view_without_security_invoker"), false,
        "a view reads with its owner's rights",
        "une vue lit avec les droits de son propriétaire",
        "Whoever may read the view reads all rows below it: policies ask the owner, not the reader.",
        "Qui peut lire la vue lit toutes les lignes qu'elle recouvre : les règles interrogent le propriétaire, pas le lecteur."),
    rule!(Error, "relation_without_policies", catalogue!("relation_without_policies"), false,
        "a materialized view or a foreign table is open to visitors",
        "une vue matérialisée ou une table étrangère est ouverte aux visiteurs",
        "Row level security does not exist there: a grant opens all rows.",
        "La sécurité des lignes n'y existe pas : un droit ouvre toutes les lignes."),
    rule!(Error, "truncate_granted", catalogue!("truncate_granted"), false,
        "a serving role may TRUNCATE",
        "un rôle de service peut faire TRUNCATE",
        "TRUNCATE ignores row level security: one statement empties the table for all tenants.",
        "TRUNCATE ignore la sécurité des lignes : une instruction vide la table pour toutes les salles."),
    rule!(Error, "serving_role_bypasses_rls", catalogue!("serving_role_bypasses_rls"), false,
        "a role that serves requests is above row level security",
        "un rôle qui sert des requêtes échappe à la sécurité des lignes",
        "One forgotten SET ROLE, or one injection, and it sees every tenant.",
        "Un SET ROLE oublié, ou une injection, et il voit toutes les salles."),
    rule!(Error, "serving_role_owns", catalogue!("serving_role_owns"), false,
        "a role that serves requests owns the table",
        "un rôle qui sert des requêtes possède la table",
        "An owner can switch row level security off, or drop the table; so can whoever injects SQL.",
        "Un propriétaire peut désactiver la sécurité des lignes ou supprimer la table ; qui injecte du SQL aussi."),
    rule!(Warning, "login_inherits", catalogue!("login_inherits"), false,
        "the login has the rights of its roles at once",
        "l'identifiant de connexion a d'emblée les droits de ses rôles",
        "Before any SET ROLE the policies of all its roles hold for it together: a forgotten scope reads as everybody.",
        "Avant tout SET ROLE, les règles de tous ses rôles valent ensemble : un périmètre oublié lit au nom de tous."),
    rule!(Error, "schema_create_granted", catalogue!("schema_create_granted"), false,
        "visitors may create objects in the schema",
        "les visiteurs peuvent créer des objets dans le schéma",
        "They plant a function or table that others' unqualified names then find.",
        "Ils y déposent une fonction ou une table que trouvent ensuite les noms non qualifiés des autres."),
    rule!(Warning, "default_privileges_leak", catalogue!("default_privileges_leak"), false,
        "what is created later will be open by default",
        "ce qui sera créé plus tard sera ouvert par défaut",
        "A new table is readable by visitors from its first second, until somebody remembers row level security.",
        "Une nouvelle table est lisible des visiteurs dès la première seconde, jusqu'à ce qu'on pense à la sécurité des lignes."),
    rule!(Warning, "extension_in_exposed_schema", catalogue!("extension_in_exposed_schema"), false,
        "an extension lives in a schema that the API exposes",
        "une extension se trouve dans un schéma que l'API expose",
        "Each of its functions can be called from outside.",
        "Chacune de ses fonctions peut être appelée de l'extérieur."),
    rule!(Error, "vector_readable", catalogue!("vector_readable"), false,
        "embeddings can be read through the API",
        "les vecteurs peuvent être lus par l'API",
        "An embedding can be turned back into the text it was made of.",
        "Un vecteur permet de retrouver le texte dont il est issu."),
    rule!(Warning, "not_in_data_map", catalogue!("not_in_data_map"), false,
        "columns are missing from the data map",
        "des colonnes manquent à la carte des données",
        "Nobody decided how long they are kept, who exports them and how they are erased: an erasure leaves them behind.",
        "Personne n'a décidé combien de temps elles sont gardées, ni comment elles sont exportées et effacées : un effacement les oublie."),
    rule!(Unknown, "not_checked", None, false,
        "something could not be looked at",
        "quelque chose n'a pas pu être examiné",
        "A hole may be there: no finding is not a clean bill for this part.",
        "Une faille peut s'y trouver : l'absence de constat n'y vaut pas quitus."),
];

/// The rule with this code.
pub fn rule(code: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.code == code)
}

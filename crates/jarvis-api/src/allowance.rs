//! What a request may ask for at most, as one table: the pages `docs/limits.md` and `docs/limits.fr.md` are made of it.

use crate::gym_share::{AT_ONCE, REQUESTS_PER_MINUTE};
use crate::limits::{
    ASSERTIONS_PER_ADDRESS, PAIRINGS_PER_ADDRESS, PASSWORD_CHANGES_PER_ACCOUNT, REFRESHES_PER_ADDRESS,
    SIGN_INS_PER_ACCOUNT, SIGN_INS_PER_ADDRESS,
};
use crate::{body, envelope, json, password, query, router, tokens};
use jarvis_core::{ErrorCode, Language, NewEvent};
use jarvis_memory::context::MAX_WORDS_CHARS;
use jarvis_memory::recall::{MAX_K, MAX_QUERY_CHARS};
use std::fmt::{Display, Write as _};
use std::time::Duration;

/// A connection on which no complete request head arrives for so long is closed, be it new or kept alive.
pub const SILENT_CONNECTION: Duration = Duration::from_secs(30);
/// How much of a request head is read at most, in bytes; the API allows less and answers with a problem.
pub const HEAD_BYTES: usize = 96 * 1024;
/// How many headers are read at most; the API allows less and answers with a problem.
pub const HEAD_LINES: usize = 200;
/// The most connections at a time, when nobody says how many.
pub const CONNECTIONS: usize = 4096;

/// One limit, and what exceeds it is answered with.
struct Row {
    en: &'static str,
    fr: &'static str,
    value: Box<dyn Display>,
    /// Without a code: what is said in its place.
    answer: Result<ErrorCode, (&'static str, &'static str)>,
}

fn row(en: &'static str, fr: &'static str, value: impl Display + 'static, code: ErrorCode) -> Row {
    Row {
        en,
        fr,
        value: Box::new(value),
        answer: Ok(code),
    }
}

fn bare(
    en: &'static str,
    fr: &'static str,
    value: impl Display + 'static,
    answer: (&'static str, &'static str),
) -> Row {
    Row {
        en,
        fr,
        value: Box::new(value),
        answer: Err(answer),
    }
}

fn kib(bytes: usize) -> String {
    if bytes.is_multiple_of(1 << 20) {
        format!("{} MiB", bytes >> 20)
    } else if bytes.is_multiple_of(1 << 10) {
        format!("{} KiB", bytes >> 10)
    } else {
        format!("{bytes} B")
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

/// The head of a request.
fn head() -> Vec<Row> {
    use ErrorCode::{HeadersTooLarge, InvalidRequest, InvalidUtf8, Unauthenticated, UriTooLong};
    let closed = ("the connection is closed", "la connexion est fermée");
    let bad = ("400, 414 or 431 without a body", "400, 414 ou 431 sans corps");
    vec![
        row(
            "path and query",
            "chemin et paramètres",
            kib(envelope::MAX_URI),
            UriTooLong,
        ),
        row("headers", "en-têtes", envelope::MAX_HEADERS, HeadersTooLarge),
        row(
            "names and values of all headers",
            "noms et valeurs de tous les en-têtes",
            kib(envelope::MAX_HEADER_BYTES),
            HeadersTooLarge,
        ),
        bare(
            "a head that is read at all",
            "un en-tête lu par le serveur",
            format!("{}, {HEAD_LINES}", kib(HEAD_BYTES)),
            bad,
        ),
        bare(
            "silence before or within a head",
            "silence avant ou pendant l'en-tête",
            seconds(SILENT_CONNECTION),
            closed,
        ),
        row(
            "access token",
            "jeton d'accès",
            kib(tokens::MAX_TOKEN_BYTES),
            Unauthenticated,
        ),
        row(
            "parameters of a query, each once",
            "paramètres, chacun une fois",
            query::MAX_PARAMETERS,
            InvalidRequest,
        ),
        row(
            "bytes that are not UTF-8, or NUL, in a query",
            "octets non UTF-8, ou NUL, dans les paramètres",
            0,
            InvalidUtf8,
        ),
    ]
}

/// The body of a request.
fn bodies() -> Vec<Row> {
    use ErrorCode::{InvalidJson, InvalidUtf8, PayloadTooLarge, RequestTimeout, UnsupportedMediaType};
    vec![
        row("body", "corps", kib(body::CONTROL_LIMIT), PayloadTooLarge),
        row(
            "body of events",
            "corps d'événements",
            kib(body::EVENTS_LIMIT),
            PayloadTooLarge,
        ),
        row(
            "compressed bodies (`Content-Encoding`)",
            "corps compressés (`Content-Encoding`)",
            0,
            UnsupportedMediaType,
        ),
        row(
            "silence within a body",
            "silence pendant le corps",
            seconds(body::SILENCE),
            RequestTimeout,
        ),
        row(
            "arrival of a whole body",
            "arrivée du corps entier",
            seconds(body::ARRIVAL),
            RequestTimeout,
        ),
        row("levels of JSON", "niveaux de JSON", json::MAX_DEPTH, InvalidJson),
        row(
            "the same name twice in one object",
            "le même nom deux fois dans un objet",
            0,
            InvalidJson,
        ),
        row(
            "numbers beyond a double (1e400)",
            "nombres au-delà d'un double (1e400)",
            0,
            InvalidJson,
        ),
        row(
            "half of a surrogate pair (\\ud800)",
            "moitié d'une paire de substitution (\\ud800)",
            0,
            InvalidJson,
        ),
        row(
            "bytes that are not UTF-8, or NUL",
            "octets non UTF-8, ou NUL",
            0,
            InvalidUtf8,
        ),
    ]
}

/// The fields of bodies and queries.
fn fields() -> Vec<Row> {
    use ErrorCode::{EventInvalid, InvalidRequest, SessionClosed, SessionNotFound};
    vec![
        row(
            "events of one request",
            "événements par requête",
            jarvis_memory::sessions::MAX_EVENTS,
            InvalidRequest,
        ),
        row(
            "transcript of an event, characters",
            "transcription d'un événement, caractères",
            NewEvent::MAX_TRANSCRIPT_CHARS,
            EventInvalid,
        ),
        row(
            "`tool_args`, `tool_result`, each",
            "`tool_args`, `tool_result`, chacun",
            kib(jarvis_memory::sessions::MAX_JSON_BYTES),
            EventInvalid,
        ),
        row(
            "`tool_name`, `provider_event_id`, characters",
            "`tool_name`, `provider_event_id`, caractères",
            jarvis_memory::sessions::MAX_NAME_CHARS,
            EventInvalid,
        ),
        row("`confidence_score`", "`confidence_score`", "0–1", EventInvalid),
        row(
            "`turn_number`, `audio_duration_ms`",
            "`turn_number`, `audio_duration_ms`",
            "0–2147483647",
            EventInvalid,
        ),
        bare(
            "time of an event before its session, ahead of now",
            "heure d'un événement avant sa session, en avance",
            "24 h, 5 min",
            (
                "kept with the time of arrival, as `timestamp_out_of_range`",
                "gardé à l'heure d'arrivée, comme `timestamp_out_of_range`",
            ),
        ),
        row(
            "events after the end of their session",
            "événements après la fin de leur session",
            "10 min",
            SessionClosed,
        ),
        row("badge, characters", "badge, caractères", 128, InvalidRequest),
        row(
            "session id, characters",
            "identifiant de session, caractères",
            128,
            SessionNotFound,
        ),
        row("e-mail address", "adresse électronique", "254 B", InvalidRequest),
        row(
            "password",
            "mot de passe",
            kib(password::MAX_BYTES),
            InvalidRequest,
        ),
    ]
}

/// The fields of questions to memory.
fn questions() -> Vec<Row> {
    use ErrorCode::InvalidRequest;
    vec![
        row(
            "question `q`, characters",
            "question `q`, caractères",
            MAX_QUERY_CHARS,
            InvalidRequest,
        ),
        row(
            "`words` of a context, characters",
            "`words` d'un contexte, caractères",
            MAX_WORDS_CHARS,
            InvalidRequest,
        ),
        row(
            "memories `k`",
            "souvenirs `k`",
            format!("1–{MAX_K}"),
            InvalidRequest,
        ),
        row("`threshold`", "`threshold`", "0–1", InvalidRequest),
    ]
}

/// How often, how many, how long.
fn rates() -> Vec<Row> {
    use ErrorCode::{Overloaded, RateLimited};
    vec![
        row(
            "tries to pair, per address and minute",
            "essais d'appairage, par adresse et minute",
            PAIRINGS_PER_ADDRESS,
            RateLimited,
        ),
        row(
            "tokens of kiosks, per address and minute",
            "jetons de bornes, par adresse et minute",
            ASSERTIONS_PER_ADDRESS,
            RateLimited,
        ),
        row(
            "sign-ins, per address and minute",
            "connexions, par adresse et minute",
            SIGN_INS_PER_ADDRESS,
            RateLimited,
        ),
        row(
            "sign-ins, per account and minute",
            "connexions, par compte et minute",
            SIGN_INS_PER_ACCOUNT,
            RateLimited,
        ),
        row(
            "renewals of a session (`/auth/v1`), per address and minute",
            "renouvellements d'une connexion (`/auth/v1`), par adresse et minute",
            REFRESHES_PER_ADDRESS,
            RateLimited,
        ),
        row(
            "changes of a password (`/auth/v1`), per account and minute",
            "changements de mot de passe (`/auth/v1`), par compte et minute",
            PASSWORD_CHANGES_PER_ACCOUNT,
            RateLimited,
        ),
        row(
            "requests of one gym's kiosks, per minute (`JARVIS_GYM_REQUESTS_PER_MINUTE`)",
            "requêtes des bornes d'une salle, par minute (`JARVIS_GYM_REQUESTS_PER_MINUTE`)",
            REQUESTS_PER_MINUTE,
            RateLimited,
        ),
        row(
            "requests of one gym's kiosks at the same time",
            "requêtes des bornes d'une salle en même temps",
            AT_ONCE,
            RateLimited,
        ),
        row(
            "connections (`--max-connections`)",
            "connexions simultanées (`--max-connections`)",
            CONNECTIONS,
            Overloaded,
        ),
        row(
            "time of a request",
            "durée d'une requête",
            seconds(router::TIMEOUT),
            Overloaded,
        ),
    ]
}

const ENGLISH: &str = "# Limits\n\
\n\
What a request may ask for at most. Beyond it the answer is a problem (`application/problem+json`) with the code named\n\
here, never a 500; decide by the code. A limit of 0 means: refused wherever it occurs. Among several events each is\n\
judged on its own, and a broken one, told as `event_invalid`, never loses the others.\n\
\n\
Addresses are counted as IPv4 addresses and as /64 networks of IPv6. Behind a reverse proxy, name it with\n\
`--trusted-proxies` (`JARVIS_TRUSTED_PROXIES`), such as `127.0.0.1`: the last address of `X-Forwarded-For` that is no\n\
proxy of yours is then counted instead of the proxy's own.\n\
";
const FRENCH: &str = "# Limites\n\
\n\
Ce qu'une requête peut demander au plus. Au-delà, la réponse est un problème (`application/problem+json`) avec le code\n\
indiqué ici, jamais une erreur 500 ; décidez d'après le code. Une limite de 0 signifie : refusé partout. Parmi plusieurs\n\
événements, chacun est jugé seul : un événement fautif, signalé `event_invalid`, n'en perd aucun autre.\n\
\n\
Les adresses sont comptées par adresse IPv4 et par réseau /64 d'IPv6. Derrière un mandataire inverse, nommez-le avec\n\
`--trusted-proxies` (`JARVIS_TRUSTED_PROXIES`), par exemple `127.0.0.1` : la dernière adresse de `X-Forwarded-For` qui\n\
n'est pas un mandataire à vous est alors comptée à la place de la sienne.\n\
";

/// The page about the limits, in French or in English.
pub fn limits_page(language: Language) -> String {
    let french = language == Language::Fr;
    let mut page = if french { FRENCH } else { ENGLISH }.to_owned();
    let chapters = [
        ("The head of a request", "L'en-tête d'une requête", head()),
        ("The body", "Le corps", bodies()),
        ("Fields", "Les champs", {
            let mut all = fields();
            all.extend(questions());
            all
        }),
        (
            "How often and how long",
            "Combien de fois, combien de temps",
            rates(),
        ),
    ];
    let columns = if french {
        "| quoi | limite | au-delà |"
    } else {
        "| what | limit | beyond it |"
    };
    for (en, fr, rows) in chapters {
        let title = if french { fr } else { en };
        write!(page, "\n## {title}\n\n{columns}\n|---|---|---|\n").expect("a String takes any text");
        for row in rows {
            let answer = match row.answer {
                Ok(code) => format!("{} `{}`", code.status(), code.as_str()),
                Err((en, fr)) => if french { fr } else { en }.to_owned(),
            };
            let what = if french { row.fr } else { row.en };
            writeln!(page, "| {what} | {} | {answer} |", row.value).expect("a String takes any text");
        }
    }
    page
}

//! The table of public errors: stable code, status, and what to tell people in French and English.

use crate::language::Language;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:literal, fr: $fr:literal / $fr_hint:literal, en: $en:literal / $en_hint:literal;)+) => {
        /// A public error. Codes are stable: they are never renamed, and new ones may appear.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $variant,)+ }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable code.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The HTTP status that goes with it.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// What went wrong, in one sentence.
            pub fn title(self, language: Language) -> &'static str {
                match (self, language.message_language()) { $((Self::$variant, Language::Fr) => $fr, (Self::$variant, _) => $en,)+ }
            }

            /// What to do about it.
            pub fn hint(self, language: Language) -> &'static str {
                match (self, language.message_language()) { $((Self::$variant, Language::Fr) => $fr_hint, (Self::$variant, _) => $en_hint,)+ }
            }
        }
    };
}

error_codes! {
    /// A parameter or field is missing or has a wrong form.
    InvalidRequest = "invalid_request", 400,
        fr: "La requête est invalide." / "Corrigez le champ cité dans le détail et renvoyez la requête.",
        en: "The request is invalid." / "Correct the field named in the detail and send the request again.";
    /// The body is not JSON.
    InvalidJson = "invalid_json", 400,
        fr: "Le corps n'est pas du JSON valide." / "Envoyez du JSON en UTF-8 ; la position de l'erreur est dans le détail.",
        en: "The body is not valid JSON." / "Send JSON in UTF-8; the position of the error is in the detail.";
    /// The body is not UTF-8.
    InvalidUtf8 = "invalid_utf8", 400,
        fr: "Le texte n'est pas en UTF-8, ou contient le caractère NUL." / "Encodez le texte en UTF-8 et retirez les caractères NUL.",
        en: "The text is not UTF-8, or holds a NUL character." / "Encode the text as UTF-8 and remove NUL characters.";
    /// The body is too large.
    PayloadTooLarge = "payload_too_large", 413,
        fr: "Le corps de la requête est trop grand." / "Envoyez les événements en plusieurs lots de 8 Mio au plus.",
        en: "The request body is too large." / "Send the events in several batches of at most 8 MiB.";
    /// The address of the request is too long.
    UriTooLong = "uri_too_long", 414,
        fr: "L'adresse de la requête est trop longue." / "Envoyez la question dans le corps d'un POST ; une adresse a au plus 32 Kio.",
        en: "The request's address is too long." / "Send the question in the body of a POST; an address has at most 32 KiB.";
    /// The headers are too large or too many.
    HeadersTooLarge = "headers_too_large", 431,
        fr: "Les en-têtes de la requête sont trop grands." / "Envoyez au plus 100 en-têtes et 16 Kio en tout.",
        en: "The request's headers are too large." / "Send at most 100 headers and 16 KiB in all.";
    /// The body stopped arriving.
    RequestTimeout = "request_timeout", 408,
        fr: "Le corps de la requête n'arrive plus." / "Vérifiez la connexion et renvoyez la requête ; un événement répété n'est enregistré qu'une fois.",
        en: "The request's body stopped arriving." / "Check the connection and send the request again; a repeated event is stored once.";
    /// The content type is not one we read.
    UnsupportedMediaType = "unsupported_media_type", 415,
        fr: "Ce type de contenu n'est pas accepté." / "Envoyez application/json, ou application/x-ndjson pour des événements, sans compression.",
        en: "This content type is not accepted." / "Send application/json, or application/x-ndjson for events, not compressed.";
    /// No such path, or not yours.
    NotFound = "not_found", 404,
        fr: "Introuvable." / "Vérifiez l'adresse et l'identifiant ; ce qui appartient à une autre salle n'existe pas pour vous.",
        en: "Not found." / "Check the address and the id; what belongs to another gym does not exist for you.";
    /// The path exists for other methods.
    MethodNotAllowed = "method_not_allowed", 405,
        fr: "Cette méthode n'est pas permise ici." / "Consultez /api/v1/openapi.json.",
        en: "This method is not allowed here." / "See /api/v1/openapi.json.";
    /// No token, or an invalid one.
    Unauthenticated = "unauthenticated", 401,
        fr: "Identification requise." / "Envoyez un jeton valide : Authorization: Bearer …",
        en: "Authentication is required." / "Send a valid token: Authorization: Bearer …";
    /// The token is too old.
    TokenExpired = "token_expired", 401,
        fr: "Le jeton a expiré." / "Demandez un nouveau jeton : POST /api/v1/kiosks/token, ou connectez-vous de nouveau.",
        en: "The token has expired." / "Ask for a new token: POST /api/v1/kiosks/token, or sign in again.";
    /// Known, but not allowed to do this.
    Forbidden = "forbidden", 403,
        fr: "Vous n'avez pas le droit de faire cela." / "Demandez à un responsable de la salle.",
        en: "You are not allowed to do this." / "Ask a manager of the gym.";
    /// E-mail or password is wrong.
    CredentialsInvalid = "credentials_invalid", 401,
        fr: "Adresse ou mot de passe incorrect." / "Vérifiez la saisie, ou demandez un nouveau mot de passe à l'administrateur.",
        en: "Wrong e-mail address or password." / "Check what you typed, or ask the administrator for a new password.";
    /// The identities are the platform's whose database this is.
    SignsInElsewhere = "signs_in_elsewhere", 422,
        fr: "Cette base est celle d'une plateforme qui identifie elle-même les personnes." / "Connectez-vous auprès d'elle ; docs/auth.fr.md en dit plus.",
        en: "This database is that of a platform that signs people in itself." / "Sign in there; docs/auth.md says more.";
    /// Too many requests.
    RateLimited = "rate_limited", 429,
        fr: "Trop de tentatives." / "Attendez le délai de l'en-tête Retry-After.",
        en: "Too many attempts." / "Wait as long as the Retry-After header says.";
    /// The pairing code is unknown, used or expired.
    PairingCodeInvalid = "pairing_code_invalid", 400,
        fr: "Ce code d'appairage est inconnu, déjà utilisé ou expiré." / "Créez un nouveau code : jarvis kiosk add, ou jarvis kiosk code.",
        en: "This pairing code is unknown, used or expired." / "Make a new one: jarvis kiosk add, or jarvis kiosk code.";
    /// The kiosk was revoked or never paired.
    KioskRevoked = "kiosk_revoked", 403,
        fr: "Cette borne n'est pas, ou plus, appairée." / "Appairez-la de nouveau avec un code à usage unique.",
        en: "This kiosk is not paired, or no longer." / "Pair it again with a one-time code.";
    /// Unknown and inactive badges give the same answer.
    BadgeUnknown = "badge_unknown", 404,
        fr: "Badge non reconnu." / "Présentez le badge à l'accueil.",
        en: "Badge not recognised." / "Show the badge at the reception.";
    /// The purpose named in the detail was not agreed to.
    ConsentRequired = "consent_required", 403,
        fr: "Le membre n'a pas donné son accord." / "Demandez l'accord cité dans le détail, ou continuez sans.",
        en: "The member has not agreed." / "Ask for the consent named in the detail, or go on without.";
    /// No such session for this caller.
    SessionNotFound = "session_not_found", 404,
        fr: "Session introuvable." / "Ouvrez une session avec POST /api/v1/sessions ; une borne ne voit que les siennes.",
        en: "Session not found." / "Open one with POST /api/v1/sessions; a kiosk sees only its own.";
    /// The session has ended; for events, more than ten minutes ago.
    SessionClosed = "session_closed", 409,
        fr: "La session est terminée." / "Ouvrez une nouvelle session ; des événements sont encore acceptés dix minutes après la fin.",
        en: "The session has ended." / "Open a new session; events are still taken until ten minutes after the end.";
    /// The session still runs.
    SessionOpen = "session_open", 409,
        fr: "La session est encore ouverte." / "Fermez-la d'abord : POST /api/v1/sessions/{id}/close.",
        en: "The session is still open." / "Close it first: POST /api/v1/sessions/{id}/close.";
    /// The words of the session are past their time; what was made of them is kept.
    TranscriptGone = "transcript_gone", 409,
        fr: "Les paroles de cette session ne sont plus conservées ; ce qui en a été retenu reste." / "Rien à faire : sans les paroles, la session ne peut pas être retraitée.",
        en: "The words of this session are not kept any more; what was made of them stays." / "Nothing to do: without its words the session cannot be processed again.";
    /// No event of the request could be kept.
    EventInvalid = "event_invalid", 422,
        fr: "L'événement est invalide." / "Corrigez le champ cité dans le détail ; les autres événements du lot sont enregistrés.",
        en: "The event is invalid." / "Correct the field named in the detail; the other events of the batch are kept.";
    /// The kiosk's clock is wrong; the event was kept with the time of its arrival.
    TimestampOutOfRange = "timestamp_out_of_range", 422,
        fr: "L'heure de l'événement est impossible ; l'heure d'arrivée a été retenue." / "Réglez l'horloge de la borne.",
        en: "The time of the event is impossible; the time of arrival was kept instead." / "Set the kiosk's clock.";
    /// No such member in this gym.
    MemberNotFound = "member_not_found", 404,
        fr: "Membre introuvable." / "Vérifiez l'identifiant ; un membre d'une autre salle n'existe pas pour vous.",
        en: "Member not found." / "Check the id; a member of another gym does not exist for you.";
    /// A table with data of members is not on the data map.
    DataMapIncomplete = "data_map_incomplete", 409,
        fr: "Une table qui nomme des membres manque à la carte des données." / "L'exploitant doit l'y inscrire (jarvis.data_map) ; `jarvis member export` dit laquelle.",
        en: "A table that names members is not on the data map." / "The operator has to put it there (jarvis.data_map); `jarvis member export` says which one.";
    /// A fact's value has a field of the wrong type.
    FactValueInvalid = "fact_value_invalid", 422,
        fr: "La valeur du fait est invalide." / "Corrigez le champ cité dans le détail.",
        en: "The value of the fact is invalid." / "Correct the field named in the detail.";
    /// No such fact, or proposal to merge facts, for this caller.
    FactNotFound = "fact_not_found", 404,
        fr: "Fait introuvable." / "Vérifiez l'identifiant ; ce qui a été oublié n'existe plus, et ce qui est d'une autre salle n'existe pas pour vous.",
        en: "Fact not found." / "Check the id; what was forgotten is no more, and what is another gym's does not exist for you.";
    /// Somebody decided a proposal before.
    ProposalDecided = "proposal_decided", 409,
        fr: "Cette proposition a déjà été tranchée." / "Rechargez la liste des propositions.",
        en: "This proposal was decided before." / "Load the list of proposals again.";
    /// One of the two facts has ended since the merge was proposed.
    ProposalStale = "proposal_stale", 409,
        fr: "L'un des deux faits n'est plus actif." / "Rechargez la liste des propositions ; s'ils valent encore tous les deux, confirmez d'abord celui qui est retiré.",
        en: "One of the two facts is not active any more." / "Load the list of proposals again; if both still hold, confirm the retired one first.";
    /// The database does not answer.
    DatabaseUnavailable = "database_unavailable", 503,
        fr: "La base de données ne répond pas." / "Réessayez dans quelques secondes ; voyez /readyz.",
        en: "The database does not answer." / "Try again in a few seconds; see /readyz.";
    /// The disk of the database is full.
    StorageFull = "storage_full", 503,
        fr: "Le disque de la base de données est plein ; rien n'a été enregistré." / "Renvoyez la même requête plus tard : ce qui a été confirmé est gardé. L'exploitant doit libérer de la place.",
        en: "The disk of the database is full; nothing was stored." / "Send the same request again later: what was acknowledged is kept. The operator has to free some space.";
    /// A provider of models does not answer as it should.
    ProviderUnavailable = "provider_unavailable", 503,
        fr: "Le fournisseur de modèles ne répond pas comme il le devrait." / "Réessayez plus tard ; rien n'est perdu. L'exploitant voit la cause dans /readyz.",
        en: "The provider of models does not answer as it should." / "Try again later; nothing is lost. The operator sees the cause in /readyz.";
    /// Too much at once.
    Overloaded = "overloaded", 503,
        fr: "Le serveur est saturé." / "Réessayez après le délai de l'en-tête Retry-After.",
        en: "The server is overloaded." / "Try again after the delay in the Retry-After header.";
    /// A defect of ours.
    Internal = "internal", 500,
        fr: "Erreur interne." / "Réessayez ; si cela persiste, transmettez l'identifiant de requête.",
        en: "Internal error." / "Try again; if it persists, report the request id.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_unique_and_speaks_both_languages() {
        let mut codes: Vec<_> = ErrorCode::ALL.iter().map(|c| c.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            assert_ne!(code.title(Language::Fr), code.title(Language::En), "{code:?}");
            assert_ne!(code.hint(Language::Fr), code.hint(Language::En), "{code:?}");
            assert!((400..600).contains(&code.status()), "{code:?}");
        }
    }
}

//! `POST /api/v1/sessions`

use crate::body::Input;
use crate::caller::Kiosk;
use crate::fields::{FieldError, Fields, FromFields};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::ContextView;
use crate::words::{KioskChannelWord, LanguageWord, PurposeWord};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use jarvis_core::{Channel, ConsentSet, ErrorCode, Language};
use jarvis_memory::sessions::{self, OpenSession};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

pub(crate) const ERRORS: &[ErrorCode] = &[
    ErrorCode::InvalidRequest,
    ErrorCode::BadgeUnknown,
    ErrorCode::ConsentRequired,
];

/// A badge was read.
#[derive(ToSchema)]
#[schema(as = OpenSessionInput)]
pub(crate) struct OpenSessionInput {
    /// The badge as read, 1 to 128 characters; case and surrounding space do not matter.
    #[schema(example = "BADGE_001", min_length = 1, max_length = 128)]
    badge_id: String,
    /// The language on the screen; the member's own when absent.
    #[schema(value_type = Option<LanguageWord>)]
    language: Option<Language>,
    /// `text` when absent. `voice` needs the consent `voice`.
    #[schema(value_type = Option<KioskChannelWord>)]
    channel: Option<Channel>,
}

impl FromFields for OpenSessionInput {
    const FIELDS: &'static [&'static str] = &["badge_id", "language", "channel"];

    fn from_fields(fields: &mut Fields) -> Result<Self, FieldError> {
        let channel = fields.word("channel")?;
        if channel == Some(Channel::External) {
            return Err("channel: a kiosk opens voice or text".to_owned());
        }
        Ok(Self {
            badge_id: fields.required_text("badge_id")?,
            language: fields.word("language")?,
            channel,
        })
    }
}

/// An open session and what the assistant should know.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenedSession {
    /// Its id, for everything that follows.
    session_id: String,
    /// Who is in front of the kiosk.
    member: SessionMember,
    /// What the member agreed to.
    #[schema(value_type = Vec<PurposeWord>)]
    consents: ConsentSet,
    /// What the assistant should know.
    context: ContextView,
}

/// The member, as far as a kiosk may greet them.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionMember {
    /// Their id.
    id: Uuid,
    /// First name.
    first_name: String,
    /// Language of this session.
    #[schema(value_type = LanguageWord)]
    language: Language,
}

/// Open a session for the member who presents a badge.
///
/// Unknown and inactive badges get the same answer. A session that this kiosk left open ends and is processed:
/// there is one member at a kiosk.
#[utoipa::path(post, path = "/sessions", tag = "kiosk", security(("kiosk" = [])), request_body = OpenSessionInput,
    responses((status = 201, description = "The session is open.", body = OpenedSession,
        headers(("location" = String, description = "The session's own address.")))))]
pub(crate) async fn open_session(
    State(state): State<ApiState>,
    kiosk: Kiosk,
    Input(input): Input<OpenSessionInput>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<OpenedSession>), Problem> {
    let ask = OpenSession {
        badge_id: input.badge_id,
        language: input.language,
        channel: input.channel.unwrap_or(Channel::Text),
    };
    let opened = sessions::open(&state.memory, &kiosk.identity, &ask).await?;
    let location = format!("/api/v1/sessions/{}", opened.session_id);
    let view = OpenedSession {
        session_id: opened.session_id.into(),
        member: SessionMember {
            id: opened.member.id.into(),
            first_name: opened.member.first_name,
            language: opened.language,
        },
        consents: opened.consents,
        context: opened.context.into(),
    };
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)))
}

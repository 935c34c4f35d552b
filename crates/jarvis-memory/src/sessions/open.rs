//! A badge is read.

use super::{KioskIdentity, close};
use crate::context::{self, Context};
use crate::{Memory, MemoryError, measure};
use jarvis_core::{Category, Channel, ConsentSet, EndReason, ErrorCode, Language, Purpose, SessionId};
use jarvis_db::DbError;
use jarvis_db::queries::fact::ending;
use jarvis_db::queries::{audit, consent, member, session};

/// Version of the sentence by which the assistant says that it is an AI.
pub const DISCLOSURE_VERSION: &str = "ai-disclosure-1";

/// What a kiosk asks for when a badge is presented.
#[derive(Debug, Clone)]
pub struct OpenSession {
    /// The badge as read.
    pub badge_id: String,
    /// The language on the screen; the member's own when absent.
    pub language: Option<Language>,
    /// By voice or by text.
    pub channel: Channel,
}

/// An open session, and what the assistant should know.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Its id.
    pub session_id: SessionId,
    /// Who talks.
    pub member: member::Member,
    /// In which language.
    pub language: Language,
    /// What the member agreed to.
    pub consents: ConsentSet,
    /// What the assistant should know.
    pub context: Context,
}

/// Opens a session for the member of the kiosk's gym who has this badge.
///
/// Unknown and inactive badges are refused alike ([`ErrorCode::BadgeUnknown`]); a voice session needs the
/// consent `voice`. An open session of the same kiosk ends: there is one member at a kiosk.
pub async fn open(memory: &Memory, kiosk: &KioskIdentity, ask: &OpenSession) -> Result<Opened, MemoryError> {
    let badge = jarvis_core::text::badge_key(&ask.badge_id)
        .filter(|b| b.chars().count() <= 128 && !b.contains('\0'))
        .ok_or_else(|| {
            MemoryError::refused_because(ErrorCode::InvalidRequest, "badge_id: 1 to 128 characters")
        })?;
    // Badges at once: who comes second ends the other's session, and finds it only at another look. Of several one gets
    // through at each look.
    for _ in 0..LOOKS {
        match try_open(memory, kiosk, ask, &badge).await {
            Err(MemoryError::Db(DbError::Conflict { .. } | DbError::Contended)) => {}
            Ok(opened) => {
                measure::opened(ask.channel);
                return Ok(opened);
            }
            refused => return refused,
        }
    }
    Err(MemoryError::Changed)
}

/// Badges that may be read at one kiosk in the same instant; a kiosk that sends more is asked to try again.
const LOOKS: u8 = 8;

async fn try_open(
    memory: &Memory,
    kiosk: &KioskIdentity,
    ask: &OpenSession,
    badge: &str,
) -> Result<Opened, MemoryError> {
    let now = memory.clock.now();
    let mut tx = memory.db.begin(&kiosk.scope()).await?;
    let member = member::find_by_badge(&mut tx, kiosk.gym, badge)
        .await?
        .filter(|m| m.is_active && m.can_use_jarvis)
        .ok_or_else(|| MemoryError::refused(ErrorCode::BadgeUnknown))?;
    let consents = consent::in_force(&mut tx, kiosk.gym, member.id).await?;
    if ask.channel == Channel::Voice && !consents.allows(Purpose::Voice) {
        return Err(MemoryError::refused_because(
            ErrorCode::ConsentRequired,
            Purpose::Voice.as_str(),
        ));
    }
    close::end_open(&mut tx, kiosk, EndReason::BadgeChange, now).await?;
    let session_id = SessionId::new(now);
    let language = ask.language.unwrap_or(member.language);
    let new = session::NewSession {
        session_id: &session_id,
        kiosk: kiosk.kiosk,
        member: member.id,
        channel: ask.channel,
        language,
        disclosure_version: DISCLOSURE_VERSION,
        started_at: now,
    };
    session::insert(&mut tx, kiosk.gym, &new).await?;
    let context = context::read(&mut tx, &member, &consents, language, now).await?;
    let asked: Vec<_> = context.facts.iter().filter(|f| f.ask).map(|f| f.id).collect();
    if !asked.is_empty() {
        ending::note_asked(&mut tx, kiosk.gym, &asked, now).await?;
    }
    if context.facts.iter().any(|f| f.category == Category::Injury) {
        let of = Some(session_id.as_str());
        audit::note_read(&mut tx, kiosk.gym, member.id, audit::Read::Context, of).await?;
    }
    tx.commit().await?;
    Ok(Opened {
        session_id,
        member,
        language,
        consents,
        context,
    })
}

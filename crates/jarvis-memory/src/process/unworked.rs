//! What stays stored and is not worked with.

use super::{Material, note};
use crate::extract::{Turn, mask_health};
use crate::quarantine;
use jarvis_core::{Language, Purpose};

/// What tries to steer the assistant stays stored as it was said, and is not worked with, from its first sentence on.
pub(super) fn quarantine_turns(material: &mut Material) {
    material.quarantined += quarantine::cut_orders(&mut material.turns);
    if material.quarantined > 0 {
        material.notes.push(quarantine::NOTE);
    }
}

/// Without `health_memory`, what was stored while the member still agreed to it is not worked with.
pub(super) fn withhold_health(material: &mut Material) {
    let withheld = !material.consents.allows(Purpose::HealthMemory)
        && mask_turns(&mut material.turns, material.session.language);
    if withheld && !material.notes.contains(&note::HEALTH_WITHHELD) {
        material.notes.push(note::HEALTH_WITHHELD);
    }
}

/// Masks health in every turn; true when there was any.
fn mask_turns(turns: &mut [Turn], language: Language) -> bool {
    let mut any = false;
    for turn in turns {
        let masked = mask_health(&turn.text, language);
        if masked.spans > 0 {
            turn.text = masked.text;
            any = true;
        }
    }
    any
}

//! What is known of a member, and what they may ask for.

pub(crate) mod context;
pub(crate) mod export;
pub(crate) mod recall;
pub(crate) mod restriction;

use crate::caller::Person;
use crate::problem::Problem;
use crate::state::ApiState;
use jarvis_core::{ErrorCode, GymId, MemberId};
use jarvis_memory::privacy;

/// The person's own eyes decide whether the member exists; the server then acts in their gym.
async fn gym_of(state: &ApiState, person: &Person, member: MemberId) -> Result<GymId, Problem> {
    let gym = privacy::gym_of(&state.memory, &person.scope(), member).await?;
    gym.ok_or_else(|| Problem::new(ErrorCode::MemberNotFound))
}

//! What is known of a member.

pub(crate) mod context;
pub(crate) mod recall;

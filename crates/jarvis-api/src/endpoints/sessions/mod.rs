//! A conversation from badge to memory.

pub(crate) mod close;
pub(crate) mod context;
pub(crate) mod events;
pub(crate) mod incoming;
pub(crate) mod open;
pub(crate) mod recall;
pub(crate) mod reprocess;
pub(crate) mod show;

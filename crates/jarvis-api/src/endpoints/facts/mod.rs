//! Facts, as people keep them.

pub(crate) mod change;
pub(crate) mod forget;
pub(crate) mod of_member;
pub(crate) mod proposals;
pub(crate) mod review;

//! A kiosk is paired, asks for tokens, and says that it is there.

pub(crate) mod heartbeat;
pub(crate) mod pair;
pub(crate) mod token;

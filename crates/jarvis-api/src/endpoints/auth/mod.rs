//! People sign in; others verify our tokens.

pub(crate) mod jwks;
pub(crate) mod sign_in;

//! How the process is, and how to talk to it.

pub(crate) mod docs;
pub(crate) mod healthz;
pub(crate) mod openapi_json;
pub(crate) mod readyz;

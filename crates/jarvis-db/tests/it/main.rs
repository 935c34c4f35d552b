//! Against a real PostgreSQL: run by `make test`, or `cargo xtask with-postgres -- cargo nextest run -p jarvis-db`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod embedded;
mod migrations;
mod scope;

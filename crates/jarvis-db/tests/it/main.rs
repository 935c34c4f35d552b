//! Against a real PostgreSQL: run by `make test`, or `cargo xtask with-postgres -- cargo nextest run -p jarvis-db`.

mod embedded;
mod migrations;
mod scope;

//! Against a real PostgreSQL: run by `make test`, or `cargo xtask with-postgres -- cargo nextest run -p jarvis-db`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "what a test goes without is worth reading")]

mod adoption;
mod alert_states;
mod backup;
mod bench;
mod changes;
mod consent;
mod data_map;
mod embedded;
mod erasure;
mod facts_order;
mod facts_slots;
mod facts_upsert;
mod isolation_matrix;
mod legacy;
mod legacy_text;
mod lint;
mod migrations;
mod outage;
mod policy_mutation;
mod privacy;
mod recall_rights;
mod recall_sql;
mod recall_steps;
mod scope;
mod tenancy;
mod triggers;
mod verify;
mod withdrawal;
mod world;

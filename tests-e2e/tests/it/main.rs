//! The built program `jarvis` from outside: commands, HTTP, signals, files.
//!
//! `make test` runs these. By hand: `cargo build -p jarvis`, then
//! `cargo xtask with-postgres -- cargo nextest run -p tests-e2e`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "the counts of the kills are worth reading")]

mod acts;
mod adopt;
mod auth_import;
mod backup;
mod bench;
mod brake;
mod browser;
mod changes;
mod churn;
mod cli;
mod clock;
mod connections;
mod costs;
mod data_api;
mod day;
mod device;
mod disk;
mod doctor;
mod embeddings;
mod fairness;
mod from_supabase;
mod gen_types;
mod gen_types_rust;
mod guide;
mod gyms;
mod import_visits;
mod injection;
mod kills;
mod latency;
mod legacy;
mod lint;
mod logs;
mod many;
mod nextjs;
mod outage;
mod privacy;
mod program;
mod provider;
mod realtime;
mod reports;
mod schema_fuzz;
mod server;
mod shutdown;
mod stored;
mod storm;
mod story;
mod supabase_js;
mod tenants;
mod traffic;
mod two_tools;
mod typescript;
mod up;
mod upgrade;
mod verdict;
mod watched;

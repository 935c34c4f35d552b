//! What every command understands.

use clap::Args;
use jarvis_observe::log::Format;
use secrecy::SecretString;
use std::path::PathBuf;

/// What every command understands.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Print data as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Your PostgreSQL, as postgres://user:password@host/database. Without it, commands talk to the database of a running `jarvis up` or `jarvis demo`
    #[arg(
        long,
        global = true,
        env = "DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub database_url: Option<SecretString>,
    /// The same database as its owner, for migrations and accounts; DATABASE_URL when absent
    #[arg(
        long,
        global = true,
        env = "JARVIS_ADMIN_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub admin_database_url: Option<SecretString>,
    /// Where the embedded PostgreSQL and the signing key live [default: /var/lib/jarvis as root, else ~/.local/share/jarvis]
    #[arg(long, global = true, env = "JARVIS_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// What to log, such as `info` or `jarvis=debug,warn`
    #[arg(long, global = true, env = "JARVIS_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// The form of log lines, json or text [default: text at a terminal and for commands that end, json for a server's log]
    #[arg(long, global = true, env = "JARVIS_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<Format>,
}

//! The database and the server that are measured.

use crate::commands::up;
use crate::connection::{self, Urls};
use crate::failure::WrongUse;
use crate::global::Global;
use crate::listening::Connections;
use crate::serving::{self, Serving, Settings};
use crate::signing;
use crate::watching::Watching;
use anyhow::Context as _;
use jarvis_db::bench::ground;
use jarvis_db::embedded::EmbeddedSettings;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// The cache of a PostgreSQL of the bench's own: what a server of a few GiB is usually given, for ours and for what it is
/// compared with.
pub const CACHE_MIB: u32 = 1024;

/// Where something is measured.
pub struct House<'a> {
    /// The database, migrated and without a gym.
    pub urls: &'a Urls,
    folder: &'a Path,
}

impl House<'_> {
    /// A server on a free port of this machine. No worker: what is measured is what a caller waits for.
    pub async fn serve(&self) -> anyhow::Result<Serving> {
        serving::start(&Settings {
            url: self.urls.login.clone(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            connections: Connections::default(),
            data_api: crate::data_api::DataApi::default(),
            signing_key: signing::default_path(self.folder),
            work: false,
            database_patience: Duration::ZERO,
            watching: Watching::default(),
            drain: Duration::ZERO,
            home: self.folder.to_owned(),
            disk: None,
        })
        .await
    }
}

/// Does `work` on the database that was given, which must hold no gym, else on a PostgreSQL of its own with that cache,
/// migrated and empty, which is removed afterwards.
pub async fn in_a_house<T>(
    global: &Global,
    cache_mib: u32,
    work: impl AsyncFnOnce(&House<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let folder = std::env::temp_dir().join(format!("jarvis-bench-{}", std::process::id()));
    if global.database_url.is_some() {
        let urls = connection::urls(global)?;
        // Says what is missing when it is not migrated.
        connection::db(&urls).await?.close().await;
        let mut admin = connection::admin(&urls).await?;
        if !ground::is_empty(&mut admin).await? {
            return Err(WrongUse(
                "the bench fills a database with made-up gyms, and this one is in use; give it an empty one after \
                 `jarvis migration up`, or leave out --database-url and DATABASE_URL: then it starts its own"
                    .to_owned(),
            )
            .into());
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let worked = until_interrupted(&urls, &folder, work).await;
        remove(&folder)?;
        return worked;
    }
    let house = up::start_postgres_as(&EmbeddedSettings {
        shared_buffers_mib: cache_mib,
        ..EmbeddedSettings::new(&folder)
    })
    .await?;
    let worked = until_interrupted(&house.urls, &folder, work).await;
    let stopped = house.stop().await;
    remove(&folder)?;
    stopped?;
    worked
}

async fn until_interrupted<T>(
    urls: &Urls,
    folder: &Path,
    work: impl AsyncFnOnce(&House<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let stop = serving::catch_signals()?;
    let house = House { urls, folder };
    tokio::select! {
        worked = work(&house) => worked,
        () = stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
    }
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    std::fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

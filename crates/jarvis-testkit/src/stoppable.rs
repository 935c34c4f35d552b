//! A PostgreSQL of one test's own, which the test stops and starts again.

use jarvis_db::embedded::{Embedded, EmbeddedError, EmbeddedSettings};
use secrecy::SecretString;
use std::path::Path;

/// A migrated PostgreSQL at a port that stays the same, stopped and started as the test wants. Ends with the value.
#[derive(Debug)]
pub struct StoppableServer {
    settings: EmbeddedSettings,
    admin_url: SecretString,
    login_url: SecretString,
    running: Option<Embedded>,
}

impl StoppableServer {
    /// Starts it with its data in `folder`, which is made.
    ///
    /// # Errors
    /// The server does not start, or cannot be migrated.
    pub async fn start(folder: &Path) -> Result<Self, EmbeddedError> {
        let settings = EmbeddedSettings {
            durable: false,
            ..EmbeddedSettings::new(folder)
        };
        let running = Embedded::start(&settings, &|_| {}).await?;
        let login_url = running.login_url().cloned();
        Ok(Self {
            admin_url: running.admin_url().clone(),
            login_url: login_url.expect("a server that was prepared has a login"),
            settings: EmbeddedSettings {
                port: Some(running.port()),
                ..settings
            },
            running: Some(running),
        })
    }

    /// Stops it, if it runs: every connection is ended.
    ///
    /// # Errors
    /// It does not stop.
    pub async fn stop(&mut self) -> Result<(), EmbeddedError> {
        match self.running.take() {
            Some(running) => running.stop().await,
            None => Ok(()),
        }
    }

    /// Starts it again, at the same port.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_again(&mut self) -> Result<(), EmbeddedError> {
        self.running = Some(Embedded::start(&self.settings, &|_| {}).await?);
        Ok(())
    }

    /// The superuser, in the database of JARVIS.
    pub fn admin_url(&self) -> &SecretString {
        &self.admin_url
    }

    /// The application's login, in the database of JARVIS.
    pub fn login_url(&self) -> &SecretString {
        &self.login_url
    }
}

//! A real browser.

use std::path::PathBuf;

/// Debian's browser. Only on a developer's machine a test may go without.
pub fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("chromium"))
        .find(|program| program.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "there is no chromium in the PATH"
        );
        println!("skipped: there is no chromium in the PATH; `make test` installs Debian's when root");
    }
    found
}

//! The throw-away server: it must leave nothing, whatever happens to whoever started it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use jarvis_core::Purpose;
use jarvis_testkit::TestDb;
use sqlx::Connection;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs `script` by the program under test, in a temporary folder of its own that the server's files go to.
fn with_postgres(folder: &PathBuf, script: &str) -> Command {
    fs::create_dir_all(folder).unwrap();
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_with-postgres"));
    command
        .args(["--", "sh", "-c", script])
        .env("TMPDIR", folder)
        .stdin(Stdio::null());
    command
}

fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("jarvis-testkit-{}", uuid::Uuid::now_v7()))
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_commands_exit_code_is_kept_and_no_file_is() {
    let folder = folder();
    let output = with_postgres(&folder, "echo \"$JARVIS_TEST_DATABASE_URL\"; exit 7")
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(7),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.stdout.starts_with(b"postgres://"));
    fs::remove_dir(&folder).unwrap();
}

#[test]
fn a_command_that_does_not_exist_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_with-postgres"))
        .arg("no-such-program")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-program"));
    assert_eq!(
        Command::new(env!("CARGO_BIN_EXE_with-postgres"))
            .status()
            .unwrap()
            .code(),
        Some(2)
    );
}

#[test]
fn a_killed_run_leaves_neither_a_server_nor_files() {
    let folder = folder();
    let ready = folder.join("ready");
    let script = format!(
        "echo \"$JARVIS_TEST_DATABASE_URL\" > {0}.part; mv {0}.part {0}; sleep 1",
        ready.display()
    );
    let mut run = with_postgres(&folder, &script).spawn().unwrap();
    wait_until("the command does not start", || ready.exists());
    let url = fs::read_to_string(&ready).unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    fs::remove_file(&ready).unwrap();
    wait_until("the server's files stay", || fs::remove_dir(&folder).is_ok());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    assert!(runtime.block_on(sqlx::PgConnection::connect(url.trim())).is_err());
}

#[tokio::test]
async fn a_test_database_is_migrated_seeded_and_gone_afterwards() {
    let other = TestDb::new().await;
    let test = TestDb::new().await;
    let gym = test.seed_gym("Lyon").await;
    let member = test.seed_member(gym, "B-001", "Alice", &[Purpose::Memory]).await;
    let agreed: Vec<bool> = sqlx::query_scalar(
        "select jarvis.has_consent($1, $2, purpose) from unnest(array['memory', 'health_memory']) as purpose",
    )
    .bind(gym.as_uuid())
    .bind(member.as_uuid())
    .fetch_all(test.admin_pool())
    .await
    .unwrap();
    assert_eq!(agreed, [true, false]);
    let gyms: i64 = sqlx::query_scalar("select count(*) from public.gyms")
        .fetch_one(other.admin_pool())
        .await
        .unwrap();
    assert_eq!(gyms, 0);

    let name = test.name().to_owned();
    drop(test);
    let left: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(name)
        .fetch_one(other.admin_pool())
        .await
        .unwrap();
    assert!(!left);
}

//! `jarvis report`: every number comes from the statement beside it, and the page prints on two sheets.

use crate::browser::browser;
use crate::gyms;
use crate::program::{Program, text};
use jarvis_testkit::TestDb;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// A gym with 30 members, visits on every day of two weeks, alerts and conversations.
async fn lively(db: &TestDb, program: &Program) -> String {
    let gym = gyms::gym(program, "lyon").await;
    sqlx::query(
        "insert into public.gym_members_v2 (gym_id, badge_id, first_name, last_name, member_since, created_at)
         select $1::uuid, 'B' || i, 'Prénom' || i, 'Nom' || i, date '2026-02-01' + i, '2026-02-01T00:00:00Z'
           from generate_series(1, 30) i",
    )
    .bind(&gym)
    .execute(db.admin_pool())
    .await
    .unwrap();
    let mut visits = String::from("badge;date;heure\n");
    for day in 1..=14 {
        for member in 1..=(day * 2) {
            let _ = writeln!(visits, "B{member};{day:02}/03/2026;18:{member:02}");
        }
    }
    let file = program.folder().join("visits.csv");
    std::fs::write(&file, visits).unwrap();
    let file = file.display().to_string();
    let imported = program
        .run(&["import", "visits", &file, "--gym", "lyon", "--yes"])
        .await;
    assert_eq!(imported.code, 0, "{imported:?}");
    sqlx::query(
        "insert into public.manager_alerts (gym_id, alert_type, priority, title, created_at)
         select $1::uuid, 'negative_feedback', case when i < 3 then 'urgent' else 'low' end, 'Avis', '2026-03-10T10:00:00Z'
           from generate_series(1, 4) i",
    )
    .bind(&gym)
    .execute(db.admin_pool())
    .await
    .unwrap();
    gym
}

/// The statements of `--format sql`, by name, with the settings in the place of their variables.
fn statements(script: &str) -> Vec<(String, String)> {
    let mut parts = script.split("\n\n-- ");
    let settings: Vec<(String, String)> = parts
        .next()
        .unwrap()
        .lines()
        .map(|line| {
            let (name, value) = line.strip_prefix("\\set ").unwrap().split_once(' ').unwrap();
            (format!(":'{name}'"), value.to_owned())
        })
        .collect();
    parts
        .map(|part| {
            let (key, sql) = part.split_once('\n').unwrap();
            let mut sql = sql.to_owned();
            for (variable, value) in &settings {
                sql = sql.replace(variable, value);
            }
            (key.to_owned(), sql)
        })
        .collect()
}

#[tokio::test]
async fn every_number_is_given_again_by_the_statement_beside_it() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    lively(&db, &program).await;
    let mut told = 0;
    for kind in [
        "daily_summary",
        "weekly_digest",
        "monthly_analysis",
        "churn_forecast",
        "member_satisfaction",
    ] {
        let run = ["report", "run", kind, "--gym", "lyon", "--of", "2026-03-10"];
        let report = program.json(&[&run[..], &["--dry-run"]].concat()).await;
        let as_of = text(&report, "/as_of");
        let again = [&run[..], &["--dry-run", "--as-of", &as_of, "--format", "sql"]].concat();
        let script = program.run(&again).await.stdout;
        let found = statements(&script);
        for (key, sql) in &found {
            let rows = sqlx::query_as::<_, (Value,)>(AssertSqlSafe(format!(
                "select to_jsonb(s) from ({}) s",
                sql.trim().trim_end_matches(';')
            )))
            .fetch_all(db.admin_pool())
            .await
            .unwrap_or_else(|error| panic!("{kind} {key}: {error}\n{sql}"));
            let of = |list: &str| {
                report[list]
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|each| each["key"] == key.as_str())
                    .cloned()
            };
            if let Some(figure) = of("figures") {
                let (is, told) = (rows[0].0["value"].as_f64(), figure["value"].as_f64());
                let close = match (is, told) {
                    (Some(is), Some(told)) => (is - told).abs() < 1e-6,
                    (is, told) => is == told,
                };
                assert!(close, "{kind} {key}: {is:?} and {told:?}");
                assert_eq!(rows[0].0["n"], figure["n"], "{kind} {key}");
            } else {
                let chart = of("charts").unwrap_or_else(|| panic!("{kind} has no {key}"));
                // JSON writes a bar of seven as 7 here and as 7.0 there.
                let bars = |bars: Vec<Value>| -> Vec<_> {
                    let bar = |bar: Value| (text(&bar, "/label"), bar["value"].as_f64());
                    bars.into_iter().map(bar).collect()
                };
                let counted = bars(rows.into_iter().map(|row| row.0).collect());
                assert_eq!(
                    bars(chart["bars"].as_array().unwrap().clone()),
                    counted,
                    "{kind} {key}"
                );
            }
            told += 1;
        }
        let wanted = report["figures"].as_array().unwrap().len() + report["charts"].as_array().unwrap().len();
        assert_eq!(found.len(), wanted, "{kind}");
    }
    assert!(told > 50, "{told}");
}

#[tokio::test]
async fn a_week_is_counted_in_the_zone_of_the_gym_compared_and_kept_once() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    lively(&db, &program).await;
    gyms::gym(&program, "paris").await;
    let run = [
        "report",
        "run",
        "weekly_digest",
        "--gym",
        "lyon",
        "--of",
        "2026-03-10",
    ];
    let report = program.json(&run).await;
    // Monday 9 to Saturday 14 March: 18 + 20 + … + 28; the week before (2 to 8): 4 + 6 + … + 16.
    let visits = &report["figures"][0];
    assert_eq!(
        (&visits["key"], visits["value"].as_f64()),
        (&Value::from("visits"), Some(138.0))
    );
    assert_eq!(visits["before"]["value"].as_f64(), Some(70.0));
    assert_eq!(report["from"], "2026-03-08T23:00:00Z");
    let as_of = text(&report, "/as_of");

    let again = [&run[..], &["--as-of", &as_of, "--lang", "fr"]].concat();
    let (first, second) = (program.run(&again).await, program.run(&again).await);
    assert_eq!(
        first.stdout, second.stdout,
        "the same moment gives the same bytes"
    );
    for said in [
        "du 9 mars 2026 au 15 mars 2026",
        "+97",
        "en hausse, après 70",
        "Alertes ouvertes de priorité haute ou urgente : 2",
    ] {
        assert!(first.stdout.contains(said), "{said}\n{}", first.stdout);
    }
    assert!(
        first.stdout.contains("pas encore d'analyses des membres"),
        "{}",
        first.stdout
    );

    let kept = program.json(&["report", "list", "--gym", "lyon"]).await;
    assert_eq!(kept.as_array().unwrap().len(), 1, "{kept:#}");
    let id = text(&kept, "/0/id");
    let shown = program
        .run(&["report", "show", &id, "--gym", "lyon", "--lang", "fr"])
        .await;
    assert_eq!(shown.stdout, first.stdout);
    let stranger = program.run(&["report", "show", &id, "--gym", "paris"]).await;
    assert_eq!(stranger.code, 2, "{stranger:?}");
    let out = program
        .run(&[
            "report",
            "show",
            &id,
            "--gym",
            "lyon",
            "--lang",
            "en",
            "--shareable",
        ])
        .await;
    assert!(
        out.stdout.contains("| Alerts raised | <5 | <5 |"),
        "{}",
        out.stdout
    );
}

#[tokio::test]
async fn nothing_is_kept_of_what_is_refused() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    gyms::gym(&program, "lyon").await;
    for refused in [
        &["--of", "2199-01-01"][..],
        &["--shareable", "--format", "sql"],
        &["--shareable", "--json"],
        &["--json", "--format", "html"],
        &["--as-of", "1969-12-31T00:00:00Z"],
        &["--as-of", "2199-01-01T00:00:00Z"],
    ] {
        let run = [&["report", "run", "daily_summary", "--gym", "lyon"], refused].concat();
        assert_eq!(program.run(&run).await.code, 2, "{refused:?}");
    }
    let kept = program.json(&["report", "list", "--gym", "lyon"]).await;
    assert_eq!(kept.as_array().unwrap().len(), 0, "{kept:#}");
}

#[tokio::test]
async fn a_gym_where_nothing_happened_and_old_analytics_are_told() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let gym = gyms::gym(&program, "lyon").await;
    let run = [
        "report",
        "run",
        "weekly_digest",
        "--gym",
        "lyon",
        "--of",
        "2026-03-10",
        "--lang",
        "en",
    ];
    let silent = program.run(&run).await.stdout;
    for said in [
        "Nothing was recorded in this period",
        "Check that everything is connected",
        "There are no analytics of the members",
    ] {
        assert!(silent.contains(said), "{said}\n{silent}");
    }
    // A report that counts no visits does not say that there were none.
    let run_other = [
        "report",
        "run",
        "member_satisfaction",
        "--gym",
        "lyon",
        "--of",
        "2026-03-10",
        "--lang",
        "en",
    ];
    let satisfaction = program.run(&run_other).await.stdout;
    assert!(satisfaction.contains("Conversations: 0"), "{satisfaction}");
    assert!(!satisfaction.contains("no visit"), "{satisfaction}");
    let member = gyms::member(&program, "lyon", "B1", "Léa", "").await;
    sqlx::query(
        "insert into public.member_analytics (gym_id, member_id, updated_at)
         values ($1::uuid, $2::uuid, now() - interval '3 days')",
    )
    .bind(&gym)
    .bind(&member)
    .execute(db.admin_pool())
    .await
    .unwrap();
    let stale = program.run(&run).await.stdout;
    assert!(
        stale.contains("3 days ago: risk and engagement are as of then"),
        "{stale}"
    );
}

/// How many sheets a browser prints the page on.
fn sheets(browser: &Path, page: &Path) -> usize {
    let pdf = page.with_extension("pdf");
    let ended = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-pdf-header-footer",
        ])
        .arg(format!(
            "--user-data-dir={}",
            page.with_extension("profile").display()
        ))
        .arg(format!("--print-to-pdf={}", pdf.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    assert!(pdf.is_file(), "{ended:?}");
    let bytes = std::fs::read(&pdf).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    text.matches("/Type /Page\n").count()
}

#[tokio::test]
async fn the_page_prints_on_two_sheets_in_both_languages() {
    let Some(browser) = browser() else { return };
    let db = TestDb::new().await;
    let program = Program::on(&db);
    lively(&db, &program).await;
    for kind in ["weekly_digest", "monthly_analysis", "daily_summary"] {
        for lang in ["fr", "en"] {
            let page = program.folder().join(format!("{kind}.{lang}.html"));
            let file = page.display().to_string();
            let ended = program
                .run(&[
                    "report",
                    "run",
                    kind,
                    "--gym",
                    "lyon",
                    "--of",
                    "2026-03-10",
                    "--lang",
                    lang,
                    "--format",
                    "html",
                    "--out",
                    &file,
                ])
                .await;
            assert_eq!(ended.code, 0, "{ended:?}");
            assert_eq!(sheets(&browser, &page), 2, "{kind} {lang}");
        }
    }
}

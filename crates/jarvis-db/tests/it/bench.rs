use jarvis_db::bench::recall::{Settings, run};
use jarvis_testkit::TestDb;

fn settings() -> Settings {
    Settings {
        summaries: 240,
        members: 12,
        clients: 2,
        questions: 24,
        seconds: 1,
        seed: 1,
    }
}

/// Sizes are tiny: what is found is asserted, not how fast.
#[tokio::test]
async fn our_recall_finds_all_that_the_exact_answer_holds_and_the_guides_design_runs_beside_it() {
    let db = TestDb::new().await;
    let report = run(db.url(), &settings(), &|_| {}).await.unwrap();
    assert!(report.rows >= 240);
    assert!((report.ours.recall_at_5 - 1.0).abs() < 1e-9, "{:?}", report.ours);
    assert!(report.ours.empty.abs() < 1e-9);
    let asked: usize = report.ours.buckets.values().map(|b| b.questions).sum();
    assert_eq!(asked, 24);
    assert!(
        (0.0..=1.0).contains(&report.guide.recall_at_5),
        "{:?}",
        report.guide
    );
    for times in [
        report.ours.times,
        report.guide.times,
        report.round_trip,
        report.dot_products,
    ] {
        assert!(times.calls > 0 && times.p50_ms > 0.0 && times.p50_ms <= times.p99_ms);
    }
    assert!(report.qps_ratio.is_finite() && report.qps_ratio > 0.0);
    for name in ["server_version", "fsync", "pgvector"] {
        assert!(report.postgresql.contains_key(name), "{name}");
    }
}

//! Gyms that are made up, and what scores would have been worth in their past.

use crate::program::Program;
use serde_json::json;
use std::path::Path;

/// The pages of the figures are those that the program measures.
#[tokio::test]
async fn the_page_of_the_figures_is_what_the_backtest_measures() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let program = Program::without_database();
    for name in ["churn.md", "churn.fr.md"] {
        std::fs::copy(docs.join(name), program.folder().join(name)).unwrap();
    }
    let ended = program
        .run(&["churn", "backtest", "--seeds", "10", "--page", "."])
        .await;
    assert_eq!(ended.code, 0, "the median is below a bar: {ended:?}");
    for name in ["churn.md", "churn.fr.md"] {
        let (written, kept) = (program.folder().join(name), docs.join(name));
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert!(
            read(&written) == read(&kept),
            "docs/{name} is old: `jarvis churn backtest --seeds 10 --page docs` writes it"
        );
    }
}

#[tokio::test]
async fn a_seed_makes_the_same_file_and_a_file_is_judged_gym_by_gym() {
    let program = Program::without_database();
    let simulate = |output: &'static str| {
        let arguments = [
            "simulate",
            "--gyms",
            "2",
            "--members",
            "200",
            "--days",
            "365",
            "--seed",
            "5",
            "--output",
            output,
        ];
        let program = &program;
        async move { program.json(&arguments).await }
    };
    let made = simulate("a.ndjson").await;
    assert_eq!(made, simulate("b.ndjson").await);
    assert_eq!(made["gyms"], 2);
    let read = |name: &str| std::fs::read(program.folder().join(name)).unwrap();
    assert_eq!(read("a.ndjson"), read("b.ndjson"));
    let ended = program
        .run(&["churn", "backtest", "a.ndjson", "--lang", "en"])
        .await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("Gym 1: 12 days tested") && ended.stdout.contains("Gym 2: "));
    assert!(ended.stdout.contains("| MBG/NBD | 0."), "{ended:?}");
    let judged = program.json(&["churn", "backtest", "a.ndjson"]).await;
    assert_eq!(judged["1"]["verdict"], "holds");
}

#[tokio::test]
async fn under_twenty_exits_there_is_no_auc_and_the_exit_code_is_3() {
    let program = Program::without_database();
    program
        .json(&[
            "simulate",
            "--members",
            "20",
            "--days",
            "365",
            "--output",
            "small.ndjson",
        ])
        .await;
    let ended = program
        .run(&["churn", "backtest", "small.ndjson", "--lang", "fr"])
        .await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stdout.contains("données insuffisantes") && !ended.stdout.contains("AUC de map"));
    let ended = program
        .run(&["churn", "backtest", "small.ndjson", "--json"])
        .await;
    assert_eq!(ended.code, 3);
    let report = &ended.json()["1"];
    assert_eq!(report["verdict"], "too_few_exits");
    assert_eq!(report["judged"][4]["auc"], json!(null));
}

#[tokio::test]
async fn a_file_that_is_no_list_of_members_is_refused_with_its_line() {
    let program = Program::without_database();
    let file = program.folder().join("bad.ndjson");
    std::fs::write(&file, "\n{\"gym\": 1, \"joined\": \"hier\"}\n").unwrap();
    let ended = program.run(&["churn", "backtest", "bad.ndjson"]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("bad.ndjson, line 2: "), "{ended:?}");
    std::fs::write(&file, "").unwrap();
    let ended = program.run(&["churn", "backtest", "bad.ndjson"]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("has no member"), "{ended:?}");
}

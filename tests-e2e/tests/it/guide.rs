//! The TypeScript of the predecessor's guide runs against the program as it stands there: only environment variables change.

use crate::device::Caller;
use crate::gyms::{self, EVERYTHING, GOAL};
use crate::program::{Folder, Program, fetched, text};
use crate::server::Server;
use jarvis_testkit::{Answer, FakeOpenAi, FakeOptions, TestDb};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

const EMAIL: &str = "claire@example.org";
/// As another project kept it: bcrypt, of this.
const PASSWORD: &str = "correct horse battery";

/// The guide, where it is beside the project.
fn guide() -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/source/jarvis-database-guide.md");
    if !path.exists() {
        println!("skipped: the guide is not beside the project");
        return None;
    }
    Some(std::fs::read_to_string(path).unwrap())
}

/// The code block in TypeScript that follows `before`.
fn block<'a>(guide: &'a str, before: &str) -> &'a str {
    let (_, rest) = guide.split_once(before).expect(before);
    let (_, rest) = rest.split_once("```typescript\n").unwrap();
    rest.split_once("```").unwrap().0
}

/// The guide's files, and the two clients that it imports and does not show.
fn write_files(guide: &str, folder: &Path) {
    let lib = folder.join("src/lib");
    std::fs::create_dir_all(&lib).unwrap();
    for name in ["rag-context.ts", "member-facts.ts"] {
        std::fs::write(lib.join(name), block(guide, &format!("`src/lib/{name}`"))).unwrap();
    }
    // The first query of this block is a statement that needs a member; the second is that of rag-context.ts.
    let (query, _) = block(guide, "### 2. **Queries Supabase**")
        .split_once("// Recherche RAG")
        .unwrap();
    let read = format!(
        "import {{ supabase }} from '@/lib/supabase'\n\
         export async function read(memberId: string) {{\n{query}\nreturn member\n}}\n"
    );
    std::fs::write(lib.join("queries.ts"), read).unwrap();
    let openai = "import OpenAI from 'openai'\nexport const openai = new OpenAI({ maxRetries: 0 })\n";
    std::fs::write(lib.join("openai.ts"), openai).unwrap();
    let supabase = "import { createClient } from '@supabase/supabase-js'\n\
         const { NEXT_PUBLIC_SUPABASE_URL: url, NEXT_PUBLIC_SUPABASE_ANON_KEY: key } = process.env\n\
         export const supabase = createClient(url!, key!)\n";
    std::fs::write(lib.join("supabase.ts"), supabase).unwrap();
}

/// A gym whose server is told where its provider is, if anywhere, and one conversation that its worker summed up.
struct Stage {
    db: TestDb,
    server: Server,
    kiosk: Caller,
    anon: String,
    member: String,
    session: String,
    summary: String,
}

impl Stage {
    async fn new(provider: Option<&FakeOpenAi>) -> Self {
        let db = TestDb::new().await;
        let mut program = Program::on(&db);
        let mut add = vec!["gym", "add", "Salle lyon", "--slug", "lyon"];
        if let Some(fake) = provider {
            program.set("JARVIS_EMBEDDINGS", "openai");
            program.set("JARVIS_OPENAI_BASE_URL", &fake.base_url());
            program.set("JARVIS_OPENAI_API_KEY", "sk-any");
            add.push("--external-models");
        }
        program.json(&add).await;
        let member = gyms::member(&program, "lyon", "BADGE_001", "Sophie", EVERYTHING).await;
        gyms::person(&program, EMAIL, "gym_manager", &["lyon"]).await;
        sqlx::query("update auth.users set encrypted_password = $1 where email = $2")
            .bind(bcrypt::hash(PASSWORD, 10).unwrap())
            .bind(EMAIL)
            .execute(db.admin_pool())
            .await
            .unwrap();
        let server = Server::serve(&program).await;
        let anon = text(&program.json(&["keys"]).await, "/anon_key");
        let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
        let session = text(&kiosk.open("BADGE_001").await, "/session_id");
        kiosk.say(&session, &[GOAL]).await;
        kiosk.close(&session).await;
        let done = kiosk.processed(&session).await;
        assert_eq!(done["state"], "processed", "{done}");
        let summary: String = sqlx::query_scalar("select summary_text from public.conversation_summaries")
            .fetch_one(db.admin_pool())
            .await
            .unwrap();
        Self {
            db,
            server,
            kiosk,
            anon,
            member,
            session,
            summary,
        }
    }

    /// Runs the guide's files with these variables beside those of every run.
    async fn run(&self, guide: &str, variables: &[(&str, &str)]) -> Option<Value> {
        let (node, packages) = (fetched("JARVIS_NODE")?, fetched("JARVIS_NODE_MODULES")?);
        let folder = Folder::new();
        write_files(guide, folder.path());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("node/guide.mjs");
        std::fs::copy(script, folder.path().join("guide.mjs")).unwrap();
        std::os::unix::fs::symlink(packages, folder.path().join("node_modules")).unwrap();
        let output = Command::new(node)
            .arg("guide.mjs")
            .env_clear()
            .env(
                "NEXT_PUBLIC_SUPABASE_URL",
                format!("http://{}", self.server.address),
            )
            .env("NEXT_PUBLIC_SUPABASE_ANON_KEY", &self.anon)
            .envs([("EMAIL", EMAIL), ("PASSWORD", PASSWORD), ("MEMBER", &self.member)])
            .envs(variables.iter().copied())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(Duration::from_mins(2), output)
            .await
            .expect("the script ends")
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["sign_in"], Value::Null, "{told:#}");
        assert_eq!(told["member"]["first_name"], "Sophie", "{told:#}");
        assert!(told["member"]["preferences"].is_object(), "{told:#}");
        Some(told)
    }

    fn has_summary(&self, told: &Value) -> bool {
        let context = told["context"].as_str().unwrap_or_default();
        context.lines().any(|line| line.ends_with(&self.summary))
    }
}

/// What a model would have found, and the guide's function stores.
fn found() -> Answer {
    Answer::Json(json!({ "facts": [{
        "category": "preference", "fact_key": "music", "fact_value": { "style": "jazz" }, "confidence": 0.9
    }] }))
}

#[tokio::test]
async fn the_guides_files_run_with_the_local_model() {
    let Some(guide) = guide() else { return };
    let stage = Stage::new(None).await;
    let url = format!("http://{}/v1", stage.server.address);
    let variables = [
        ("OPENAI_BASE_URL", url.as_str()),
        ("OPENAI_API_KEY", stage.kiosk.token.as_str()),
        ("QUESTION", "quel est mon objectif de perte de poids ?"),
    ];
    let Some(told) = stage.run(&guide, &variables).await else {
        return;
    };
    assert!(stage.has_summary(&told), "{told:#} without {}", stage.summary);
}

#[tokio::test]
async fn the_guides_files_run_with_a_provider() {
    let Some(guide) = guide() else { return };
    let fake = FakeOpenAi::start(FakeOptions::default()).await.unwrap();
    let stage = Stage::new(Some(&fake)).await;
    for _ in ["once", "again"] {
        fake.answer("json_object", found());
    }
    let url = fake.base_url();
    let variables = [
        ("OPENAI_BASE_URL", url.as_str()),
        ("OPENAI_API_KEY", "sk-any"),
        // The fake's vectors are near for equal texts alone.
        ("QUESTION", stage.summary.as_str()),
        ("SESSION", stage.session.as_str()),
        ("TRANSCRIPT", "J'aime m'entraîner avec du jazz"),
    ];
    let Some(told) = stage.run(&guide, &variables).await else {
        return;
    };
    assert!(stage.has_summary(&told), "{told:#} without {}", stage.summary);
    let music = json!({ "category": "preference", "fact_key": "music", "fact_value": { "style": "jazz" }, "confidence": 0.9 });
    let facts = told["facts"].as_array().unwrap_or_else(|| panic!("{told:#}"));
    assert_eq!(facts.iter().filter(|fact| **fact == music).count(), 1, "{told:#}");
    let source: Option<String> =
        sqlx::query_scalar("select source_session_id from public.member_facts where fact_key = 'music'")
            .fetch_one(stage.db.admin_pool())
            .await
            .unwrap();
    assert_eq!(source.as_deref(), Some(stage.session.as_str()));
}

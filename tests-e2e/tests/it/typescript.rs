//! `clients/typescript`: it compiles, its types are those of the schema and of the API, and all of it works against the
//! program, by the npm scripts of the predecessor's guide.

use crate::gyms;
use crate::program::{Folder, Program, fetched, path, text};
use crate::server::Server;
use jarvis_testkit::TestDb;
use secrecy::ExposeSecret as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long a script of npm may take on a busy machine.
const SCRIPT: Duration = Duration::from_mins(3);

/// A copy of folders of this checkout, with the packages that their lock files name.
pub struct Checkout {
    folder: Folder,
    /// The folder of the programs `node` and `npm`.
    node: PathBuf,
}

impl Checkout {
    /// Of each folder, and the variable of its packages if it needs any; nothing where they are not fetched.
    pub fn of(folders: &[(&str, Option<&str>)]) -> Option<Self> {
        let node = fetched("JARVIS_NODE")?;
        let packages: Option<Vec<_>> = folders
            .iter()
            .filter_map(|(folder, variable)| variable.map(|variable| (folder, variable)))
            .map(|(folder, variable)| Some((*folder, fetched(variable)?)))
            .collect();
        let copy = Folder::new();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for (folder, _) in folders {
            copy_tree(&source.join(folder), &copy.path().join(folder));
        }
        for (folder, modules) in packages? {
            link_tree(&modules, &copy.path().join(folder).join("node_modules"));
        }
        Some(Self {
            folder: copy,
            node: node.parent().expect("a program is in a folder").to_owned(),
        })
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// A program of Node's in a folder, with these variables and no others.
    pub fn node(&self, folder: &str, program: &Path, variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(self.node.join("node"));
        command
            .arg(program)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.node.display()))
            .env("HOME", self.folder.path())
            .env("NO_COLOR", "1")
            .envs(variables.iter().copied())
            .current_dir(self.path(folder))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a script of `package.json`, which must succeed; what it printed.
    pub async fn script(&self, folder: &str, script: &[&str], variables: &[(&str, &str)]) -> String {
        let npm = self.node.join("../lib/node_modules/npm/bin/npm-cli.js");
        let mut command = self.node(folder, &npm, variables);
        let output = command.args(["run", "--silent"]).args(script).output();
        let output = tokio::time::timeout(SCRIPT, output)
            .await
            .expect("the script ends")
            .unwrap();
        let (printed, told) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "npm run {script:?}:\n{printed}\n{told}");
        printed.into_owned()
    }
}

/// Copies what somebody wrote, not what was made of it.
fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if name == "node_modules" || name == ".next" || name.to_string_lossy().starts_with(".env.") {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &to.join(name));
        } else {
            std::fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

/// The same files in another place, without their bytes where the file system allows it. A symbolic link to the folder would
/// lead out of the application, which Next refuses.
fn link_tree(from: &Path, to: &Path) {
    let copied = ["-al", "-a"].iter().any(|how| {
        drop(std::fs::remove_dir_all(to));
        let copied = std::process::Command::new("cp")
            .arg(how)
            .arg(from)
            .arg(to)
            .stderr(Stdio::null())
            .status();
        copied.is_ok_and(|status| status.success())
    });
    assert!(copied, "{} can be copied", from.display());
}

const CLIENT: &str = "clients/typescript";

fn client() -> Option<Checkout> {
    Checkout::of(&[(CLIENT, Some("JARVIS_CLIENT_MODULES")), ("docs", None)])
}

#[tokio::test]
async fn the_client_compiles_and_its_types_are_those_of_the_schema_and_the_api() {
    let Some(checkout) = client() else {
        return;
    };
    let db = TestDb::new().await;
    let program = path().display().to_string();
    let variables = [
        ("JARVIS_BIN", program.as_str()),
        ("DATABASE_URL", db.url().expose_secret()),
    ];
    if std::env::var_os("JARVIS_UPDATE").is_some() {
        for (script, file) in [
            ("supabase:types", "src/database.types.ts"),
            ("api:types", "src/api.types.ts"),
        ] {
            checkout.script(CLIENT, &[script], &variables).await;
            let written = checkout.path(CLIENT).join(file);
            let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(CLIENT);
            std::fs::copy(written, committed.join(file)).unwrap();
        }
    }
    checkout.script(CLIENT, &["check"], &[]).await;
    checkout.script(CLIENT, &["test"], &[]).await;
    let types = checkout.path(CLIENT).join("src/database.types.ts");
    let committed = std::fs::read_to_string(&types).unwrap();
    checkout.script(CLIENT, &["supabase:types"], &variables).await;
    assert!(
        std::fs::read_to_string(&types).unwrap() == committed,
        "clients/typescript/src/database.types.ts is of another schema: write it again with `npm run supabase:types`, or this test \
         with JARVIS_UPDATE=1"
    );
    let listed = checkout
        .script(CLIENT, &["supabase:migration", "list"], &variables)
        .await;
    assert!(listed.contains("create_core_tables"), "{listed}");
}

#[tokio::test]
async fn the_client_does_all_it_offers_against_the_program() {
    let Some(checkout) = client() else {
        return;
    };
    let db = TestDb::new().await;
    let program = Program::on(&db);
    for gym in ["lyon", "paris"] {
        gyms::gym(&program, gym).await;
        gyms::member(&program, gym, "BADGE_001", "Sophie", gyms::EVERYTHING).await;
    }
    sqlx::query(
        "insert into public.member_fitness_profile (member_id, gym_id, fitness_level)
         select id, gym_id, 'advanced' from public.gym_members_v2",
    )
    .execute(db.admin_pool())
    .await
    .unwrap();
    let email = "claire@example.org";
    let password = gyms::person(&program, email, "gym_manager", &["lyon"]).await;
    let server = Server::serve(&program).await;
    let url = format!("http://{}", server.address);
    let anon = text(&program.json(&["keys"]).await, "/anon_key");
    let kiosk = ["kiosk", "add", "Accueil", "--slug", "accueil", "--gym", "lyon"];
    let code = text(&program.json(&kiosk).await, "/pairing_code");
    let variables = [
        ("NEXT_PUBLIC_SUPABASE_URL", url.as_str()),
        ("NEXT_PUBLIC_SUPABASE_ANON_KEY", &anon),
        ("KIOSK_CODE", &code),
        ("BADGE", "BADGE_001"),
        ("EMAIL", email),
        ("PASSWORD", &password),
    ];
    checkout.script(CLIENT, &["test:api"], &variables).await;
}

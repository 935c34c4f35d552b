//! Every command line of the documentation is one that the program takes.

use crate::cli::Cli;
use clap::Parser as _;
use clap::error::ErrorKind;
use std::path::PathBuf;

/// The pages of the repository that show commands.
fn pages() -> Vec<PathBuf> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let entries = [root.join("docs"), root].into_iter().flat_map(|folder| {
        let entries = std::fs::read_dir(&folder).expect("the folder is there");
        entries.map(|entry| entry.expect("it can be listed").path())
    });
    let mut pages: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|ext| ext == "md"))
        .collect();
    pages.sort();
    pages
}

/// The lines of the ```sh blocks, continued lines joined.
fn shell_lines(page: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let (mut inside, mut continued) = (false, false);
    for line in page.lines() {
        if let Some(fence) = line.trim_start().strip_prefix("```") {
            inside = !inside && ["sh", "bash", "console"].contains(&fence.trim());
            continue;
        }
        if !inside {
            continue;
        }
        let (text, goes_on) = line.strip_suffix('\\').map_or((line, false), |text| (text, true));
        match lines.last_mut().filter(|_| continued) {
            Some(last) => last.push_str(text.trim_start()),
            None => lines.push(text.trim_start().to_owned()),
        }
        continued = goes_on;
    }
    lines
}

/// The simple commands of a line, as words: quotes are taken off, comments and redirections left out.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let (mut word, mut begun, mut quote) = (String::new(), false, None);
    for letter in line.chars().chain([' ']) {
        match (quote, letter) {
            (Some(end), _) if letter == end => quote = None,
            (Some(_), _) => word.push(letter),
            (None, '\'' | '"') => (quote, begun) = (Some(letter), true),
            (None, '#') if !begun => break,
            (None, ' ' | '\t' | '&' | '|' | ';') => {
                if begun {
                    commands
                        .last_mut()
                        .expect("one is begun")
                        .push(std::mem::take(&mut word));
                    begun = false;
                }
                if !letter.is_whitespace() {
                    commands.push(Vec::new());
                }
            }
            (None, _) => {
                word.push(letter);
                begun = true;
            }
        }
    }
    if begun {
        commands.last_mut().expect("one is begun").push(word);
    }
    commands.retain(|words| !words.is_empty());
    commands
}

/// The words of a call of the program: from its name on, up to a redirection.
fn call(words: &[String]) -> Option<Vec<String>> {
    let mut rest = words;
    loop {
        let (first, others) = rest.split_first()?;
        let assignment = first.split_once('=').is_some_and(|(name, _)| {
            name.chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        });
        if !assignment && (first == "jarvis" || first.ends_with("/jarvis")) {
            let arguments = others
                .iter()
                .take_while(|word| !word.contains(['>', '<']) || word.starts_with("postgres"));
            return Some([vec!["jarvis".to_owned()], arguments.cloned().collect()].concat());
        }
        rest = match first.as_str() {
            "sudo" | "env" | "exec" | "time" => others,
            "-u" | "-g" => others.get(1..)?,
            _ if assignment || (first.starts_with('-') && words[0] == "sudo") => others,
            _ => return None,
        };
    }
}

/// What stands for something in a page, as something of its kind.
fn filled(word: &str) -> String {
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    match word {
        "N" | "MB" => "1".to_owned(),
        "KIOSK" | "BORNE" | "FACT" | "FAIT" | "ID" => id.to_owned(),
        _ => word.to_owned(),
    }
}

#[test]
fn every_command_line_of_the_documentation_is_understood() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page is text");
        let lines = shell_lines(&text);
        for words in lines
            .iter()
            .flat_map(|line| commands(line))
            .filter_map(|words| call(&words))
        {
            seen += 1;
            let words: Vec<_> = words.iter().map(|word| filled(word)).collect();
            let shown = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion];
            if let Some(error) = Cli::try_parse_from(&words)
                .err()
                .filter(|error| !shown.contains(&error.kind()))
            {
                wrong.push(format!("{}: {}\n{error}", page.display(), words.join(" ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 40, "only {seen} calls of the program were found");
}

#[test]
fn a_call_is_found_behind_variables_sudo_and_other_commands() {
    let found = |line: &str| {
        commands(line)
            .iter()
            .filter_map(|words| call(words))
            .collect::<Vec<_>>()
    };
    let gyms = [["jarvis", "gym", "list"].map(str::to_owned).to_vec()];
    for line in [
        "jarvis gym list",
        "DATABASE_URL=$X jarvis gym list   # all of them",
        "sudo -u jarvis env JARVIS_DATA_DIR=/var/lib/jarvis jarvis gym list",
        "target/release/jarvis gym 'list' > gyms.txt",
        "cd /opt && jarvis gym list | less",
    ] {
        assert_eq!(found(line), gyms, "{line}");
    }
    assert_eq!(found("jarvis member add B \"Sophie Anne\" Martin")[0].len(), 6);
    assert_eq!(
        found("systemctl restart jarvis; # jarvis gym list"),
        Vec::<Vec<String>>::new()
    );
}

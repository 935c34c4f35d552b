//! Files stay small: at most 500 lines of Rust each, its tests not counted.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The most lines a file may have without its tests.
const MOST: usize = 500;

/// Every file that is too long, as a sentence; with `list`, every file with its size.
pub fn check(root: &Path, list: bool) -> Result<Vec<String>> {
    let mut sizes = Vec::new();
    for folder in source_folders(root)? {
        collect(&folder, &mut sizes)?;
    }
    sizes.sort_by_key(|(path, lines)| (std::cmp::Reverse(*lines), path.clone()));
    if list {
        for (path, lines) in &sizes {
            println!("{lines:>5} {}", path.strip_prefix(root).unwrap_or(path).display());
        }
    }
    let too_long = sizes.iter().filter(|(_, lines)| *lines > MOST);
    Ok(too_long
        .map(|(path, lines)| {
            let name = path.strip_prefix(root).unwrap_or(path).display();
            format!("{name} has {lines} lines without its tests; at most {MOST}: split it by phase")
        })
        .collect())
}

/// The `src` folders of the workspace. What stands in `tests` folders is tests.
fn source_folders(root: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = vec![root.join("xtask/src"), root.join("tests-e2e/src")];
    for entry in fs::read_dir(root.join("crates")).context("the folder crates")? {
        folders.push(entry?.path().join("src"));
    }
    folders.retain(|folder| folder.is_dir());
    Ok(folders)
}

fn collect(folder: &Path, sizes: &mut Vec<(PathBuf, usize)>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, sizes)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test_file(&path) {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            sizes.push((path, lines_without_tests(&text)));
        }
    }
    Ok(())
}

/// `tests.rs` and `…_tests.rs` are test modules kept in files of their own.
fn is_test_file(path: &Path) -> bool {
    path.file_stem()
        .and_then(|stem| stem.to_str())
        .is_some_and(|stem| stem == "tests" || stem.ends_with("_tests"))
}

/// Lines outside of `#[cfg(test)] mod … { … }` blocks that start at the margin, as rustfmt leaves them.
fn lines_without_tests(text: &str) -> usize {
    let mut count = 0;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let opens_tests = line == "#[cfg(test)]"
            && lines
                .peek()
                .is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
        if opens_tests {
            lines.by_ref().find(|inner| *inner == "}");
        } else {
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_module_is_not_counted_and_what_follows_it_is() {
        let text = "fn a() {\n}\n\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\nfn c() {}\n";
        assert_eq!(lines_without_tests(text), 4);
    }

    #[test]
    fn a_test_module_in_another_file_counts_its_two_lines() {
        assert_eq!(lines_without_tests("#[cfg(test)]\nmod tests;\n"), 2);
    }

    #[test]
    fn a_file_over_the_limit_is_named_with_its_size() {
        let root = std::env::temp_dir().join(format!("sizes-{}", std::process::id()));
        let folder = root.join("crates/gym/src/badge");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("long.rs"), "//\n".repeat(501)).unwrap();
        fs::write(folder.join("fits.rs"), "//\n".repeat(500)).unwrap();
        fs::write(folder.join("tests.rs"), "//\n".repeat(900)).unwrap();
        let found = check(&root, false);
        fs::remove_dir_all(&root).unwrap();
        let expected =
            "crates/gym/src/badge/long.rs has 501 lines without its tests; at most 500: split it by phase";
        assert_eq!(found.unwrap(), [expected]);
    }
}

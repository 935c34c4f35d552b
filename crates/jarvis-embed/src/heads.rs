//! Linear heads: what a text is, from its vector, and the small file that holds their weights.
//!
//! The file begins with lines of text, one word and its values each, and an empty line ends them; the weights follow as
//! 32-bit numbers, little-endian, class by class, a bias after each class.
//!
//! ```text
//! jarvis-heads 1
//! model e5-small-multilingual
//! dimensions 384
//! trained_on SHA256 of the labelled texts
//! head NAME LAMBDA CLASS CLASS …
//! weights SHA256 of the numbers
//! ```

use crate::pinned::hexadecimal;
use crate::ridge::{self, ClassWeights};
use crate::{FormatError, Kind, LocalEmbedder, LocalModel};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const FIRST_LINE: &str = "jarvis-heads 1";
/// No file of heads is longer: a wrong path must not fill the memory.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
/// The model whose vectors heads read.
pub const HEAD_MODEL: LocalModel = LocalModel::E5;

/// Some heads on the vectors of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Heads {
    /// Hexadecimal sha256 of the labelled texts that they were fitted on.
    pub trained_on: String,
    /// The heads, in the file's order.
    pub heads: Vec<Head>,
}

/// One question about a text, answered by the class of the highest score.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// What it tells, such as `sentiment`.
    pub name: String,
    /// The ridge parameter that it was fitted with.
    pub lambda: f64,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// For each class its weights.
    pub weights: Vec<ClassWeights>,
}

/// Why a file of heads was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeadsError {
    /// The file is missing, or the process may not read it.
    #[error("cannot read the heads {}: check the path and its permissions", path.display())]
    Unreadable {
        /// The file asked for.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The bytes are no usable file of heads.
    #[error(
        "{name} cannot be used: write it again with the example `train_heads`, or take the file of this release"
    )]
    Unusable {
        /// The file.
        name: String,
        /// The first rule of the format that is broken.
        source: FormatError,
    },
}

impl Heads {
    /// Reads a file of heads.
    ///
    /// # Errors
    /// When it cannot be read, is cut, changed or something else, or was fitted on vectors of another model.
    pub fn read(path: &Path) -> Result<Self, HeadsError> {
        let unreadable = |source| HeadsError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let found = std::fs::metadata(path).map_err(unreadable)?.len();
        let name = format!("the file of heads {}", path.display());
        if found > MOST_BYTES {
            let source = FormatError::value("length", format!("at most {MOST_BYTES} bytes"), found);
            return Err(HeadsError::Unusable { name, source });
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        Self::from_bytes(&bytes).map_err(|source| HeadsError::Unusable { name, source })
    }

    /// The heads in these bytes.
    ///
    /// # Errors
    /// The first rule of the format that they break.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        if !bytes.starts_with(FIRST_LINE.as_bytes()) {
            return Err(FormatError::Magic);
        }
        let end = bytes
            .windows(2)
            .position(|two| two == b"\n\n")
            .ok_or(FormatError::Truncated("its first lines"))?;
        let lines = std::str::from_utf8(&bytes[..end]).map_err(|_| FormatError::Magic)?;
        let body = &bytes[end + 2..];
        let header = Header::parse(lines)?;
        let numbers: usize = header
            .heads
            .iter()
            .map(|h| h.1.len() * (header.dimensions + 1))
            .sum();
        if body.len() < numbers * 4 {
            return Err(FormatError::Truncated("its weights"));
        }
        if body.len() > numbers * 4 {
            let expected = format!("{} bytes", numbers * 4);
            return Err(FormatError::value("part with the weights", expected, body.len()));
        }
        let digest = hexadecimal(&Sha256::digest(body));
        if digest != header.digest {
            return Err(FormatError::value("sha256 of the weights", header.digest, digest));
        }
        header.with_weights(body)
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let numbers = self.heads.iter().flat_map(|h| h.weights.iter().flatten());
        let body: Vec<u8> = numbers.flat_map(|x| x.to_le_bytes()).collect();
        let mut text = format!(
            "{FIRST_LINE}\nmodel {}\ndimensions {}\ntrained_on {}\n",
            HEAD_MODEL.name(),
            HEAD_MODEL.dimensions(),
            self.trained_on
        );
        for head in &self.heads {
            let (name, lambda, classes) = (&head.name, head.lambda, head.classes.join(" "));
            writeln!(text, "head {name} {lambda} {classes}").expect("writing to a String cannot fail");
        }
        let digest = hexadecimal(&Sha256::digest(&body));
        write!(text, "weights {digest}\n\n").expect("writing to a String cannot fail");
        [text.into_bytes(), body].concat()
    }

    /// The head of a name.
    pub fn head(&self, name: &str) -> Option<&Head> {
        self.heads.iter().find(|head| head.name == name)
    }
}

impl Head {
    /// The score of each class for a vector of [`head_vector`].
    pub fn scores(&self, vector: &[f32]) -> Vec<f64> {
        self.weights.iter().map(|w| ridge::score(w, vector)).collect()
    }
}

/// The vector that heads read: [`HEAD_MODEL`], a passage, without the zeros that pad it. Blocking.
pub fn head_vector(embedder: &LocalEmbedder, text: &str) -> Option<Vec<f32>> {
    let mut vector = embedder.embed(HEAD_MODEL, Kind::Passage, text)?;
    vector.truncate(HEAD_MODEL.dimensions());
    Some(vector)
}

/// Hexadecimal sha256 of labelled texts, as [`Heads::trained_on`] holds it.
pub fn digest_of_texts(texts: &str) -> String {
    hexadecimal(&Sha256::digest(texts.as_bytes()))
}

struct Header {
    dimensions: usize,
    trained_on: String,
    /// Name, λ, classes.
    heads: Vec<(String, Vec<String>, f64)>,
    digest: String,
}

impl Header {
    fn parse(lines: &str) -> Result<Self, FormatError> {
        let mut lines = lines.lines();
        let first = lines.next().unwrap_or_default();
        if first != FIRST_LINE {
            return Err(FormatError::value("first line", FIRST_LINE, first));
        }
        let mut header = Self {
            dimensions: 0,
            trained_on: String::new(),
            heads: Vec::new(),
            digest: String::new(),
        };
        let mut model = "";
        for line in lines {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "model" => model = rest,
                "dimensions" => header.dimensions = number("dimensions", rest)?,
                "trained_on" => rest.clone_into(&mut header.trained_on),
                "weights" => rest.clone_into(&mut header.digest),
                "head" => header.heads.push(head_line(rest)?),
                _ => return Err(FormatError::value("line", "a word of the format", word)),
            }
        }
        if model != HEAD_MODEL.name() {
            return Err(FormatError::value("embedding model", HEAD_MODEL.name(), model));
        }
        if header.dimensions != HEAD_MODEL.dimensions() {
            let expected = HEAD_MODEL.dimensions().to_string();
            return Err(FormatError::value("dimensions", expected, header.dimensions));
        }
        Ok(header)
    }

    fn with_weights(self, body: &[u8]) -> Result<Heads, FormatError> {
        let (numbers, _) = body.as_chunks::<4>();
        let numbers: Vec<f32> = numbers.iter().map(|four| f32::from_le_bytes(*four)).collect();
        if numbers.iter().any(|x| !x.is_finite()) {
            return Err(FormatError::value("weight", "a finite number", "another"));
        }
        let mut classes_weights = numbers.chunks(self.dimensions + 1).map(<[f32]>::to_vec);
        let heads = self.heads.into_iter().map(|(name, classes, lambda)| Head {
            weights: classes_weights.by_ref().take(classes.len()).collect(),
            name,
            lambda,
            classes,
        });
        Ok(Heads {
            heads: heads.collect(),
            trained_on: self.trained_on,
        })
    }
}

/// `NAME LAMBDA CLASS CLASS …`
fn head_line(rest: &str) -> Result<(String, Vec<String>, f64), FormatError> {
    let mut words = rest.split(' ').map(str::to_owned);
    let name = words.next().unwrap_or_default();
    let lambda = number("lambda", &words.next().unwrap_or_default())?;
    let classes: Vec<String> = words.collect();
    if classes.len() < 2 || name.is_empty() {
        return Err(FormatError::value("head", "a name, λ and classes", rest));
    }
    Ok((name, classes, lambda))
}

fn number<T: std::str::FromStr>(what: &'static str, text: &str) -> Result<T, FormatError> {
    let wrong = |_| FormatError::value(what, "a number", text);
    text.parse().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads() -> Heads {
        let class = |seed: f32| {
            let step = |i: u16| seed + f32::from(i) / 1000.0;
            (0..385).map(step).collect::<Vec<_>>()
        };
        let head = |name: &str, classes: &[&str]| Head {
            name: name.to_owned(),
            lambda: 0.3,
            classes: classes.iter().map(|&c| c.to_owned()).collect(),
            weights: [0.1, -0.2, 0.3]
                .iter()
                .take(classes.len())
                .map(|&s| class(s))
                .collect(),
        };
        Heads {
            trained_on: digest_of_texts("one\ntwo\n"),
            heads: vec![
                head("sentiment", &["pos", "neu", "neg"]),
                head("other", &["yes", "no"]),
            ],
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(Heads::from_bytes(&heads().to_bytes()).unwrap(), heads());
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let bytes = heads().to_bytes();
        for end in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
            assert!(Heads::from_bytes(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert!(
            Heads::from_bytes(&[bytes.clone(), vec![0]].concat()).is_err(),
            "one byte more"
        );
    }

    #[test]
    fn one_flipped_bit_of_a_weight_is_refused() {
        let bytes = heads().to_bytes();
        let body = bytes.len() - 5 * 385 * 4;
        for at in (body..bytes.len()).step_by(501) {
            let mut spoiled = bytes.clone();
            spoiled[at] ^= 1;
            let told = Heads::from_bytes(&spoiled).unwrap_err().to_string();
            assert!(told.contains("sha256 of the weights"), "{told}");
        }
    }

    #[test]
    fn heads_of_another_model_or_version_are_named() {
        let bytes = heads().to_bytes();
        let changed = |from: &str, to: &str| {
            let end = bytes.windows(2).position(|w| w == b"\n\n").unwrap();
            let text = std::str::from_utf8(&bytes[..end]).unwrap().replace(from, to);
            let told = Heads::from_bytes(&[text.as_bytes(), &bytes[end..]].concat()).unwrap_err();
            told.to_string()
        };
        assert!(
            changed("e5-small-multilingual", "text-embedding-3-small").contains("text-embedding-3-small")
        );
        assert!(changed("dimensions 384", "dimensions 512").contains("512"));
        assert!(changed("dimensions 384", "dimensions many").contains("many"));
        assert!(changed("jarvis-heads 1", "jarvis-heads 12").contains("first line"));
        assert!(changed("head other 0.3 yes no", "head other 0.3 yes").contains("head"));
        assert!(changed("trained_on", "trained_at").contains("trained_at"));
    }

    #[test]
    fn a_file_that_is_missing_or_something_else_is_named() {
        let told = Heads::read(Path::new("/nowhere/heads.bin"))
            .unwrap_err()
            .to_string();
        assert!(told.contains("/nowhere/heads.bin"), "{told}");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let error = Heads::read(&path).unwrap_err();
        assert!(matches!(
            error,
            HeadsError::Unusable {
                source: FormatError::Magic,
                ..
            }
        ));
        assert!(error.to_string().contains("README.md"));
    }
}

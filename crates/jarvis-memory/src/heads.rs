//! The learned heads that this crate ships: what an utterance is about, and how it sounds.
//!
//! `data/heads.bin` is written by the example `train_heads` from `eval/utterances_train.json` and goes with one
//! embedding model. Heads never decide alone: words and rules are added to their scores (see [`crate::sentiment`] and
//! [`crate::category`]).

use crate::Embedder;
use jarvis_embed::LocalEmbedder;
use jarvis_embed::LocalModel;
use jarvis_embed::heads::{Head, Heads, HeadsError, head_vector};
use std::fmt;
use std::sync::Arc;

/// The name of the head for sentiment in the file.
pub const SENTIMENT: &str = "sentiment";
/// Its classes, in the order of its scores.
pub const FEELINGS: [&str; 3] = ["pos", "neu", "neg"];
/// The name of the head for categories in the file.
pub const CATEGORY: &str = "category";
/// Its classes, in the order of its scores.
pub const CATEGORIES: [&str; 6] = ["goal", "injury", "preference", "progress", "concern", "none"];

/// What a session says of who read it where the heads did; else it is [`crate::extract::EXTRACTOR`] alone.
pub const WITH_HEADS: &str = "rules-fr-en-2+heads-1";

static SHIPPED: &[u8] = include_bytes!("../data/heads.bin");

/// The heads with the model whose vectors they read.
#[derive(Clone)]
pub struct Judge {
    model: Arc<LocalEmbedder>,
    sentiment: Head,
    category: Head,
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge").finish_non_exhaustive()
    }
}

impl Judge {
    /// The shipped heads on a loaded model.
    ///
    /// # Errors
    /// When the file compiled into the program is spoiled, which a test excludes.
    pub fn new(model: Arc<LocalEmbedder>) -> Result<Self, HeadsError> {
        let heads = Heads::from_bytes(SHIPPED).map_err(|source| HeadsError::Unusable {
            name: "the file of heads of this program".to_owned(),
            source,
        })?;
        Self::with(model, &heads)
    }

    /// Other heads on a loaded model, such as newly fitted ones.
    ///
    /// # Errors
    /// When they do not tell sentiment and category as this version reads them.
    pub fn with(model: Arc<LocalEmbedder>, heads: &Heads) -> Result<Self, HeadsError> {
        Ok(Self {
            model,
            sentiment: head(heads, SENTIMENT, &FEELINGS)?,
            category: head(heads, CATEGORY, &CATEGORIES)?,
        })
    }

    /// The judge of a gym: none where its embeddings are not computed here, so that words and rules decide alone.
    pub(crate) fn of_gym(embedder: &Embedder, embedding_model: &str) -> Option<Self> {
        LocalModel::named(embedding_model)?;
        let model = embedder.local()?;
        Self::new(Arc::clone(model)).ok()
    }

    /// The scores of [`FEELINGS`]. Blocking: one pass through e5.
    pub fn feelings(&self, text: &str) -> Option<[f64; 3]> {
        let vector = head_vector(&self.model, text)?;
        self.sentiment.scores(&vector).try_into().ok()
    }

    /// The scores of [`CATEGORIES`]. Blocking: one pass through e5.
    pub fn categories(&self, text: &str) -> Option<[f64; 6]> {
        let vector = head_vector(&self.model, text)?;
        self.category.scores(&vector).try_into().ok()
    }
}

fn head(heads: &Heads, name: &str, classes: &[&str]) -> Result<Head, HeadsError> {
    let found = heads.head(name).filter(|head| head.classes == classes);
    found.cloned().ok_or_else(|| HeadsError::Unusable {
        name: format!(
            "the file of heads, of which `{name}` should tell {}",
            classes.join(", ")
        ),
        source: jarvis_embed::FormatError::MissingTensor(name.to_owned()),
    })
}

/// What reads, as figures name it.
pub(crate) fn engine(judge: Option<&Judge>) -> &'static str {
    if judge.is_some() { "heads + rules" } else { "rules" }
}

/// The place of the highest score; the first of equal ones.
pub(crate) fn best(scores: &[f64]) -> usize {
    let highest = |best: usize, at: usize| if scores[at] > scores[best] { at } else { best };
    (0..scores.len()).fold(0, highest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jarvis_embed::heads::digest_of_texts;

    #[test]
    fn a_session_that_heads_read_says_which_rules_read_it_too() {
        assert_eq!(WITH_HEADS, format!("{}+heads-1", crate::extract::EXTRACTOR));
    }

    #[test]
    fn the_shipped_heads_were_fitted_on_the_shipped_utterances() {
        let heads = Heads::from_bytes(SHIPPED).unwrap();
        assert_eq!(
            heads.trained_on,
            digest_of_texts(include_str!("../eval/utterances_train.json")),
            "the utterances changed: run the example `train_heads` and publish its figures with `make eval`"
        );
        assert_eq!(heads.head(SENTIMENT).unwrap().classes, FEELINGS);
        assert_eq!(heads.head(CATEGORY).unwrap().classes, CATEGORIES);
    }

    #[test]
    fn a_head_that_is_missing_or_tells_something_else_is_named() {
        let heads = Heads::from_bytes(SHIPPED).unwrap();
        let told = head(&heads, "mood", &["good", "bad"]).unwrap_err().to_string();
        assert!(told.contains("mood"), "{told}");
        assert!(head(&heads, SENTIMENT, &["yes", "no"]).is_err());
    }
}

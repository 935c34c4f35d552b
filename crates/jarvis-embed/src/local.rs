//! The embedder that needs no key and no network.

use std::path::PathBuf;

use crate::{DIMENSIONS, E5, Kind, LoadError, UNIVERSAL_DIMENSIONS, UniversalEncoder, centre, pad_1536};

/// What this machine computes itself. A vector is stored under the name of its model, and only vectors of one name may
/// be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalModel {
    /// e5, centred. What the first release stored; [`LocalModel::Fused`] finds more.
    E5,
    /// e5, centred, and the universal sentence encoder, each of unit length, side by side: what one of them misses the
    /// other often finds. The default.
    Fused,
}

impl LocalModel {
    /// Every model, the default last.
    pub const ALL: [Self; 2] = [Self::E5, Self::Fused];
    /// The model of a new gym.
    pub const DEFAULT: Self = Self::Fused;

    /// The name stored beside every vector.
    pub fn name(self) -> &'static str {
        match self {
            Self::E5 => crate::MODEL,
            Self::Fused => "e5-use-multilingual",
        }
    }

    /// The model of a name, if it is one of these.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.name() == name)
    }

    /// Numbers in a vector before the zeros that pad it to 1536.
    pub fn dimensions(self) -> usize {
        match self {
            Self::E5 => DIMENSIONS,
            Self::Fused => DIMENSIONS + UNIVERSAL_DIMENSIONS,
        }
    }
}

/// Where the weights lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightPaths {
    /// The file of e5.
    pub e5: PathBuf,
    /// The folder of the universal sentence encoder: `weights.npz` and `sp.model`.
    pub universal: PathBuf,
}

/// The local models in memory, about 165 MB. It never changes after loading.
#[derive(Debug)]
pub struct LocalEmbedder {
    e5: E5,
    universal: Result<UniversalEncoder, LoadError>,
}

impl LocalEmbedder {
    /// Reads the weights; blocking, about a second. Without those of the universal sentence encoder
    /// [`LocalModel::E5`] still works, so that what was stored with it is found: see [`LocalEmbedder::missing`].
    ///
    /// # Errors
    /// See [`E5::load`].
    pub fn load(paths: &WeightPaths) -> Result<Self, LoadError> {
        Ok(Self {
            e5: E5::load(&paths.e5)?,
            universal: UniversalEncoder::load(&paths.universal),
        })
    }

    /// Why [`LocalModel::Fused`] cannot be computed, if it cannot.
    pub fn missing(&self) -> Option<&LoadError> {
        self.universal.as_ref().err()
    }

    /// The vector of a text, unit length, padded to 1536 numbers; `None` when the model's weights are
    /// [missing](LocalEmbedder::missing). Any text will do. Blocking: see [`E5::embed`].
    pub fn embed(&self, model: LocalModel, kind: Kind, text: &str) -> Option<Vec<f32>> {
        let second = match model {
            LocalModel::E5 => None,
            LocalModel::Fused => Some(self.universal.as_ref().ok()?),
        };
        let mut vector = self.e5.embed(kind, text);
        centre(kind, &mut vector);
        if let Some(second) = second {
            vector.extend(second.embed(text));
            let half = std::f32::consts::FRAC_1_SQRT_2;
            for x in &mut vector {
                *x *= half;
            }
        }
        Some(pad_1536(&vector))
    }

    /// Tokens in the text as e5 reads it, opening and closing ones included.
    pub fn count_tokens(&self, kind: Kind, text: &str) -> usize {
        self.e5.token_ids(kind, text).len() + 2
    }
}

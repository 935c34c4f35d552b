//! A model of one layer and six pieces, built here byte by byte, and what becomes of it when its bytes are wrong.

use super::*;

const FEED_FORWARD: usize = 32;
const POSITIONS: usize = 8;
const PIECES: [&str; 6] = ["<s>", "<pad>", "</s>", "<unk>", "\u{2581}", "\u{2581}query"];
const BEGIN: u32 = 0;
const END: u32 = 2;
const UNKNOWN: u32 = 3;

/// The parts of a weight file, to be spoiled before writing.
struct Parts {
    magic: [u8; 4],
    version: u32,
    sizes: [u32; 7],
    epsilon: f32,
    block: u32,
    specials: [u32; 4],
    starts: Vec<u32>,
    map: Vec<(u32, Vec<u32>)>,
    /// Name, type, rows × columns or length.
    tensors: Vec<(String, u8, usize)>,
}

impl Parts {
    fn new() -> Self {
        let width = DIMENSIONS;
        let mut tensors = vec![
            ("emb.word".to_owned(), 1, PIECES.len() * width),
            ("emb.pos".to_owned(), 0, POSITIONS * width),
            ("emb.type".to_owned(), 0, width),
        ];
        for norm in ["emb.ln", "l0.aln", "l0.oln"] {
            tensors.extend(["w", "b"].map(|part| (format!("{norm}.{part}"), 0, width)));
        }
        for (linear, rows, columns) in [
            ("q", width, width),
            ("k", width, width),
            ("v", width, width),
            ("ao", width, width),
            ("fi", FEED_FORWARD, width),
            ("fo", width, FEED_FORWARD),
        ] {
            tensors.push((format!("l0.{linear}.w"), 1, rows * columns));
            tensors.push((format!("l0.{linear}.b"), 0, rows));
        }
        let mut starts = vec![0];
        for piece in PIECES {
            starts.push(starts[starts.len() - 1] + number(piece.len()));
        }
        Self {
            magic: *MAGIC,
            version: 1,
            sizes: [width, 1, 12, FEED_FORWARD, PIECES.len(), POSITIONS, 1].map(number),
            epsilon: 1e-12,
            block: 32,
            specials: [BEGIN, END, 1, UNKNOWN],
            starts,
            map: vec![(9, vec![32]), (0xAD, vec![]), (0xBD, vec![0x31, 0x2044, 0x32])],
            tensors,
        }
    }

    fn header(&self) -> Vec<u8> {
        let mut out = self.magic.to_vec();
        let mut put = |numbers: &[u32]| out.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
        put(&[self.version]);
        put(&self.sizes);
        put(&[self.epsilon.to_bits(), self.block, number(PIECES.len())]);
        put(&self.specials);
        let text = PIECES.concat();
        put(&[number(text.len()), 0]);
        put(&self.starts);
        put(&[0.0, 0.0, 0.0, 0.0, -2.0, -3.0].map(f32::to_bits));
        out.extend(text.bytes());
        let length: usize = self.map.iter().map(|(_, to)| 5 + 4 * to.len()).sum();
        out.extend(
            [self.map.len(), length]
                .iter()
                .flat_map(|n| number(*n).to_le_bytes()),
        );
        for (from, to) in &self.map {
            out.extend(from.to_le_bytes());
            out.push(u8::try_from(to.len()).unwrap());
            out.extend(to.iter().flat_map(|code| code.to_le_bytes()));
        }
        out
    }

    fn write(&self) -> Vec<u8> {
        let mut out = self.header();
        let directory: usize = 4 + self
            .tensors
            .iter()
            .map(|(name, ..)| 23 + name.len())
            .sum::<usize>();
        let mut offset = out.len() + directory;
        out.extend(number(self.tensors.len()).to_le_bytes());
        let mut data = Vec::new();
        for (name, kind, values) in &self.tensors {
            let bytes = tensor(*kind, *values, data.len());
            out.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
            out.extend(name.bytes());
            out.push(*kind);
            out.extend(number(*values).to_le_bytes());
            out.extend(
                [offset, bytes.len()]
                    .iter()
                    .flat_map(|n| u64::try_from(*n).unwrap().to_le_bytes()),
            );
            offset += bytes.len();
            data.extend(bytes);
        }
        out.extend(data);
        out
    }

    fn refusal(&self) -> FormatError {
        E5::parse(self.write()).expect_err("the file is spoiled")
    }
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap()
}

/// Numbers that look random and are always the same.
fn tensor(kind: u8, values: usize, seed: usize) -> Vec<u8> {
    let noise = |i: usize| u8::try_from((i + seed).wrapping_mul(2_654_435_761) >> 13 & 0xFF).unwrap();
    if kind == 0 {
        return (0..values)
            .flat_map(|i| (f32::from(noise(i)) / 256.0 - 0.3).to_le_bytes())
            .collect();
    }
    // An f16 scale of 2^-6, then sixteen bytes of nibbles.
    (0..values / 32)
        .flat_map(|block| {
            [0x00, 0x24]
                .into_iter()
                .chain((0..16).map(move |j| noise(block * 16 + j)))
        })
        .collect()
}

fn model() -> E5 {
    E5::parse(Parts::new().write()).unwrap()
}

#[test]
fn a_small_model_embeds_any_text_to_a_unit_vector() {
    let model = model();
    for text in [
        "",
        "query",
        "une phrase bien plus longue que les huit positions de ce modèle 🎉",
    ] {
        let vector = model.embed(Kind::Query, text);
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((norm - 1.0).abs() < 1e-5, "{norm} for {text}");
    }
}

#[test]
fn a_very_long_text_is_read_up_to_a_limit_and_no_further() {
    let model = model();
    let read = "q".repeat((POSITIONS - 2) * MAX_PASSES - model.token_ids(Kind::Query, "").len());
    let vector = model.embed(Kind::Query, &read);
    assert_eq!(
        model.embed(Kind::Query, &format!("{read}{}", "\u{e9}".repeat(1_000_000))),
        vector
    );
    assert_ne!(
        model.embed(Kind::Query, &read[1..]),
        vector,
        "the last token read counts"
    );
}

#[test]
fn two_texts_have_two_vectors() {
    let model = model();
    assert_ne!(model.embed(Kind::Query, "query"), model.embed(Kind::Query, "abc"));
}

#[test]
fn an_unknown_character_is_one_unknown_token() {
    let ids = model().token_ids(Kind::Query, "");
    assert_eq!(ids, [5, UNKNOWN, 4], "the piece, the colon, the space");
}

#[test]
fn the_character_map_replaces_removes_and_folds_spaces() {
    let model = model();
    let prefix = model.token_ids(Kind::Query, "").len();
    let count = |text| model.token_ids(Kind::Query, text).len() - prefix;
    assert_eq!(
        count("\t  \t"),
        0,
        "tabulations are spaces, and a run of spaces is one"
    );
    assert_eq!(count("x\u{AD}y"), 2, "a soft hyphen disappears");
    assert_eq!(count("\u{BD}"), 3, "one half is read 1\u{2044}2");
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = Parts::new().write();
    let header = Parts::new().header().len();
    let cuts = (0..header + 600).chain((header + 600..whole.len()).step_by(4_099));
    for cut in cuts {
        assert!(
            E5::parse(whole[..cut].to_vec()).is_err(),
            "cut at {cut} of {}",
            whole.len()
        );
    }
}

#[test]
fn a_spoiled_byte_in_the_tables_is_refused_or_harmless() {
    let whole = Parts::new().write();
    for at in 0..Parts::new().header().len() + 600 {
        let mut spoiled = whole.clone();
        spoiled[at] ^= 0xFF;
        if let Ok(model) = E5::parse(spoiled) {
            assert_eq!(
                model.embed(Kind::Passage, "à \t½ query").len(),
                DIMENSIONS,
                "byte {at}"
            );
        }
    }
}

#[test]
fn another_format_and_another_version_are_refused() {
    let refusal = Parts {
        magic: *b"SAE1",
        ..Parts::new()
    }
    .refusal();
    assert_eq!(refusal, FormatError::Magic);
    let refusal = Parts {
        version: 2,
        ..Parts::new()
    }
    .refusal();
    assert_eq!(refusal.to_string(), "its version is 2, expected 1");
}

#[test]
fn sizes_that_do_not_fit_together_are_refused() {
    for (which, size) in [(0, 768), (1, 0), (2, 7), (3, 33), (4, 5), (5, 2), (6, 0)] {
        let mut parts = Parts::new();
        parts.sizes[which] = size;
        assert!(
            matches!(parts.refusal(), FormatError::Value { .. }),
            "size {which}"
        );
    }
    for epsilon in [f32::NAN, -1.0, 0.5] {
        assert!(matches!(
            Parts {
                epsilon,
                ..Parts::new()
            }
            .refusal(),
            FormatError::Value { what: "epsilon", .. }
        ));
    }
    assert!(matches!(
        Parts {
            block: 64,
            ..Parts::new()
        }
        .refusal(),
        FormatError::Value { .. }
    ));
}

#[test]
fn a_special_token_outside_of_the_vocabulary_is_refused() {
    let refusal = Parts {
        specials: [BEGIN, 6, 1, UNKNOWN],
        ..Parts::new()
    }
    .refusal();
    assert_eq!(refusal.to_string(), "its </s> is 6, expected 0 to 5");
}

#[test]
fn pieces_out_of_order_are_refused() {
    let mut parts = Parts::new();
    parts.starts.swap(2, 3);
    assert!(matches!(
        parts.refusal(),
        FormatError::Value {
            what: "piece starts",
            ..
        }
    ));
}

#[test]
fn a_character_map_out_of_order_or_outside_of_unicode_is_refused() {
    let mut parts = Parts::new();
    parts.map.swap(0, 1);
    assert!(matches!(
        parts.refusal(),
        FormatError::Value {
            what: "character map",
            ..
        }
    ));
    let refusal = Parts {
        map: vec![(0xD800, vec![])],
        ..Parts::new()
    }
    .refusal();
    assert!(matches!(
        refusal,
        FormatError::Value {
            what: "character map entry",
            ..
        }
    ));
}

#[test]
fn a_missing_tensor_is_named() {
    let mut parts = Parts::new();
    parts.tensors.retain(|(name, ..)| name != "l0.fo.b");
    assert_eq!(parts.refusal(), FormatError::MissingTensor("l0.fo.b".to_owned()));
}

#[test]
fn a_tensor_of_another_size_or_type_is_named() {
    let mut parts = Parts::new();
    parts
        .tensors
        .iter_mut()
        .filter(|(name, ..)| name == "l0.q.b")
        .for_each(|tensor| tensor.2 = 383);
    let message = parts.refusal().to_string();
    assert_eq!(
        message,
        "tensor l0.q.b should be 384 values of type f32 in 1536 bytes"
    );
    let mut parts = Parts::new();
    parts
        .tensors
        .iter_mut()
        .filter(|(name, ..)| name == "l0.q.w")
        .for_each(|tensor| tensor.1 = 0);
    assert!(matches!(parts.refusal(), FormatError::WrongTensor { .. }));
}

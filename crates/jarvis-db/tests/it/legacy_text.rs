//! Double-encoded text: what is mended, what is left alone, and what is in doubt.

use jarvis_testkit::TestDb;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Windows-1252, 0x80 to 0x9F; its five holes come through as control characters.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// What becomes of a text that is written as UTF-8 and read as Windows-1252.
fn misread(text: &str) -> String {
    let letter = |byte: u8| match byte {
        0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
        _ => char::from(byte),
    };
    text.bytes().map(letter).collect()
}

/// Mended text, rounds, doubt.
async fn mend(texts: &[String]) -> Vec<(String, i32, bool)> {
    let db = TestDb::new().await;
    sqlx::query_as(
        "select m.mended, m.times, m.doubtful from unnest($1::text[]) with ordinality as t (text, nth)
           cross join lateral jarvis.legacy_mend(t.text) as m order by t.nth",
    )
    .bind(texts)
    .fetch_all(db.admin_pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn double_and_triple_encoded_french_is_mended() {
    let cases = [
        ("CafÃ©", "Café", 1),
        ("Ã©quipement", "équipement", 1),
        ("Lâ€™Ã©tÃ©", "L’été", 1),
        ("CafÃƒÂ©", "Café", 2),
        ("ÃƒÆ’Ã‚Â©", "é", 3),
        ("cÅ“ur", "cœur", 1),
        ("HÃ”TEL", "HÔTEL", 1),
        ("PÃ‚TÃ‰", "PÂTÉ", 1),
        ("5â‚¬ â€” câ€™est 25Â°C", "5€ — c’est 25°C", 1),
        ("voil\u{c3}\u{a0}", "voilà", 1),
        ("\u{c3}\u{a0} la salle", "à la salle", 1),
        ("Ã‡a va, MÃ¼ller ?", "Ça va, Müller ?", 1),
        ("SÃ£o Paulo", "São Paulo", 1),
        ("bravo ðŸ’ª", "bravo 💪", 1),
        ("Nguyá»…n", "Nguyễn", 1),
        ("Ð˜Ð²Ð°Ð½", "Иван", 1),
        ("Â« dÃ©jÃ\u{a0} Â»", "« déjà »", 1),
    ];
    let mended = mend(&cases.map(|(broken, ..)| broken.to_owned())).await;
    for ((broken, right, times), found) in cases.iter().zip(mended) {
        assert_eq!(found, ((*right).to_owned(), *times, false), "{broken}");
    }
}

#[tokio::test]
async fn correct_text_is_never_changed() {
    let cases = [
        "Zoé",
        "naïve",
        "œuf",
        "ŒUVRE",
        "10 €",
        "São",
        "SÃO PAULO",
        "João",
        "« CAFÉ »",
        "«CAFÉ»",
        "santé”…",
        "IRMÃ",
        "“IRMÃ",
        "Ângela",
        "L’Âge d’or",
        "Ça",
        "Müller",
        "Åse",
        "Łukasz",
        "È vero…",
        "MAÑANA…",
        "GARÇON’S",
        "É…",
        "Ö–Ü",
        "Nguyễn Thị",
        "Иван",
        "محمد",
        "山田",
        "💪🏽 très bien",
        "Ÿ",
        "ß",
        "5° à l’ombre",
        "",
        " ",
        "plain",
        "ÉTÉ – “ÉLÉGANT”",
        "Straße”",
        "niño…",
        "«à»",
        "DÉJÀ»",
        "naÏve",
    ];
    let mended = mend(&cases.map(str::to_owned)).await;
    for (text, found) in cases.iter().zip(mended) {
        assert_eq!(found, ((*text).to_owned(), 0, false));
    }
}

#[tokio::test]
async fn what_cannot_be_mended_for_certain_is_in_doubt_and_not_touched() {
    let cases = ["DÃ›", "voilÃ ", "10Â €", "v\u{fffd}lo", "lâ€ ami", "Å’s", "Ã  la"];
    let mended = mend(&cases.map(str::to_owned)).await;
    for (text, found) in cases.iter().zip(mended) {
        assert_eq!(found, ((*text).to_owned(), 0, true));
    }
}

/// The letters of one language after the other; nobody mixes them in a word.
const LETTERS: [&str; 8] = [
    "a-zàâéèêëïîôùûüÿç",
    "a-zãõáàâéêíóôúç",
    "a-zñáéíóúü",
    "a-zäöüß",
    "a-zåäöæø",
    "a-zàèéìòù",
    "a-záčďéěíňóřšťúůýž",
    "a-ząćęłńóśźż",
];

/// Words as they are written in one language: in small letters, with a capital, or in capitals.
fn natural_text() -> impl Strategy<Value = String> {
    prop::sample::select(LETTERS.to_vec()).prop_flat_map(|letters| {
        let small = prop::string::string_regex(&format!("[{letters}]{{2,9}}")).unwrap();
        let word = (small, 0..4_u8).prop_map(|(word, form)| match form {
            // In French, oe is one letter before u alone.
            0 => word.replace('q', "œu").to_uppercase(),
            1 => word
                .chars()
                .take(1)
                .flat_map(char::to_uppercase)
                .chain(word.chars().skip(1))
                .collect(),
            _ => word.replace('q', "œu"),
        });
        let space = prop::sample::select(vec![
            " ",
            " ",
            " ",
            "’",
            " « ",
            " » ",
            "» ",
            ", ",
            "… ",
            " – ",
            " — ",
            "-",
            " “",
            "” ",
            " !\n",
            "\u{a0}€ ",
            " 5° ",
            " 12 ",
            "\u{a0}? ",
            ". ",
            "/",
        ]);
        prop::collection::vec((word, space), 1..7).prop_map(|parts| {
            parts
                .into_iter()
                .flat_map(|(word, space)| [word, space.to_owned()])
                .collect()
        })
    })
}

#[tokio::test]
async fn natural_text_survives_and_comes_back_from_one_two_or_three_misreadings_or_is_in_doubt() {
    let mut runner = TestRunner::deterministic();
    let texts: Vec<String> = (0..1500)
        .map(|_| natural_text().new_tree(&mut runner).unwrap().current())
        .collect();
    for (text, (mended, times, _)) in texts.iter().zip(mend(&texts).await) {
        assert_eq!((&mended, times), (text, 0), "correct text was changed");
    }
    let mut broken = texts.clone();
    for rounds in 1..=3 {
        broken = broken.iter().map(|text| misread(text)).collect();
        let mut doubtful = 0;
        for (n, (mended, times, doubt)) in mend(&broken).await.into_iter().enumerate() {
            if doubt {
                doubtful += 1;
            } else {
                assert_eq!(mended, texts[n], "{:?} after {rounds} misreadings", broken[n]);
                assert!(
                    times == rounds || texts[n].is_ascii(),
                    "{:?}: {times} rounds",
                    broken[n]
                );
            }
        }
        assert!(
            doubtful * 20 < texts.len(),
            "{doubtful} of {} in doubt",
            texts.len()
        );
    }
}

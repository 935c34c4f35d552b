//! What reads words: everything that is written is read back, and nothing else is taken.

use jarvis_core::{
    Category, Channel, EndReason, EventType, GymId, Language, MemberId, Purpose, SessionId, SessionState,
};
use proptest::prelude::*;
use std::fmt::Debug;
use std::str::FromStr;
use uuid::Uuid;

/// Asserts that `text` is read exactly when it is the word of one of `all`, and as that one.
fn only_its_words<T>(all: &[T], word: impl Fn(T) -> &'static str, text: &str) -> Result<(), TestCaseError>
where
    T: FromStr + Copy + PartialEq + Debug,
{
    let meant = all.iter().copied().find(|value| word(*value) == text);
    prop_assert_eq!(text.parse::<T>().ok(), meant, "{:?}", text);
    for value in all {
        prop_assert_eq!(word(*value).parse::<T>().ok(), Some(*value));
    }
    Ok(())
}

/// Words of ours, words that look like them, and anything.
fn words() -> impl Strategy<Value = String> {
    let ours = [
        "memory",
        "health_memory",
        "injury",
        "goal",
        "open",
        "closing",
        "failed",
        "voice",
        "text",
        "orphaned",
        "user_transcript",
        "fr",
        "en",
    ];
    let ours = proptest::sample::select(ours.to_vec());
    prop_oneof![
        ours.clone().prop_map(str::to_owned),
        (ours.clone(), "[ _a-zA-Z]{0,2}").prop_map(|(word, end)| format!("{word}{end}")),
        ours.prop_map(str::to_uppercase),
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn a_word_is_read_exactly_as_it_is_written(text in words()) {
        only_its_words(&Purpose::ALL, Purpose::as_str, &text)?;
        only_its_words(&Category::ALL, Category::as_str, &text)?;
        only_its_words(&EventType::ALL, EventType::as_str, &text)?;
        only_its_words(SessionState::ALL, SessionState::as_str, &text)?;
        only_its_words(Channel::ALL, Channel::as_str, &text)?;
        only_its_words(EndReason::ALL, EndReason::as_str, &text)?;
    }

    #[test]
    fn a_language_is_read_from_a_tag_of_any_case_and_region(
        code in proptest::sample::select(vec!["fr", "en", "es", "de", "it"]),
        upper in any::<bool>(),
        region in "([-_][A-Za-z0-9]{1,8}){0,2}",
    ) {
        let tag = if upper { code.to_uppercase() } else { code.to_owned() };
        let read = format!("{tag}{region}").parse::<Language>().unwrap();
        prop_assert_eq!(read.as_str(), code);
    }

    #[test]
    fn what_only_begins_like_a_language_is_none(code in "(fr|en|es|de|it)[a-z0-9 ]{1,6}", other in "[g-hj-z][a-z]?") {
        prop_assert!(code.parse::<Language>().is_err(), "{code:?}");
        prop_assert!(other.parse::<Language>().is_err(), "{other:?}");
    }

    #[test]
    fn an_id_is_read_back(number in any::<u128>()) {
        let id = GymId::from(Uuid::from_u128(number));
        prop_assert_eq!(id.to_string().parse::<GymId>().unwrap(), id);
        prop_assert_eq!(id.to_string().to_uppercase().parse::<GymId>().unwrap(), id);
    }

    #[test]
    fn an_id_that_lost_or_won_a_letter_is_none(number in any::<u128>(), at in 0_usize..36, letter in "[g-z é]") {
        let text = Uuid::from_u128(number).to_string();
        let (before, after) = text.split_at(at);
        let wrong = [format!("{before}{}", &after[1..]), format!("{before}{letter}{after}")];
        for text in wrong {
            prop_assert!(text.parse::<MemberId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_session_id_is_kept_letter_by_letter(text in any::<String>(), plain in "[!-~é]{1,128}") {
        let visible = !text.contains(|c: char| c.is_whitespace() || c.is_control());
        let fits = visible && (1..=128).contains(&text.chars().count());
        prop_assert_eq!(text.parse::<SessionId>().is_ok(), fits);
        let id: SessionId = plain.parse().unwrap();
        prop_assert_eq!(id.as_str(), &plain);
        let longer = format!("{plain:x<129}").parse::<SessionId>();
        prop_assert!(longer.is_err());
    }
}

//! Numbers in digits and in French and English words.

use super::token::Token;

/// French and English number words, folded.
const WORDS: &[(&str, f64)] = &[
    ("zero", 0.0),
    ("un", 1.0),
    ("une", 1.0),
    ("deux", 2.0),
    ("trois", 3.0),
    ("quatre", 4.0),
    ("cinq", 5.0),
    ("six", 6.0),
    ("sept", 7.0),
    ("huit", 8.0),
    ("neuf", 9.0),
    ("dix", 10.0),
    ("onze", 11.0),
    ("douze", 12.0),
    ("treize", 13.0),
    ("quatorze", 14.0),
    ("quinze", 15.0),
    ("seize", 16.0),
    ("vingt", 20.0),
    ("vingts", 20.0),
    ("trente", 30.0),
    ("quarante", 40.0),
    ("cinquante", 50.0),
    ("soixante", 60.0),
    ("septante", 70.0),
    ("huitante", 80.0),
    ("octante", 80.0),
    ("nonante", 90.0),
    ("dizaine", 10.0),
    ("douzaine", 12.0),
    ("quinzaine", 15.0),
    ("vingtaine", 20.0),
    ("trentaine", 30.0),
    ("a", 1.0),
    ("an", 1.0),
    ("one", 1.0),
    ("two", 2.0),
    ("couple", 2.0),
    ("three", 3.0),
    ("four", 4.0),
    ("five", 5.0),
    ("seven", 7.0),
    ("eight", 8.0),
    ("nine", 9.0),
    ("ten", 10.0),
    ("eleven", 11.0),
    ("twelve", 12.0),
    ("thirteen", 13.0),
    ("fourteen", 14.0),
    ("fifteen", 15.0),
    ("sixteen", 16.0),
    ("seventeen", 17.0),
    ("eighteen", 18.0),
    ("nineteen", 19.0),
    ("twenty", 20.0),
    ("thirty", 30.0),
    ("forty", 40.0),
    ("fifty", 50.0),
    ("sixty", 60.0),
    ("seventy", 70.0),
    ("eighty", 80.0),
    ("ninety", 90.0),
];

fn word_value(word: &str) -> Option<f64> {
    WORDS
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, value)| *value)
}

fn digits(word: &str) -> Option<f64> {
    let starts_well = word.starts_with(|c: char| c.is_ascii_digit());
    let value: f64 = starts_well.then(|| word.parse().ok()).flatten()?;
    (value <= 100_000.0).then_some(value)
}

/// The number at the start of `tokens`, and how many words it takes: "5", "2,5", "vingt-cinq", "une dizaine
/// de", "quatre-vingt-dix", "cent vingt", "a couple of". Of "trois ou quatre" the first counts.
pub(crate) fn parse(tokens: &[Token]) -> Option<(f64, usize)> {
    if let Some(value) = digits(&tokens.first()?.text) {
        return Some((value, 1));
    }
    if let Some(collective) = collective(tokens) {
        return Some(collective);
    }
    let mut total = 0.0;
    let mut last: Option<f64> = None;
    let mut used = 0;
    while let Some(token) = tokens.get(used) {
        let word = token.text.as_str();
        if matches!(word, "et" | "and") && last.is_some_and(|l| l >= 20.0) && small(tokens.get(used + 1)) {
            used += 1;
            continue;
        }
        let Some((sum, value)) = add(total, last, word) else {
            break;
        };
        (total, last) = (sum, Some(value));
        used += 1;
    }
    last.map(|_| (total, used))
}

/// "une dizaine de", "a couple of": the article before them is not another number.
fn collective(tokens: &[Token]) -> Option<(f64, usize)> {
    let at = usize::from(matches!(tokens.first()?.text.as_str(), "un" | "une" | "a"));
    let word = tokens.get(at)?.text.as_str();
    if !(word == "couple" || word.ends_with("aine")) {
        return None;
    }
    let value = word_value(word)?;
    let of = tokens
        .get(at + 1)
        .is_some_and(|t| matches!(t.text.as_str(), "de" | "d" | "of"));
    Some((value, at + 1 + usize::from(of)))
}

fn small(token: Option<&Token>) -> bool {
    let value = token.and_then(|t| word_value(&t.text));
    value.is_some_and(|v| (1.0..20.0).contains(&v))
}

/// The sum with one more word, and that word's own value; `None` when the word does not continue the number.
fn add(total: f64, last: Option<f64>, word: &str) -> Option<(f64, f64)> {
    let times = match word {
        "cent" | "cents" | "hundred" => 100.0,
        "mille" | "thousand" => 1000.0,
        _ => 1.0,
    };
    if times > 1.0 {
        return (total < times).then(|| (f64::max(total, 1.0) * times, times));
    }
    let value = word_value(word)?;
    let Some(before) = last else {
        return Some((value, value));
    };
    if is(total, 4.0) && is(value, 20.0) {
        return Some((80.0, 80.0));
    }
    let teen = is(before, 10.0) && (7.0..10.0).contains(&value);
    let unit = before >= 20.0 && value < before && (value < 20.0 || before >= 100.0);
    (teen || unit).then_some((total + value, value))
}

fn is(value: f64, wanted: f64) -> bool {
    (value - wanted).abs() < f64::EPSILON
}

#[cfg(test)]
mod tests {
    use super::super::token::tokenize;
    use super::*;

    #[test]
    fn french_and_english_number_words_are_read() {
        let cases = [
            ("cinq kilos", 5.0, 1),
            ("vingt-cinq kilos", 25.0, 2),
            ("vingt et un", 21.0, 3),
            ("soixante-dix-sept", 77.0, 3),
            ("quatre-vingt-dix kilos", 90.0, 3),
            ("cent vingt kilos", 120.0, 2),
            ("deux cents", 200.0, 2),
            ("une dizaine de kilos", 10.0, 3),
            ("a couple of pounds", 2.0, 3),
            ("twenty-five", 25.0, 2),
            ("2,5 kg", 2.5, 1),
            ("trois ou quatre", 3.0, 1),
        ];
        for (text, value, used) in cases {
            assert_eq!(parse(&tokenize(text)), Some((value, used)), "{text}");
        }
        assert_eq!(parse(&tokenize("kilos")), None);
    }
}

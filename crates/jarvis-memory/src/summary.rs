//! A summary in the member's own words: quotes of the facts first, then the sentences that say most.

use crate::extract::token::{sentences, tokenize};
use crate::extract::{Speaker, Turn};
use crate::quarantine::steers;
use jarvis_core::{Category, FactDraft, Language};
use serde_json::Value;
use std::collections::HashMap;

/// A summary is at most so many characters.
pub const LONGEST_SUMMARY: usize = 600;
/// Where quotes must be shortened, they keep at least so many characters.
const SHORTEST_QUOTE: usize = 40;
/// A session has at most so many topics.
const MOST_TOPICS: usize = 8;

/// What a session was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// At most [`LONGEST_SUMMARY`] characters; nothing in quotation marks is anybody's but the member's.
    pub text: String,
    /// Short labels in the member's language, the most important first.
    pub key_topics: Vec<String>,
}

/// The extractive summary of a conversation. The same input gives the same text.
///
/// Every fact is there by its quote, safety facts first; what room is left goes to the member's own sentences with the
/// rarest words, in the order in which they were said. The assistant's turns are never used. Without a member turn
/// the text is empty.
pub fn summarise(
    turns: &[Turn],
    facts: &[FactDraft],
    member_first_name: &str,
    language: Language,
) -> Summary {
    let french = language.message_language() == Language::Fr;
    let mut ordered: Vec<&FactDraft> = facts.iter().collect();
    ordered.sort_by_key(|fact| fact.category);
    let quotes = quotes(&ordered);
    let intro = intro(member_first_name, french);
    let room = LONGEST_SUMMARY.saturating_sub(length(&intro));
    let mut chosen = fit(&quotes, room);
    fill(&mut chosen, &informative(turns, 2), room);
    if chosen.is_empty() {
        // "Bonjour" alone was said, and is all there is to say.
        fill(&mut chosen, &informative(turns, 0), room);
    }
    let key_topics = topics(&ordered, french);
    if chosen.is_empty() {
        return Summary {
            text: String::new(),
            key_topics,
        };
    }
    let pieces: Vec<_> = chosen.iter().map(|quote| marked(quote, french)).collect();
    Summary {
        text: format!("{intro}{}", pieces.join(" ")),
        key_topics,
    }
}

fn intro(name: &str, french: bool) -> String {
    let name: String = name
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(60)
        .collect();
    match (name.is_empty() || steers(&name), french) {
        (true, true) => "A dit : ".to_owned(),
        (true, false) => "Said: ".to_owned(),
        (false, true) => format!("{name} a dit : "),
        (false, false) => format!("{name} said: "),
    }
}

fn marked(quote: &str, french: bool) -> String {
    if french {
        format!("« {quote} »")
    } else {
        format!("“{quote}”")
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// A quote with its marks and the blank after it.
fn cost(quote: &str) -> usize {
    length(quote) + 5
}

/// The facts' quotes, each once, none that is part of another.
fn quotes(facts: &[&FactDraft]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for fact in facts {
        let quote = tidy(&fact.source_quote);
        if quote.is_empty() || found.iter().any(|other| other.contains(&quote)) {
            continue;
        }
        found.retain(|other| !quote.contains(other.as_str()));
        found.push(quote);
    }
    found
}

fn tidy(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// All quotes, shortened alike when they do not fit whole.
fn fit(quotes: &[String], room: usize) -> Vec<String> {
    let total: usize = quotes.iter().map(|q| cost(q)).sum();
    if total <= room {
        return quotes.to_vec();
    }
    let share = (room / quotes.len().max(1)).saturating_sub(6).max(SHORTEST_QUOTE);
    let mut left = room;
    let shortened = quotes.iter().map(|quote| shorten(quote, share));
    shortened
        .take_while(|quote| {
            let fits = cost(quote) <= left;
            left = left.saturating_sub(cost(quote));
            fits
        })
        .collect()
}

/// At most `most` characters, cut between words, with an ellipsis.
fn shorten(text: &str, most: usize) -> String {
    if length(text) <= most {
        return text.to_owned();
    }
    let cut: String = text.chars().take(most.saturating_sub(1)).collect();
    let end = cut.rfind(' ').unwrap_or(cut.len());
    format!("{}…", cut[..end].trim_end())
}

/// The member's sentences of at least so many words with more than three letters, the most informative first.
fn informative(turns: &[Turn], least_words: usize) -> Vec<String> {
    let mut said: Vec<(String, Vec<String>)> = Vec::new();
    for turn in turns.iter().filter(|t| t.speaker == Speaker::Member) {
        let tokens = tokenize(&turn.text);
        for sentence in sentences(&turn.text, &tokens) {
            let words = &tokens[sentence.tokens.clone()];
            let (Some(first), Some(last)) = (words.first(), words.last()) else {
                continue;
            };
            let content: Vec<_> = words
                .iter()
                .map(|t| t.text.clone())
                .filter(|w| w.len() > 3)
                .collect();
            if let Some(text) = turn
                .text
                .get(first.start..last.end)
                .filter(|_| content.len() >= least_words)
            {
                said.push((tidy(text), content));
            }
        }
    }
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for word in said.iter().flat_map(|(_, words)| words) {
        *seen.entry(word).or_default() += 1;
    }
    let rare = |words: &[String]| {
        words
            .iter()
            .filter(|w| seen.get(w.as_str()).is_some_and(|n| *n == 1))
            .count()
    };
    let mut ranked: Vec<_> = said.iter().map(|(text, words)| (rare(words), text)).collect();
    ranked.sort_by_key(|(rare, _)| std::cmp::Reverse(*rare));
    ranked.into_iter().map(|(_, text)| text.clone()).collect()
}

/// Adds sentences as long as there is room. A sentence that says more than the quotes in it takes their place;
/// one that says nothing more is left out.
fn fill(chosen: &mut Vec<String>, sentences: &[String], room: usize) {
    let mut left = room.saturating_sub(chosen.iter().map(|q| cost(q)).sum());
    for sentence in sentences {
        if chosen.iter().any(|quote| quote.contains(sentence.as_str())) {
            continue;
        }
        let within = |quote: &String| sentence.contains(quote.trim_end_matches('…'));
        let freed: usize = chosen.iter().filter(|q| within(q)).map(|q| cost(q)).sum();
        if cost(sentence) > left + freed {
            continue;
        }
        left = left + freed - cost(sentence);
        let place = chosen.iter().position(within).unwrap_or(chosen.len());
        chosen.retain(|quote| !within(quote));
        chosen.insert(place.min(chosen.len()), sentence.clone());
    }
}

fn topics(facts: &[&FactDraft], french: bool) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for fact in facts {
        let topic = format!("{}: {}", label(fact.category, french), about(fact));
        if !found.contains(&topic) && found.len() < MOST_TOPICS {
            found.push(topic);
        }
    }
    found
}

fn label(category: Category, french: bool) -> &'static str {
    match (category, french) {
        (Category::Injury, true) => "santé",
        (Category::Injury, false) => "health",
        (Category::Goal, true) => "objectif",
        (Category::Goal, false) => "goal",
        (Category::Concern, true) => "remarque",
        (Category::Concern, false) => "concern",
        (Category::Progress, true) => "progrès",
        (Category::Progress, false) => "progress",
        (Category::Preference, true) => "préférence",
        (Category::Preference, false) => "preference",
    }
}

/// What the fact is about, in the words of its value.
fn about(fact: &FactDraft) -> String {
    let named = ["location", "condition", "subject", "metric", "what", "kind"];
    let text = named
        .iter()
        .find_map(|name| fact.fact_value.get(*name).and_then(Value::as_str));
    text.unwrap_or(&fact.fact_key).replace('_', " ")
}

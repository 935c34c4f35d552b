//! One turn, read: sentences, clauses, and what keeps a clause from being a statement about the member.

use super::clause::{Clause, clauses};
use super::lexicon::{self, Section};
use super::pattern::{Match, Rule, rules};
use super::token::{Sentence, Token, sentences, tokenize};
use std::ops::Range;
use std::sync::LazyLock;

static CONTEXT: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(include_str!("rules/context.rules")));

/// Clauses that start so tell a reason: they assert even inside a question.
const CAUSAL: &[&str] = &[
    "car", "because", "parce", "puisque", "vu", "alors", "mais", "but", "sachant", "avec",
];
const FIRST: &[&str] = &[
    "je", "j", "moi", "me", "m", "i", "my", "mon", "ma", "mes", "myself", "mine",
];
const OTHER: &[&str] = &[
    "il", "elle", "ils", "elles", "lui", "leur", "he", "she", "they", "his", "her", "their", "tu", "vous",
    "t", "te", "toi", "you", "your", "ton", "ta", "tes", "votre", "vos",
];
/// After these "il" and "t" name nobody: "il faut", "il y a", "y a-t-il", "don't".
const IMPERSONAL: &[&str] = &["y", "faut", "fait", "pleut", "parait", "semble", "me", "m"];
const NOT: &[&str] = &[
    "pas", "jamais", "aucun", "aucune", "ni", "not", "no", "never", "don", "dont", "doesn", "didn", "isn",
    "wasn", "without", "sans", "haven", "hasn", "aren", "point", "non",
];

/// A "que" after one of these begins a clause and compares nothing.
const NO_COMPARISON: &[&str] = &[
    "depuis",
    "maintenant",
    "parce",
    "alors",
    "des",
    "pour",
    "pendant",
    "tandis",
    "vu",
    "ainsi",
    "crois",
    "pense",
    "dirais",
    "sais",
    "est",
    "ce",
];

/// Who is meant is looked for so many words back.
const FAR_BACK: usize = 60;

/// Whether something is denied, or said to be over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Negation {
    None,
    Not,
    NoLonger,
}

/// A turn with everything the rules ask about it.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    pub text: &'a str,
    pub tokens: Vec<Token>,
    pub sentences: Vec<Sentence>,
    pub clauses: Vec<Clause>,
    /// The turn says that it is not meant, or tries to steer the assistant: nothing in it counts.
    pub void: bool,
    /// From the token on, up to the end of the range, nothing is asserted.
    unasserted: Vec<Range<usize>>,
    hedges: Vec<Range<usize>>,
}

impl<'a> Reading<'a> {
    /// Reads one turn.
    pub fn of(text: &'a str) -> Self {
        let tokens = tokenize(text);
        let sentences = sentences(text, &tokens);
        let clauses = clauses(&tokens, &sentences);
        let mut reading = Self {
            text,
            tokens,
            sentences,
            clauses,
            void: false,
            unasserted: Vec::new(),
            hedges: Vec::new(),
        };
        reading.mark();
        reading
    }

    fn mark(&mut self) {
        for rule in CONTEXT.iter() {
            let kind = rule.get("is").unwrap_or_default();
            for index in 0..self.clauses.len() {
                let tokens = self.clauses[index].tokens.clone();
                let mut from = tokens.start;
                while let Some(hit) =
                    (from..tokens.end).find_map(|at| rule.match_at(&self.tokens, &tokens, at))
                {
                    from = hit.tokens.end;
                    self.apply(kind, index, &hit);
                }
            }
        }
        self.spread_questions();
    }

    fn apply(&mut self, kind: &str, clause: usize, hit: &Match) {
        match kind {
            "joke" | "injection" => self.void = true,
            "question" => self.clauses[clause].question = true,
            "told" => self.clauses[clause].told = true,
            "hedge" => self.hedges.push(self.clauses[clause].tokens.clone()),
            _ => {
                let before = hit
                    .tokens
                    .start
                    .checked_sub(1)
                    .map(|i| self.tokens[i].text.as_str());
                let granted = kind == "hypothetical" && matches!(before, Some("meme" | "comme" | "even"));
                // "s'il te plaît" supposes nothing.
                let polite = self.word(hit.tokens.end + 1) == "plait" || self.word(hit.tokens.end) == "plait";
                if !granted && !polite {
                    self.unasserted.push(hit.tokens.start..self.scope_end(clause));
                }
            }
        }
    }

    /// A supposition reaches to the end of its sentence, or to a "mais".
    fn scope_end(&self, clause: usize) -> usize {
        let sentence = self.clauses[clause].sentence;
        let later = self.clauses[clause + 1..]
            .iter()
            .take_while(|c| c.sentence == sentence);
        let reached =
            later.take_while(|c| !matches!(self.word(c.tokens.start), "mais" | "but" | "sinon" | "sauf"));
        reached
            .last()
            .map_or(self.clauses[clause].tokens.end, |c| c.tokens.end)
    }

    fn spread_questions(&mut self) {
        for index in 0..self.clauses.len() {
            let sentence = self.clauses[index].sentence;
            let last = self
                .clauses
                .get(index + 1)
                .is_none_or(|next| next.sentence != sentence);
            let asked = last && self.sentences[sentence].question;
            let goes_on =
                index > 0 && self.clauses[index - 1].sentence == sentence && self.clauses[index - 1].question;
            let reason = CAUSAL.contains(&self.word(self.clauses[index].tokens.start));
            let causal = reason && self.clauses[index].tokens.start != self.sentences[sentence].tokens.start;
            let clause = &mut self.clauses[index];
            clause.question = (clause.question || asked || goes_on) && !causal && !clause.told;
        }
    }

    /// The folded word at `index`, or nothing.
    pub fn word(&self, index: usize) -> &str {
        self.tokens.get(index).map_or("", |t| t.text.as_str())
    }

    /// Whether the match is supposed, or somebody else's claim.
    pub fn unasserted(&self, hit: &Match) -> bool {
        let touches =
            |scope: &Range<usize>| scope.start <= hit.tokens.start || hit.tokens.contains(&scope.start);
        self.unasserted
            .iter()
            .any(|scope| touches(scope) && hit.tokens.start < scope.end)
    }

    /// Whether the clause is said with doubt.
    pub fn hedged(&self, clause: &Clause) -> bool {
        self.hedges
            .iter()
            .any(|h| h.start <= clause.tokens.start && clause.tokens.start < h.end)
    }

    /// Whether the match is about the member who speaks.
    pub fn is_own(&self, hit: &Match, clause: &Clause) -> bool {
        let named = |i: usize| lexicon::lookup(Section::Kin, &self.tokens[i..clause.tokens.end]).is_some();
        let after = hit.tokens.end..clause.tokens.end.min(hit.tokens.end + 3);
        let belongs = after.clone().any(|i| {
            named(i)
                && matches!(self.word(i.saturating_sub(2)), "de" | "a" | "of" | "chez" | "d")
                && i >= hit.tokens.end
        });
        if belongs
            || hit
                .tokens
                .clone()
                .any(|i| matches!(self.word(i), "ton" | "ta" | "tes" | "your" | "votre" | "vos"))
        {
            return false;
        }
        let start = self.sentences[clause.sentence].tokens.start;
        (start.max(hit.tokens.start.saturating_sub(FAR_BACK))..=hit.tokens.start)
            .rev()
            .find_map(|i| self.person(i, clause))
            .unwrap_or(true)
    }

    /// Whom the word at `index` makes the subject: `Some(true)` the member, `Some(false)` somebody else.
    fn person(&self, index: usize, clause: &Clause) -> Option<bool> {
        let word = self.word(index);
        let before = self.word(index.wrapping_sub(1));
        let end = clause.tokens.end.max(index);
        let rest = &self.tokens[index..end];
        if lexicon::lookup(Section::Kin, rest).is_some() {
            let preposition = self.word(index.wrapping_sub(2));
            let companion = matches!(
                preposition,
                "avec" | "with" | "pour" | "for" | "de" | "d" | "chez" | "to" | "par"
            );
            return (is_determiner(before) && !companion).then_some(false);
        }
        if lexicon::lookup(Section::Professional, rest).is_some() && is_determiner(before) {
            let for_me = (index + 1..end)
                .any(|i| matches!(self.word(i), "m" | "me" | "moi" | "je" | "j" | "i" | "my"));
            return (!for_me).then_some(false);
        }
        let next = self.word(index + 1);
        if OTHER.contains(&word) {
            let nobody =
                IMPERSONAL.contains(&next) || (word == "t" && is_contraction(before)) || word == "te";
            return (!nobody).then_some(false);
        }
        let of_other = matches!(word, "mon" | "ma" | "mes" | "my")
            && self.tokens.get(index + 1..end).is_some_and(|rest| {
                lexicon::lookup(Section::Kin, rest).is_some()
                    || lexicon::lookup(Section::Professional, rest).is_some()
            });
        (FIRST.contains(&word) && !of_other).then_some(true)
    }

    /// Whether the match is denied, by a word inside it or shortly before it in its clause.
    pub fn negation(&self, hit: &Match, clause: &Clause) -> Negation {
        let from = clause.tokens.start.max(hit.tokens.start.saturating_sub(4));
        let window = from..hit.tokens.end;
        let after = hit.tokens.end..clause.tokens.end.min(hit.tokens.end + 3);
        let ended = after.clone().any(|i| matches!(self.word(i), "anymore"))
            || after
                .clone()
                .any(|i| self.word(i) == "any" && self.word(i + 1) == "more")
            || window
                .clone()
                .any(|i| self.word(i) == "longer" && self.word(i.wrapping_sub(1)) == "no");
        if ended || window.clone().any(|i| self.is_no_longer(i, clause.tokens.end)) {
            return Negation::NoLonger;
        }
        let denied = window
            .clone()
            .any(|i| self.is_contracted_not(i) || (NOT.contains(&self.word(i)) && !self.is_idle_not(i)));
        // "I can't": the apostrophe stands right after what matched.
        if denied || self.is_contracted_not(hit.tokens.end) {
            Negation::Not
        } else {
            Negation::None
        }
    }

    /// "ne … plus mal", "plus aucune douleur", "j'ai plus mal au dos"; not "plus mal qu'avant", "de plus en plus mal".
    fn is_no_longer(&self, index: usize, end: usize) -> bool {
        let compared = matches!(self.word(index + 2), "que" | "qu") || self.compares(index, end);
        if self.word(index) != "plus" || compared {
            return false;
        }
        let denied = (index.saturating_sub(4)..index).any(|i| matches!(self.word(i), "n" | "ne"));
        if !denied && self.is_increase(index) {
            return false;
        }
        let at_all = self.word(index + 1) == "du" && self.word(index + 2) == "tout";
        denied
            || at_all
            || matches!(
                self.word(index + 1),
                "mal" | "enceinte" | "aucune" | "aucun" | "jamais" | "douleur" | "douleurs" | "de" | "d"
            )
    }

    /// "de plus en plus mal", "encore plus mal": this "plus" adds, it ends nothing.
    pub fn is_increase(&self, index: usize) -> bool {
        let before = self.word(index.wrapping_sub(1));
        let more_and_more = before == "en" || self.word(index + 1) == "en" && self.word(index + 2) == "plus";
        self.word(index) == "plus"
            && (more_and_more || matches!(before, "encore" | "toujours" | "bien" | "beaucoup" | "tellement"))
    }

    /// "plus mal … que la semaine dernière", "hurts more … than before": more than something else. A "ne" before "plus"
    /// ends instead, and "depuis que", "je crois que" compare nothing.
    pub fn compares(&self, index: usize, end: usize) -> bool {
        let before = |i: usize| self.word(i.wrapping_sub(1));
        match self.word(index) {
            "plus" => {
                let denied = (index.saturating_sub(4)..index).any(|i| matches!(self.word(i), "n" | "ne"));
                let than =
                    |i: usize| matches!(self.word(i), "que" | "qu") && !NO_COMPARISON.contains(&before(i));
                !denied && (index + 1..end).any(than)
            }
            "more" | "worse" => before(index) != "no" && (index + 1..end).any(|i| self.word(i) == "than"),
            _ => false,
        }
    }

    /// "can't", "won't": the apostrophe made two words of it.
    fn is_contracted_not(&self, index: usize) -> bool {
        let before = self.word(index.wrapping_sub(1));
        self.word(index) == "t" && before != "a" && is_contraction(before)
    }

    /// "non", "no" as an answer and "pourquoi pas" deny nothing that follows.
    fn is_idle_not(&self, index: usize) -> bool {
        match self.word(index) {
            "non" | "no" => matches!(
                self.word(index + 1),
                "j" | "je" | "i" | "my" | "mon" | "ma" | "mais" | "but" | "c"
            ),
            "pas" => self.word(index.wrapping_sub(1)) == "pourquoi" || self.word(index + 1) == "seulement",
            _ => false,
        }
    }

    /// Whether the clause at `index` may assert something at all.
    pub fn is_statement(&self, index: usize) -> bool {
        !self.void && !self.clauses[index].question
    }

    /// The byte span of a range of tokens.
    pub fn span(&self, tokens: &Range<usize>) -> Range<usize> {
        match (
            self.tokens.get(tokens.start),
            tokens.end.checked_sub(1).and_then(|i| self.tokens.get(i)),
        ) {
            (Some(first), Some(last)) if last.end >= first.start => first.start..last.end,
            _ => 0..0,
        }
    }

    /// The words of a clause range of tokens.
    pub fn words(&self, tokens: &Range<usize>) -> &[Token] {
        self.tokens.get(tokens.clone()).unwrap_or_default()
    }
}

/// Whether a noun follows.
pub(super) fn is_determiner(word: &str) -> bool {
    matches!(
        word,
        "mon"
            | "ma"
            | "mes"
            | "my"
            | "notre"
            | "nos"
            | "our"
            | "son"
            | "sa"
            | "his"
            | "her"
            | "un"
            | "une"
            | "le"
            | "la"
            | "l"
            | "a"
            | "the"
            | "ton"
            | "ta"
            | "your"
    )
}

fn is_contraction(word: &str) -> bool {
    matches!(
        word,
        "don"
            | "doesn"
            | "didn"
            | "can"
            | "isn"
            | "wasn"
            | "won"
            | "couldn"
            | "haven"
            | "hasn"
            | "aren"
            | "shouldn"
            | "wouldn"
            | "mustn"
            | "needn"
            | "weren"
            | "hadn"
            | "ain"
            | "a"
    )
}

//! Entities in tagged words, and how many of them were found: the scores of CoNLL-2003 (Tjong Kim Sang and De Meulder 2003), as
//! seqeval's `classification_report` counts them in its default mode.
//!
//! Tags are `O` or a letter, a dash and a class: `B-` begins an entity, `I-` goes on with one, `E-` ends one, `S-` is one. What does not
//! follow these rules still means something: an entity also begins with `I-` after `O` or after another class.

use std::collections::BTreeMap;

/// Some neighbouring words of one class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entity<'a> {
    /// The position of its first word.
    pub start: usize,
    /// That of the word behind it.
    pub end: usize,
    /// Its class.
    pub class: &'a str,
}

/// A tag's letter and class. Other letters stand for `I`; without a dash, a tag is a class of its own.
fn parts(tag: &str) -> (char, &str) {
    match tag.split_once('-') {
        _ if tag == "O" => ('O', ""),
        Some((letter, class)) if letter.len() == 1 => {
            let letter = match letter {
                "B" => 'B',
                "E" | "L" => 'E',
                "S" | "U" => 'S',
                _ => 'I',
            };
            (letter, class)
        }
        _ => ('S', tag),
    }
}

/// Whether a tag says where in an entity a word stands, as `B-place` does.
pub fn is_positional(tag: &str) -> bool {
    matches!(tag.split_once('-'), Some(("B" | "I" | "E" | "S" | "L" | "U", class)) if !class.is_empty())
}

/// The entities of a sentence's tags, in order.
pub fn entities<'a>(tags: impl IntoIterator<Item = &'a str>) -> Vec<Entity<'a>> {
    let mut found = Vec::new();
    let mut open: Option<Entity<'a>> = None;
    let (mut before, mut before_class) = ('O', "");
    let mut length = 0;
    for (at, tag) in tags.into_iter().enumerate() {
        let (letter, class) = parts(tag);
        let changes = class != before_class;
        let ends = matches!(before, 'E' | 'S') || matches!(letter, 'B' | 'S' | 'O') || changes;
        let begins =
            matches!(letter, 'B' | 'S') || (letter != 'O' && (matches!(before, 'E' | 'S' | 'O') || changes));
        if ends && let Some(entity) = open.take() {
            found.push(Entity { end: at, ..entity });
        }
        if begins {
            open = Some(Entity { start: at, end: at, class });
        }
        (before, before_class, length) = (letter, class, at + 1);
    }
    found.extend(open.map(|entity| Entity { end: length, ..entity }));
    found
}

/// Entities that are there, that were told, and that are both: equal in class, beginning and end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// Those that are there.
    pub true_ones: usize,
    /// Those that were told.
    pub told: usize,
    /// Those that are both.
    pub hits: usize,
}

impl Hits {
    /// The share of the told that are there; 0 when none was told.
    pub fn precision(&self) -> f64 {
        share(self.hits, self.told)
    }

    /// The share of those there that were told; 0 when there are none.
    pub fn recall(&self) -> f64 {
        share(self.hits, self.true_ones)
    }

    /// The harmonic mean of both.
    pub fn f1(&self) -> f64 {
        share(2 * self.hits, self.told + self.true_ones)
    }
}

impl std::ops::AddAssign for Hits {
    fn add_assign(&mut self, other: Self) {
        self.true_ones += other.true_ones;
        self.told += other.told;
        self.hits += other.hits;
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Entities and words of many sentences, counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EntityScores {
    /// By class.
    pub classes: BTreeMap<String, Hits>,
    /// Words whose tag was told right, and words in all.
    pub words: [usize; 2],
}

impl EntityScores {
    /// Takes a sentence in: its tags, and those that were told, word by word.
    pub fn add(&mut self, truth: &[&str], told: &[&str]) {
        let (there, found) = (entities(truth.iter().copied()), entities(told.iter().copied()));
        for entity in &there {
            let hits = self.classes.entry(entity.class.to_owned()).or_default();
            hits.true_ones += 1;
            hits.hits += usize::from(found.binary_search(entity).is_ok());
        }
        for entity in &found {
            self.classes.entry(entity.class.to_owned()).or_default().told += 1;
        }
        self.words[0] += truth.iter().zip(told).filter(|(truth, told)| truth == told).count();
        self.words[1] += truth.len();
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        for (class, &hits) in &other.classes {
            *self.classes.entry(class.clone()).or_default() += hits;
        }
        self.words = [self.words[0] + other.words[0], self.words[1] + other.words[1]];
    }

    /// All classes together: the micro average.
    pub fn total(&self) -> Hits {
        self.classes.values().fold(Hits::default(), |mut sum, &hits| {
            sum += hits;
            sum
        })
    }

    /// The mean of the classes' F1, of those classes that are there or were told.
    pub fn macro_f1(&self) -> f64 {
        let sum: f64 = self.classes.values().map(Hits::f1).sum();
        sum / self.classes.len().max(1) as f64
    }

    /// The share of words with the right tag.
    pub fn accuracy(&self) -> f64 {
        share(self.words[0], self.words[1])
    }

    /// `f1`, `precision`, `recall` (micro averages over entities), `macro_f1` and `accuracy` (of words).
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let total = self.total();
        let metrics = [
            ("f1", total.f1()),
            ("precision", total.precision()),
            ("recall", total.recall()),
            ("macro_f1", self.macro_f1()),
            ("accuracy", self.accuracy()),
        ];
        metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_begin_and_end_as_seqeval_has_it() {
        type Case<'a> = (&'a str, &'a [(usize, usize, &'a str)]);
        let cases: [Case<'_>; 9] = [
            ("O O", &[]),
            ("B-a I-a O B-b", &[(0, 2, "a"), (3, 4, "b")]),
            ("I-a I-a B-a", &[(0, 2, "a"), (2, 3, "a")]),
            ("B-a I-b I-b", &[(0, 1, "a"), (1, 3, "b")]),
            ("O I-a O I-a", &[(1, 2, "a"), (3, 4, "a")]),
            ("S-a B-a E-a E-a", &[(0, 1, "a"), (1, 3, "a"), (3, 4, "a")]),
            ("B-creative-work I-creative-work", &[(0, 2, "creative-work")]),
            ("U-a B-a L-a", &[(0, 1, "a"), (1, 3, "a")]),
            ("NOUN NOUN O VERB", &[(0, 1, "NOUN"), (1, 2, "NOUN"), (3, 4, "VERB")]),
        ];
        for (tags, expected) in cases {
            let found: Vec<_> = entities(tags.split(' '))
                .into_iter()
                .map(|entity| (entity.start, entity.end, entity.class))
                .collect();
            assert_eq!(found, expected, "{tags}");
        }
    }

    #[test]
    fn hits_are_equal_in_class_and_place() {
        let mut scores = EntityScores::default();
        scores.add(&["B-a", "I-a", "O", "B-b"], &["B-a", "I-a", "B-b", "O"]);
        let mut other = EntityScores::default();
        other.add(&["B-a", "O"], &["B-b", "O"]);
        scores.merge(&other);
        assert_eq!(scores.total(), Hits { true_ones: 3, told: 3, hits: 1 });
        let metrics = scores.metrics();
        assert!((metrics["f1"] - 1.0 / 3.0).abs() < 1e-12 && (metrics["accuracy"] - 0.5).abs() < 1e-12);
        assert!((metrics["macro_f1"] - 1.0 / 3.0).abs() < 1e-12, "{metrics:?}");
        assert_eq!(EntityScores::default().metrics()["f1"], 0.0);
    }
}

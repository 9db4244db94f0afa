//! How far the entities that were told are from those that are there.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use tk_text::tagging::{OUTSIDE, Tagged, Tagger};
use tk_transfer::data::Labelled;
use tk_transfer::metrics::{Bootstrap, Entity, EntityScores, Hits, Interval, bootstrap_score, entities};

use super::Error;
use crate::report::{ClassScores, FoundPart, TaggedPart, TaggedSentence};
use crate::structured;

/// Sentences that a report shows.
const SHOWN: usize = 40;

/// Sentences that are tagged at once.
const AT_ONCE: usize = 1024;

/// One sentence: its tags, and those that were told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Where it stands in the data.
    pub name: String,
    /// Its words.
    pub words: Vec<String>,
    /// Their tags.
    pub truth: Vec<String>,
    /// What was told.
    pub told: Vec<String>,
}

/// Tags beside the truth, and how good they are.
#[derive(Clone, Debug)]
pub struct Scored {
    /// Each sentence.
    pub compared: Vec<Compared>,
    whole: EntityScores,
    metrics: BTreeMap<String, f64>,
    intervals: BTreeMap<String, Interval>,
}

/// Entities of a sentence that were not told, and what was told instead.
#[derive(Default)]
struct Mistakes<'a> {
    missed: Vec<Entity<'a>>,
    invented: Vec<Entity<'a>>,
}

impl Compared {
    fn entities(&self) -> [Vec<Entity<'_>>; 2] {
        [&self.truth, &self.told].map(|tags| entities(tags.iter().map(String::as_str)))
    }

    fn mistakes(&self) -> Mistakes<'_> {
        let [truth, told] = self.entities();
        let without = |these: &[Entity<'_>], entity: &Entity<'_>| these.binary_search(entity).is_err();
        Mistakes {
            missed: truth.iter().filter(|entity| without(&told, entity)).cloned().collect(),
            invented: told.iter().filter(|entity| without(&truth, entity)).cloned().collect(),
        }
    }

    fn text(&self, entity: &Entity<'_>) -> String {
        self.words[entity.start..entity.end].join(" ")
    }
}

impl Scored {
    /// Sums up what was told of sentences.
    pub fn new(compared: Vec<Compared>, seed: u64) -> Self {
        let mut whole = EntityScores::default();
        let mut hits: Vec<Hits> = Vec::with_capacity(compared.len());
        for one in &compared {
            let [truth, told] =
                [&one.truth, &one.told].map(|tags| tags.iter().map(String::as_str).collect::<Vec<_>>());
            let mut own = EntityScores::default();
            own.add(&truth, &told);
            hits.push(own.total());
            whole.merge(&own);
        }
        let f1 = bootstrap_score(compared.len(), Bootstrap { seed, ..Bootstrap::default() }, |drawn| {
            let mut sum = Hits::default();
            drawn.iter().for_each(|&at| sum += hits[at]);
            sum.f1()
        });
        let metrics = whole.metrics();
        Self { compared, whole, metrics, intervals: BTreeMap::from([("f1".to_owned(), f1)]) }
    }

    /// Precision, recall and F1 of each class, and kinds of mistakes.
    pub(super) fn classes(&self) -> FoundPart {
        let row = |(class, hits): (&String, &Hits)| ClassScores {
            name: format!("{class} ({} there)", hits.true_ones),
            values: vec![Some(hits.precision()), Some(hits.recall()), Some(hits.f1())],
        };
        FoundPart {
            scores: ["Precision", "Recall", "F1"].map(str::to_owned).to_vec(),
            classes: self.whole.classes.iter().map(row).collect(),
            ..FoundPart::default()
        }
    }

    /// What was taken for what, and the sentences with the most mistakes.
    pub(super) fn mistakes(&self) -> TaggedPart {
        let mut confusions: BTreeMap<(Option<String>, Option<String>), usize> = BTreeMap::new();
        let mut wrong = Vec::new();
        for one in &self.compared {
            let Mistakes { missed, invented } = one.mistakes();
            let overlaps = |a: &Entity<'_>, b: &Entity<'_>| a.start < b.end && b.start < a.end;
            let class = |entity: &Entity<'_>| entity.class.to_owned();
            for entity in &missed {
                let other = invented.iter().find(|other| overlaps(entity, other)).map(class);
                *confusions.entry((Some(class(entity)), other)).or_default() += 1;
            }
            for entity in invented.iter().filter(|entity| !missed.iter().any(|other| overlaps(entity, other)))
            {
                *confusions.entry((None, Some(class(entity)))).or_default() += 1;
            }
            let listed = |entities: &[Entity<'_>]| {
                entities.iter().map(|entity| (one.text(entity), class(entity))).collect::<Vec<_>>()
            };
            if missed.len() + invented.len() > 0 {
                wrong.push(TaggedSentence {
                    name: one.name.clone(),
                    text: one.words.join(" "),
                    missed: listed(&missed),
                    invented: listed(&invented),
                });
            }
        }
        let mut confusions: Vec<_> =
            confusions.into_iter().map(|((there, told), times)| (there, told, times)).collect();
        confusions.sort_by_key(|(.., times)| Reverse(*times));
        // A stable sort, so that equals stay in the order of the data.
        wrong.sort_by_key(|one| Reverse(one.missed.len() + one.invented.len()));
        let counts = [wrong.len(), self.compared.len()];
        wrong.truncate(SHOWN);
        TaggedPart { confusions, worst: wrong, wrong: counts }
    }
}

impl structured::Scored for Scored {
    fn samples(&self) -> usize {
        self.compared.len()
    }

    fn headline(&self) -> &'static str {
        "f1"
    }

    fn metrics(&self) -> &BTreeMap<String, f64> {
        &self.metrics
    }

    fn intervals(&self) -> &BTreeMap<String, Interval> {
        &self.intervals
    }

    /// One line, such as `F1 0.412 (0.38–0.44)  precision 0.551  recall 0.329  of 1,079 entities; 0.947 of the words`.
    fn line(&self) -> String {
        let range = self.intervals.get("f1");
        let range = range.map_or_else(String::new, |range| format!(" ({:.2}–{:.2})", range.low, range.high));
        let total = self.whole.total();
        format!(
            "F1 {:.3}{range}  precision {:.3}  recall {:.3}  of {} entities  accuracy of words {:.3}",
            total.f1(),
            total.precision(),
            total.recall(),
            total.true_ones,
            self.whole.accuracy()
        )
    }

    fn remark(&self) -> Option<&'static str> {
        let total = self.whole.total();
        (total.told == 0 && total.true_ones > 0).then_some(
            "no entity was told at all: it has not learned to; train for more epochs or at a higher rate",
        )
    }

    fn details(&self, _: &[String]) -> Vec<String> {
        self.classes().lines()
    }

    fn lines(&self) -> Vec<Value> {
        let line = |one: &Compared| json!({ "file": one.name, "words": one.words, "truth": one.truth, "told": one.told });
        self.compared.iter().map(line).collect()
    }
}

/// Tags some sentences of a data set.
///
/// # Errors
/// When the engine fails.
pub(super) fn evaluate(
    tagger: &Tagger,
    data: &Tagged,
    positions: &[usize],
    seed: u64,
) -> Result<Scored, Error> {
    let mut compared = Vec::with_capacity(positions.len());
    for some in positions.chunks(AT_ONCE) {
        let words = |&at: &usize| data.sentences()[at].words.iter().map(String::as_str).collect();
        let sentences: Vec<Vec<&str>> = some.iter().map(words).collect();
        for (&at, told) in some.iter().zip(tagger.tag_all(&sentences)?) {
            let name = |tag: Option<usize>| {
                tag.and_then(|tag| tagger.tags().get(tag)).map_or(OUTSIDE, String::as_str)
            };
            compared.push(Compared {
                name: data.name(at),
                words: data.sentences()[at].words.clone(),
                truth: data.tags_of(at).into_iter().map(str::to_owned).collect(),
                told: told.iter().map(|word| name(word.tag).to_owned()).collect(),
            });
        }
    }
    Ok(Scored::new(compared, seed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structured::Scored as _;

    fn one(truth: &str, told: &str) -> Compared {
        let tags = |tags: &str| tags.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (truth, told) = (tags(truth), tags(told));
        let words = (0..truth.len()).map(|at| format!("w{at}")).collect();
        Compared { name: "f:1".into(), words, truth, told }
    }

    #[test]
    fn confusions_are_pairs_that_overlap() {
        let scored = Scored::new(
            vec![
                one("B-a I-a O B-b", "B-b I-b O B-b"),
                one("B-a I-a O", "B-a O O"),
                one("B-a O", "O O"),
                one("O O", "O B-b"),
            ],
            0,
        );
        let TaggedPart { confusions, worst, wrong } = scored.mistakes();
        let name = |class: &Option<String>| class.clone().unwrap_or_default();
        let mut found: Vec<_> = confusions
            .iter()
            .map(|(there, told, times)| format!("{}>{} {times}", name(there), name(told)))
            .collect();
        found.sort();
        assert_eq!(found, [">b 1", "a> 1", "a>a 1", "a>b 1"]);
        assert_eq!((worst.len(), wrong), (4, [4, 4]));
        assert_eq!(worst[0].missed, [("w0 w1".to_owned(), "a".to_owned())]);
        let line = scored.line();
        assert!(line.starts_with("F1 0.250") && line.contains("of 4 entities"), "{line}");
        assert_eq!(scored.details(&[])[0], "a (3 there)  Precision 0.000  Recall 0.000  F1 0.000");
    }

    #[test]
    fn silence_is_said() {
        assert!(Scored::new(vec![one("B-a", "O")], 0).remark().is_some());
        assert!(Scored::new(vec![one("O", "O")], 0).remark().is_none());
    }
}

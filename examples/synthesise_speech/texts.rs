//! What is said: numbers, single words, and pieces of sentences; letters, apostrophes and spaces only.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tk_engine::random::Stream;

const DIGITS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

const NUMBERS: &str = "oh ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty \
    seventy eighty ninety hundred thousand million billion first second third fourth fifth sixth seventh eighth ninth tenth half quarter \
    dozen double triple";

/// Commands, frequent words, names of things, and the letters whose names synthesisers say.
const WORDS: &str = "yes no stop go left right up down on off start end open close play pause next back forward backward follow learn visual \
    house tree bird cat dog bed happy wow marvin sheila hello goodbye please thanks sorry okay help call send save delete cancel repeat \
    louder softer faster slower more less light lights lamp door window kitchen bathroom bedroom garden music radio news weather time date \
    today tomorrow yesterday morning evening night day week month year monday tuesday wednesday thursday friday saturday sunday january \
    february march april june july august september october november december the be to of and in that have it for not with he as you do \
    at this but his by from they we say her she or an will my all would there their what so out if about who get which when make can like \
    just him know take people into good some could them see other than then now look only come its over think also after use how our work \
    well way even new want because any these give most us man woman child world life hand part place case group company number point \
    water money book word eye head father mother brother sister friend car bus train plane boat road street city country food bread milk \
    coffee tea sugar salt apple orange banana meat fish chicken egg rice table chair floor wall roof phone computer screen keyboard mouse \
    paper pen letter picture red green blue yellow black white brown pink purple grey big small long short tall old young hot cold warm \
    cool hard soft easy early late high low fast slow strong weak rich poor full empty clean dirty safe dangerous question answer problem \
    idea story game sport ball team player school teacher student class lesson language english doctor hospital health heart blood bone \
    sun moon star sky rain snow wind fire earth river sea mountain forest field flower grass animal horse cow sheep pig b c d e f g h j k \
    l m n o p q r s t u v w x y z";

/// The texts that are drawn from.
pub struct Texts {
    /// The words of each clause.
    clauses: Vec<Vec<String>>,
}

impl Texts {
    /// Reads the sentences, `sentence TAB label`, of all three files of sst2.
    ///
    /// # Errors
    /// When a file cannot be read, or there is nothing in them.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut clauses = Vec::new();
        for name in ["train.tsv", "dev.tsv", "test.tsv"] {
            let path = folder.join(name);
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            clauses.extend(
                text.lines().flat_map(|line| clauses_of(line.split('\t').next().unwrap_or_default())),
            );
        }
        ensure!(!clauses.is_empty(), "{}: no sentences", folder.display());
        Ok(Self { clauses })
    }

    /// A third numbers, most of them single; a seventh single words; the rest up to eight words of a sentence.
    pub fn draw(&self, stream: &mut Stream) -> String {
        match stream.unit() {
            share if share < 0.22 => DIGITS[stream.below(10)].to_owned(),
            share if share < 0.27 => word_of(NUMBERS, stream).to_owned(),
            share if share < 0.35 => {
                let count = 2 + stream.below(4);
                let word = |stream: &mut Stream| match stream.unit() < 0.85 {
                    true => DIGITS[stream.below(10)],
                    false => word_of(NUMBERS, stream),
                };
                (0..count).map(|_| word(stream)).collect::<Vec<_>>().join(" ")
            }
            share if share < 0.5 => word_of(WORDS, stream).to_owned(),
            _ => {
                let clause = &self.clauses[stream.below(self.clauses.len())];
                let count = 1 + stream.below(clause.len().min(8));
                let start = stream.below(clause.len() - count + 1);
                clause[start..start + count].join(" ")
            }
        }
    }
}

fn word_of(list: &'static str, stream: &mut Stream) -> &'static str {
    let words: Vec<&str> = list.split_whitespace().collect();
    words[stream.below(words.len())]
}

/// The clauses between punctuation, in words as they are written: `do n't` is `don't`. Sentences with other characters have none, and
/// clauses with what is not said as it is written (`mr`, letters left of foreign words) are left out.
fn clauses_of(sentence: &str) -> Vec<Vec<String>> {
    let mut clauses = vec![Vec::<String>::new()];
    for token in sentence.split_whitespace() {
        let is_suffix = matches!(token, "'s" | "'re" | "'ve" | "'ll" | "'d" | "'m" | "n't");
        if token.bytes().all(|byte| byte.is_ascii_punctuation()) {
            // Quotation marks and the apostrophe of a plural are not heard.
            if token.bytes().any(|byte| !b"'`\"".contains(&byte)) {
                clauses.push(Vec::new());
            }
        } else if is_suffix {
            match clauses.last_mut().and_then(|clause| clause.last_mut()) {
                Some(word) => word.push_str(token),
                None => return Vec::new(),
            }
        } else if token.bytes().all(|byte| byte.is_ascii_lowercase()) {
            if let Some(clause) = clauses.last_mut() {
                clause.push(token.to_owned());
            }
        } else {
            return Vec::new();
        }
    }
    let is_said = |word: &String| match word.len() {
        1 => word == "a" || word == "i",
        _ => word.bytes().any(|byte| b"aeiouy".contains(&byte)),
    };
    clauses.retain(|clause| !clause.is_empty() && clause.iter().all(is_said));
    clauses
}

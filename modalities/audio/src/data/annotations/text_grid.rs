//! Praat's TextGrid, long and short, as Praat's manual describes its text files: numbers that stand free, texts in quotation marks and
//! flags in `<>` count, and all else explains them.

use super::{Annotations, Interval};

/// What the text of a file says.
pub(super) fn read(text: &str) -> Result<Annotations, String> {
    if text.starts_with("ooBinaryFile") {
        return Err("a binary TextGrid; save it as a text file (Save as text file…)".into());
    }
    let mut tokens = Tokens { rest: text, line: 1 };
    for expected in ["ooTextFile", "TextGrid"] {
        let found = tokens.text("the kind of file")?;
        // Praat once wrote `ooTextFile short` for the short form.
        if found.split(' ').next() != Some(expected) {
            return Err(format!("it begins with \"{found}\"; expected \"{expected}\", as Praat writes it"));
        }
    }
    tokens.number("the beginning")?;
    tokens.number("the end")?;
    let has_tiers = tokens.flag("whether there are tiers")?;
    let tiers = if has_tiers { tokens.count("the number of tiers")? } else { 0 };
    let mut found = Annotations { recording: None, intervals: Vec::new(), set_aside: Vec::new() };
    for _ in 0..tiers {
        let kind = tokens.text("the kind of a tier")?;
        let name = tokens.text("the name of a tier")?.trim().to_owned();
        tokens.number("the beginning of a tier")?;
        tokens.number("the end of a tier")?;
        let count = tokens.count("the size of a tier")?;
        match kind.as_str() {
            "IntervalTier" => {
                for _ in 0..count {
                    tokens.interval(&name, &mut found)?;
                }
            }
            // Points have no length, so nothing is said in them.
            "TextTier" => {
                for _ in 0..count {
                    tokens.number("the time of a point")?;
                    tokens.text("the mark of a point")?;
                }
            }
            other => {
                return Err(format!(
                    "line {}: a tier of kind \"{other}\"; expected IntervalTier or TextTier",
                    tokens.line
                ));
            }
        }
    }
    Ok(found)
}

enum Token {
    Number(f64),
    Text(String),
    Flag(String),
}

struct Tokens<'a> {
    rest: &'a str,
    line: usize,
}

impl Tokens<'_> {
    fn interval(&mut self, tier: &str, found: &mut Annotations) -> Result<(), String> {
        let start = self.number("the beginning of an interval")?;
        let end = self.number("the end of an interval")?;
        let text = self.text("the text of an interval")?;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            return Ok(());
        }
        match 0.0 <= start && start < end {
            true => found.intervals.push(Interval {
                tier: tier.to_owned(),
                tier_type: None,
                speaker: None,
                start,
                end,
                text,
            }),
            false => found
                .set_aside
                .push((format!("{tier}, line {}", self.line), format!("it is from {start} s to {end} s"))),
        }
        Ok(())
    }

    fn number(&mut self, what: &str) -> Result<f64, String> {
        match self.next()? {
            Some(Token::Number(number)) => Ok(number),
            other => Err(self.instead(what, "a number", other)),
        }
    }

    fn count(&mut self, what: &str) -> Result<usize, String> {
        let number = self.number(what)?;
        match number.fract() == 0.0 && (0.0..1e9).contains(&number) {
            true => Ok(number as usize),
            false => Err(format!("line {}: {what} is {number}; expected a whole number", self.line)),
        }
    }

    fn text(&mut self, what: &str) -> Result<String, String> {
        match self.next()? {
            Some(Token::Text(text)) => Ok(text),
            other => Err(self.instead(what, "a text in quotation marks", other)),
        }
    }

    fn flag(&mut self, what: &str) -> Result<bool, String> {
        match self.next()? {
            Some(Token::Flag(flag)) => Ok(flag == "exists"),
            other => Err(self.instead(what, "<exists>", other)),
        }
    }

    fn instead(&self, what: &str, expected: &str, found: Option<Token>) -> String {
        let found = match found {
            None => "the file ends".to_owned(),
            Some(Token::Number(number)) => format!("there is {number}"),
            Some(Token::Text(text)) => format!("there is \"{}\"", text.replace('\n', " ")),
            Some(Token::Flag(flag)) => format!("there is <{flag}>"),
        };
        format!("line {}: where {what} should be, {found}; expected {expected}", self.line)
    }

    /// The next number, text or flag.
    fn next(&mut self) -> Result<Option<Token>, String> {
        loop {
            let trimmed = self.rest.trim_start();
            self.skip(self.rest.len() - trimmed.len());
            let Some(first) = self.rest.chars().next() else { return Ok(None) };
            match first {
                '"' => return self.quoted().map(Some),
                '!' => self.skip(self.rest.find('\n').unwrap_or(self.rest.len())),
                _ => {
                    let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
                    let word = &self.rest[..end];
                    let flag = word.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
                    let token = match flag {
                        Some(flag) => Some(Token::Flag(flag.to_owned())),
                        None => number(word).map(Token::Number),
                    };
                    self.skip(end);
                    if token.is_some() {
                        return Ok(token);
                    }
                }
            }
        }
    }

    /// A text, in which two quotation marks are one.
    fn quoted(&mut self) -> Result<Token, String> {
        let (mut text, line) = (String::new(), self.line);
        self.skip(1);
        loop {
            let Some(end) = self.rest.find('"') else {
                return Err(format!("line {line}: a text without closing quotation mark"));
            };
            text.push_str(&self.rest[..end]);
            self.skip(end + 1);
            if !self.rest.starts_with('"') {
                return Ok(Token::Text(text));
            }
            text.push('"');
            self.skip(1);
        }
    }

    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.rest.split_at(bytes);
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }
}

/// A number that stands free.
fn number(word: &str) -> Option<f64> {
    let begins = word.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.'));
    word.parse().ok().filter(|number: &f64| begins && number.is_finite())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const LONG: &str = r#"File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0 
xmax = 2.3 
tiers? <exists> 
size = 2 
item []: 
    item [1]:
        class = "IntervalTier" 
        name = "words 1" 
        xmin = 0 
        xmax = 2.3 
        intervals: size = 3 
        intervals [1]:
            xmin = 0 
            xmax = 0.5 
            text = "" 
        intervals [2]:
            xmin = 0.5 
            xmax = 1.75 
            text = "she said ""no"" 2 ! " 
        intervals [3]:
            xmin = 1.75 
            xmax = 2.3 
            text = "ʔaː
b" 
    item [2]:
        class = "TextTier" 
        name = "points" 
        xmin = 0 
        xmax = 2.3 
        points: size = 1 
        points [1]:
            number = 1 
            mark = "H*" 
"#;

    const SHORT: &str = r#"File type = "ooTextFile short"
"TextGrid"

0
2.3
<exists>
2
"IntervalTier"
"words 1"
0
2.3
3
0
0.5
""
0.5
1.75
"she said ""no"" 2 ! "
1.75
2.3
"ʔaː
b"
"TextTier"
"points"
0
2.3
1
1
"H*"
"#;

    #[test]
    fn the_long_and_the_short_form_say_the_same() {
        let long = read(LONG).unwrap();
        let found: Vec<_> =
            long.intervals.iter().map(|i| (i.tier.as_str(), i.start, i.end, i.text.as_str())).collect();
        assert_eq!(found, [("words 1", 0.5, 1.75, "she said \"no\" 2 !"), ("words 1", 1.75, 2.3, "ʔaː b")]);
        assert_eq!(read(SHORT).unwrap(), long);
        assert_eq!(read(&LONG.replace("size = 2 \n", "size = 2 ! two tiers, \"both\" 3\n")).unwrap(), long);
        let none = "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n0\n1\n<absent>\n";
        assert!(read(none).unwrap().intervals.is_empty());
    }

    #[test]
    fn what_contradicts_itself_is_named_in_one_line() {
        for (from, to, expected) in [
            ("ooTextFile", "PitchTier", "it begins with \"PitchTier\""),
            ("\"TextGrid\"", "\"Sound\"", "it begins with \"Sound\""),
            ("IntervalTier", "OtherTier", "a tier of kind \"OtherTier\""),
            (
                "size = 3",
                "size = 4",
                "line 29: where the beginning of an interval should be, there is \"TextTier\"",
            ),
            ("size = 3", "size = 3.5", "the size of a tier is 3.5; expected a whole number"),
            ("mark = \"H*\"", "mark = ", "where the mark of a point should be, the file ends"),
            ("mark = \"H*\"", "mark = \"H*", "a text without closing"),
            ("File type", "ooBinaryFile", "binary"),
        ] {
            let error = read(&LONG.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
        let back = read(&LONG.replacen("xmax = 1.75", "xmax = 0.25", 1)).unwrap();
        assert_eq!((back.intervals.len(), back.set_aside.len()), (1, 1));
    }
}

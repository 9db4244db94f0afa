//! The rows of delimited text, one at a time, each with its line and what is wrong with it.
//!
//! Written out because readers of CSV mend what they find: a quote that is never closed takes the rest of the file into one cell,
//! and text after a closing quote is joined to it. Here such a row is a flaw of one line, and reading goes on with the next.

use std::borrow::Cow;

/// The longest row that is read.
pub const MAX_ROW_BYTES: usize = 1 << 20;

/// How cells are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    pub delimiter: u8,
    pub quoting: Quoting,
}

/// What `"` at the start of a cell means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoting {
    /// The cell goes on to the closing quote, over delimiters and line ends; `""` inside is one quote.
    Quoted,
    /// Nothing: a cell ends at the delimiter.
    Plain,
}

/// A row, or a line that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// The line it starts on, from 1.
    pub line: usize,
    /// Its cells without quotes; none where there is a flaw.
    pub cells: Vec<Cow<'a, [u8]>>,
    /// How many of the cells were quoted.
    pub quoted: usize,
    pub flaw: Option<Flaw>,
}

/// Why a line is no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    TooLong,
    Unclosed,
    AfterQuote,
}

impl Flaw {
    /// The reason, for people.
    pub fn reason(self) -> String {
        match self {
            Self::TooLong => format!("the row is longer than {MAX_ROW_BYTES} bytes"),
            Self::Unclosed => "a cell starts with a quote (\") that is not closed".to_owned(),
            Self::AfterQuote => {
                "text follows the closing quote (\") of a cell; quotes inside are written twice".to_owned()
            }
        }
    }
}

/// Goes through text row by row. Empty lines are passed over.
#[derive(Clone, Debug)]
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    dialect: Dialect,
    /// What follows the last row.
    next: Place,
    /// What follows the last row's first line.
    second_line: Place,
    /// How many bytes may still be read in vain, behind quotes that are not closed. Without it, a file made for the purpose would be
    /// read anew from each of its lines. Once it is spent, quoted cells end on their line.
    patience: usize,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    offset: usize,
    line: usize,
}

impl<'a> Records<'a> {
    pub fn new(bytes: &'a [u8], dialect: Dialect) -> Self {
        let start = Place { offset: 0, line: 1 };
        let patience = (16 << 20) + bytes.len().saturating_mul(4);
        Self { bytes, dialect, next: start, second_line: start, patience }
    }

    /// Goes on with the line after the first of the last row, whose further lines were not its own.
    pub fn go_back_to_second_line(&mut self) {
        self.patience = self.patience.saturating_sub(self.next.offset - self.second_line.offset);
        self.next = self.second_line;
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        loop {
            let Place { offset, line } = self.next;
            let rest = self.bytes.get(offset..).filter(|rest| !rest.is_empty())?;
            let (first, length) = first_line(rest);
            self.second_line = Place { offset: offset + length, line: line + 1 };
            self.next = self.second_line;
            if first.is_empty() {
                continue;
            }
            let record = |cells, quoted, flaw| Some(Record { line, cells, quoted, flaw });
            if self.dialect.quoting == Quoting::Plain || !first.contains(&b'"') {
                if first.len() > MAX_ROW_BYTES {
                    return record(Vec::new(), 0, Some(Flaw::TooLong));
                }
                let delimiter = self.dialect.delimiter;
                return record(first.split(|&byte| byte == delimiter).map(Cow::Borrowed).collect(), 0, None);
            }
            let limit = if self.patience == 0 { length } else { MAX_ROW_BYTES + 2 };
            return match split_quoted(rest.get(..limit).unwrap_or(rest), self.dialect.delimiter) {
                Ok(Split { cells, quoted, length }) => {
                    let lines = count_lines(rest.get(..length).unwrap_or(rest));
                    self.next = Place { offset: offset + length, line: line + lines };
                    record(cells, quoted, None)
                }
                Err((flaw, read)) => {
                    self.patience = self.patience.saturating_sub(read);
                    record(Vec::new(), 0, Some(flaw))
                }
            };
        }
    }
}

/// The first line without its end, and its length with it.
fn first_line(bytes: &[u8]) -> (&[u8], usize) {
    match bytes.iter().position(|&byte| byte == b'\n') {
        None => (bytes.strip_suffix(b"\r").unwrap_or(bytes), bytes.len()),
        Some(end) => {
            let (line, _) = bytes.split_at(end);
            (line.strip_suffix(b"\r").unwrap_or(line), end + 1)
        }
    }
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte == b'\n').count().max(1)
}

/// One row of quoted text.
struct Split<'a> {
    cells: Vec<Cow<'a, [u8]>>,
    quoted: usize,
    /// With the end of its line.
    length: usize,
}

/// The first row of text, or what is wrong with it and how much was read to find out.
fn split_quoted(bytes: &[u8], delimiter: u8) -> Result<Split<'_>, (Flaw, usize)> {
    let (mut cells, mut quoted, mut rest) = (Vec::new(), 0, bytes);
    loop {
        if let Some(inside) = rest.strip_prefix(b"\"") {
            let end = closing_quote(inside).ok_or((Flaw::Unclosed, bytes.len()))?;
            let (cell, after) = inside.split_at(end);
            cells.push(unescape(cell));
            quoted += 1;
            rest = after.get(1..).unwrap_or_default();
        } else {
            let end = rest.iter().position(|&byte| byte == delimiter || byte == b'\n').unwrap_or(rest.len());
            let (cell, after) = rest.split_at(end);
            let is_last = after.first() != Some(&delimiter);
            cells.push(Cow::Borrowed(cell.strip_suffix(b"\r").filter(|_| is_last).unwrap_or(cell)));
            rest = after;
        }
        match rest {
            [] if bytes.len() > MAX_ROW_BYTES => return Err((Flaw::TooLong, bytes.len())),
            [] | [b'\r'] => return Ok(Split { cells, quoted, length: bytes.len() }),
            [b'\n', after @ ..] | [b'\r', b'\n', after @ ..] => {
                return Ok(Split { cells, quoted, length: bytes.len() - after.len() });
            }
            [first, after @ ..] if *first == delimiter => rest = after,
            _ => return Err((Flaw::AfterQuote, bytes.len() - rest.len())),
        }
    }
}

/// Where the first quote stands that is not doubled.
fn closing_quote(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + bytes.get(from..)?.iter().position(|&byte| byte == b'"')?;
        if bytes.get(at + 1) != Some(&b'"') {
            return Some(at);
        }
        from = at + 2;
    }
}

/// A quoted cell's content: doubled quotes are one.
fn unescape(cell: &[u8]) -> Cow<'_, [u8]> {
    if !cell.contains(&b'"') {
        return Cow::Borrowed(cell);
    }
    let mut content = Vec::with_capacity(cell.len());
    let mut is_second = false;
    for &byte in cell {
        is_second = byte == b'"' && !is_second;
        if !is_second {
            content.push(byte);
        }
    }
    Cow::Owned(content)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use tk_engine::random::Stream;

    use super::*;

    const COMMA: Dialect = Dialect { delimiter: b',', quoting: Quoting::Quoted };

    fn read(text: &[u8], dialect: Dialect) -> Vec<String> {
        let show = |record: Record<'_>| match record.flaw {
            Some(flaw) => format!("{} {flaw:?}", record.line),
            None => {
                let cells: Vec<_> =
                    record.cells.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
                format!("{} {}", record.line, cells.join("|"))
            }
        };
        Records::new(text, dialect).map(show).collect()
    }

    #[test]
    fn rows_know_their_line_and_flaws_stay_on_theirs() {
        let cases: [(&str, &[&str]); 9] = [
            ("a,b\r\n\r\nc,d", &["1 a|b", "3 c|d"]),
            ("\"a,\"\"x\"\"\ny\",b\r\nc,d\n", &["1 a,\"x\"\ny|b", "3 c|d"]),
            ("\"\",\n,\"\"", &["1 |", "2 |"]),
            ("a \"b\" c,5\"\nd,e", &["1 a \"b\" c|5\"", "2 d|e"]),
            ("\"open,1\nb,2\nc,3", &["1 Unclosed", "2 b|2", "3 c|3"]),
            ("\"a\" b,1\nc,2", &["1 AfterQuote", "2 c|2"]),
            ("\"a\"\r", &["1 a"]),
            ("\"\"\"\"", &["1 \""]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text.as_bytes(), COMMA), expected, "{text:?}");
        }
        let plain = Dialect { delimiter: b'\t', quoting: Quoting::Plain };
        assert_eq!(read(b"\"a\tb\n\"c\" d\te\"", plain), ["1 \"a|b", "2 \"c\" d|e\""]);
    }

    #[test]
    fn long_rows_cost_themselves_only() {
        let long = "x".repeat(MAX_ROW_BYTES + 1);
        for text in [format!("a,b\n{long},1\nc,d"), format!("a,b\n\"{long}\",1\nc,d")] {
            let rows = read(text.as_bytes(), COMMA);
            assert_eq!((rows.len(), &*rows[0], &*rows[2]), (3, "1 a|b", "3 c|d"));
            assert!(rows[1] == "2 TooLong" || rows[1] == "2 Unclosed", "{}", rows[1]);
        }
        let fits = "x".repeat(MAX_ROW_BYTES - 2);
        assert_eq!(read(format!("{fits},1\nc,d").as_bytes(), COMMA).len(), 2);
        assert_eq!(read(format!("\"{}\",1\nc,d", &fits[2..]).as_bytes(), COMMA)[1], "2 c|d");
    }

    #[test]
    fn quotes_that_open_on_every_line_do_not_take_for_ever() {
        let text = "a\",\"b\n".repeat(500_000);
        let rows = Records::new(text.as_bytes(), COMMA);
        assert_eq!(rows.filter(|record| record.flaw.is_some()).count(), 500_000);
    }

    #[test]
    fn well_formed_text_is_read_as_the_csv_library_reads_it() {
        let mut stream = Stream::new(3, &["records".into()]);
        for _ in 0..300 {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for _ in 0..1 + stream.below(5) {
                let cells = (0..2 + stream.below(3)).map(|_| {
                    (0..stream.below(6)).map(|_| b"ab,\"\n\r;"[stream.below(7)] as char).collect::<String>()
                });
                writer.write_record(cells.collect::<Vec<_>>()).unwrap();
            }
            let text = writer.into_inner().unwrap();
            let ours: Vec<Vec<Vec<u8>>> = Records::new(&text, COMMA)
                .map(|record| record.cells.into_iter().map(Cow::into_owned).collect())
                .collect();
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&*text);
            let theirs: Vec<Vec<Vec<u8>>> = reader
                .byte_records()
                .map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect())
                .collect();
            assert_eq!(ours, theirs, "{:?}", String::from_utf8_lossy(&text));
        }
    }
}

//! Which delimiter and which quoting a text was written with: those under which its lines agree most.

use std::collections::BTreeMap;

use super::records::{Dialect, Quoting, Records};

/// The delimiter is told from this much of the text.
const SAMPLE_BYTES: usize = 1 << 20;

/// A delimiter must give this share of the lines the same number of cells.
const LEAST_AGREEMENT: f64 = 0.5;

/// A delimiter that stands behind another in the order of preference must agree better by more than this.
const MARGIN: f64 = 0.02;

/// The dialect of a text, and how many cells most of its rows have. `is_tabbed` says what the file's name says.
pub(super) fn guess_dialect(text: &[u8], is_tabbed: bool) -> (Dialect, usize) {
    let preference = if is_tabbed { [b'\t', b',', b';'] } else { [b',', b';', b'\t'] };
    let sample = head(text);
    let mut best: Option<(f64, u8)> = None;
    for delimiter in preference {
        let agreement = [Quoting::Quoted, Quoting::Plain]
            .map(|quoting| Tally::count(sample, Dialect { delimiter, quoting }))
            .iter()
            .filter(|tally| tally.width > 1)
            .map(Tally::agreement)
            .fold(0.0, f64::max);
        if agreement >= LEAST_AGREEMENT && best.is_none_or(|(other, _)| agreement > other + MARGIN) {
            best = Some((agreement, delimiter));
        }
    }
    let delimiter = best.map_or(preference[0], |(_, delimiter)| delimiter);
    // Quotes may first occur far down, so here the whole text counts.
    let [quoted, plain] = [Quoting::Quoted, Quoting::Plain].map(|quoting| Dialect { delimiter, quoting });
    let (as_quoted, as_plain) = (Tally::count(text, quoted), Tally::count(text, plain));
    if as_quoted.is_quoted(&as_plain) { (quoted, as_quoted.width) } else { (plain, as_plain.width) }
}

/// The first lines of a text.
fn head(text: &[u8]) -> &[u8] {
    let Some(head) = text.get(..SAMPLE_BYTES) else { return text };
    let end = head.iter().rposition(|&byte| byte == b'\n').map_or(SAMPLE_BYTES, |end| end + 1);
    head.get(..end).unwrap_or(head)
}

/// What reading a text in some dialect gives.
struct Tally {
    records: usize,
    /// Those without flaw and with the usual number of cells.
    agreeing: usize,
    /// The usual number of cells; of equally usual ones the largest.
    width: usize,
    /// Rows with quoted cells.
    quoted: usize,
    flawed: usize,
}

impl Tally {
    fn count(text: &[u8], dialect: Dialect) -> Self {
        let (mut records, mut quoted, mut flawed) = (0, 0, 0);
        let mut widths: BTreeMap<usize, usize> = BTreeMap::new();
        for record in Records::new(text, dialect) {
            records += 1;
            match record.flaw {
                Some(_) => flawed += 1,
                None => {
                    quoted += usize::from(record.quoted > 0);
                    *widths.entry(record.cells.len()).or_default() += 1;
                }
            }
        }
        let usual = widths.into_iter().max_by_key(|&(width, count)| (count, width));
        let (width, agreeing) = usual.unwrap_or((0, 0));
        Self { records, agreeing, width, quoted, flawed }
    }

    fn agreement(&self) -> f64 {
        self.agreeing as f64 / self.records.max(1) as f64
    }

    /// Whether quotes are quoting, given what comes out when they are not: they are, when lines then agree at least as well, or when
    /// nearly all of them come in pairs.
    fn is_quoted(&self, plain: &Self) -> bool {
        self.agreement() >= plain.agreement() || self.flawed * 10 <= self.quoted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dialect_is_the_one_that_fits() {
        use Quoting::{Plain, Quoted};
        let sentences = "a , b , c\t1\n\"an open quote , here\t0\nx , y\t1\nso \"it\" goes , on\t1\n";
        let one_broken = format!("{}\"broken,1\n", "\"good\",1\n".repeat(20));
        let cases: [(&str, bool, u8, Quoting, usize); 11] = [
            ("text,label\na,1\nb,0\n", false, b',', Quoted, 2),
            ("text;label\na;1\n\"b;c\";0\n", false, b';', Quoted, 2),
            ("text;label\n1,5;2\n2,5;0\n", false, b';', Quoted, 2),
            ("text\tlabel\na, b\t1\nb, c, d\t0\n", false, b'\t', Quoted, 2),
            ("text\tlabel\na, b\t1\nb, c\t0\n", true, b'\t', Quoted, 2),
            ("a,b,c\n1,2,3\n", true, b',', Quoted, 3),
            (sentences, true, b'\t', Plain, 2),
            (sentences, false, b'\t', Plain, 2),
            ("\"a, \"\"b\"\"\",1\n\"c\nd\",0\ne,1\n", false, b',', Quoted, 2),
            (&one_broken, false, b',', Quoted, 2),
            ("only\nsentences, some\nhere\n", false, b',', Quoted, 1),
        ];
        for (text, is_tabbed, delimiter, quoting, width) in cases {
            assert_eq!(
                guess_dialect(text.as_bytes(), is_tabbed),
                (Dialect { delimiter, quoting }, width),
                "{text}"
            );
        }
    }
}

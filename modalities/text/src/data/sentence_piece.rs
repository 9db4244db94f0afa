//! SentencePiece's files (Kudo and Richardson 2018, arXiv 1808.06226): a serialised `ModelProto`, of which the pieces, the kind of model and
//! the map of characters are read.
//!
//! Fields are numbered as in `sentencepiece_model.proto`, encoded as protocol buffers are; what is not needed is passed over.

/// A SentencePiece model.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SentencePiece {
    /// In the order of their numbers.
    pub pieces: Vec<Piece>,
    /// Whether it is a Unigram model (Kudo 2018, arXiv 1804.10959).
    pub is_unigram: bool,
    /// How characters are normalised, in SentencePiece's compiled form; empty where they are not.
    pub characters: Vec<u8>,
}

/// A piece of words.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    pub text: String,
    /// The logarithm of its probability.
    pub score: f32,
    pub kind: PieceKind,
}

/// What a piece is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// Text, or what stands for unknown, unused or single bytes.
    Plain,
    /// A mark that no text becomes.
    Control,
    /// Text that is never divided.
    UserDefined,
}

/// The kind of model that a file without a kind has, and that is read here.
const UNIGRAM: u64 = 1;

impl SentencePiece {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut model = Self { is_unigram: true, ..Self::default() };
        let mut fields = Fields(bytes);
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Bytes(bytes)) => model.pieces.push(Piece::read(bytes)?),
                (2, Field::Bytes(bytes)) => {
                    let mut trainer = Fields(bytes);
                    while let Some((number, field)) = trainer.next()? {
                        if let (3, Field::Number(kind)) = (number, field) {
                            model.is_unigram = kind == UNIGRAM;
                        }
                    }
                }
                (3, Field::Bytes(bytes)) => {
                    let mut normalizer = Fields(bytes);
                    while let Some((number, field)) = normalizer.next()? {
                        if let (2, Field::Bytes(map)) = (number, field) {
                            model.characters = map.to_vec();
                        }
                    }
                }
                _ => {}
            }
        }
        if model.pieces.is_empty() { Err("it has no pieces") } else { Ok(model) }
    }

    /// The number of a piece.
    pub fn find(&self, text: &str) -> Option<usize> {
        self.pieces.iter().position(|piece| piece.text == text)
    }
}

impl Piece {
    fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut piece = Self { text: String::new(), score: 0.0, kind: PieceKind::Plain };
        let mut fields = Fields(bytes);
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Bytes(bytes)) => {
                    let text = std::str::from_utf8(bytes).map_err(|_| "a piece is not UTF-8")?;
                    piece.text = text.to_owned();
                }
                (2, Field::Word(bits)) => piece.score = f32::from_bits(bits),
                (3, Field::Number(3)) => piece.kind = PieceKind::Control,
                (3, Field::Number(4)) => piece.kind = PieceKind::UserDefined,
                _ => {}
            }
        }
        if piece.score.is_finite() { Ok(piece) } else { Err("a piece's score is not finite") }
    }
}

/// The fields of a message that are still to be read.
struct Fields<'a>(&'a [u8]);

/// A field's value.
enum Field<'a> {
    Number(u64),
    Word(u32),
    Bytes(&'a [u8]),
    /// Eight bytes, of which none is needed.
    Long,
}

impl<'a> Fields<'a> {
    /// The next field and its number; none at the end.
    fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, &'static str> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.number()?;
        let field = match key & 7 {
            0 => Field::Number(self.number()?),
            1 => self.take(8).map(|_| Field::Long)?,
            2 => {
                let length = usize::try_from(self.number()?).map_err(|_| CUT)?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Word(self.take(4)?.try_into().map(u32::from_le_bytes).map_err(|_| CUT)?),
            _ => return Err("it is no SentencePiece model"),
        };
        Ok(Some((key >> 3, field)))
    }

    /// A number in groups of seven bits, the lowest first.
    fn number(&mut self) -> Result<u64, &'static str> {
        let mut number = 0;
        for group in 0..10 {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << (7 * group);
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err("a number in it never ends")
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }
}

/// The file is shorter than what it says.
const CUT: &str = "it ends too early";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Two pieces, BPE, a map of two bytes, and fields that are passed over.
    const MODEL: [u8; 41] = [
        0x0a, 12, 0x0a, 3, b'<', b's', b'>', 0x15, 0, 0, 0, 0, 0x18, 3, // <s>, control
        0x0a, 8, 0x0a, 1, b'a', 0x15, 0, 0, 0x80, 0xbf, // a, −1
        0x12, 5, 0x18, 2, 0x20, 0xe8, 0x07, // model_type 2, vocab_size 1000
        0x1a, 7, 0x0a, 1, b'x', 0x12, 2, 7, 8,    // name, map
        0x20, // a key without a value
    ];

    #[test]
    fn what_is_needed_is_read_and_the_rest_passed_over() {
        let model = SentencePiece::read(&MODEL[..40]).unwrap();
        let piece = |text: &str, score, kind| Piece { text: text.into(), score, kind };
        assert_eq!(model.pieces, [piece("<s>", 0.0, PieceKind::Control), piece("a", -1.0, PieceKind::Plain)]);
        assert_eq!((model.is_unigram, model.characters.as_slice()), (false, &[7, 8][..]));
        assert_eq!((model.find("a"), model.find("b")), (Some(1), None));
    }

    #[test]
    fn damage_is_told() {
        for (bytes, expected) in [
            (&MODEL[..], CUT),
            (&MODEL[..9], CUT),
            (&[], "it has no pieces"),
            (b"{\"model\": 1}", "it is no SentencePiece model"),
            (&[0x80; 12], "a number in it never ends"),
            (&[0x0a, 3, 0x0a, 1, 0xff], "a piece is not UTF-8"),
            (&[0x0a, 5, 0x15, 0, 0, 0xc0, 0x7f], "a piece's score is not finite"),
        ] {
            assert_eq!(SentencePiece::read(bytes).unwrap_err(), expected);
        }
    }
}

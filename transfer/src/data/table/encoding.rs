//! From the bytes of a file to UTF-8 with `\n` at the end of lines that a table's reader expects.

use std::borrow::Cow;

/// A byte that occurs in no UTF-8 text: it stands for what could not be decoded, and makes its row (and no other) unusable.
const INVALID: u8 = 0xff;

/// The two orders of the bytes of a UTF-16 unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

/// Text as UTF-8 without byte-order mark; UTF-16 is told by its mark, or by every other byte being zero.
///
/// What is wrong in the text stays wrong: the result need not be valid UTF-8, and its invalid places are where the file's were.
/// Lines that end in `\r` alone, as on old Macintoshes, end in `\n` afterwards.
pub fn decode(bytes: &[u8]) -> Cow<'_, [u8]> {
    let text = if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        Cow::Borrowed(rest)
    } else if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        Cow::Owned(decode_utf16(rest, Order::Little))
    } else if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        Cow::Owned(decode_utf16(rest, Order::Big))
    } else if let Some(order) = unmarked_utf16(bytes) {
        Cow::Owned(decode_utf16(bytes, order))
    } else {
        Cow::Borrowed(bytes)
    };
    if text.contains(&b'\r') && !text.contains(&b'\n') {
        return Cow::Owned(text.iter().map(|&byte| if byte == b'\r' { b'\n' } else { byte }).collect());
    }
    text
}

fn decode_utf16(bytes: &[u8], order: Order) -> Vec<u8> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|&pair| match order {
        Order::Little => u16::from_le_bytes(pair),
        Order::Big => u16::from_be_bytes(pair),
    });
    let mut text = Vec::with_capacity(bytes.len());
    for decoded in char::decode_utf16(units) {
        match decoded {
            Ok(character) => text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(_) => text.push(INVALID),
        }
    }
    if !rest.is_empty() {
        text.push(INVALID);
    }
    text
}

/// The byte order of UTF-16 without a mark: most characters of a table are ASCII (delimiters, digits, line ends), and their high
/// bytes are zero, which in UTF-8 only the character NUL is.
fn unmarked_utf16(bytes: &[u8]) -> Option<Order> {
    let (pairs, _) = bytes.get(..bytes.len().min(4096))?.as_chunks::<2>();
    let high_little = pairs.iter().filter(|pair| pair[1] == 0 && pair[0] != 0).count();
    let high_big = pairs.iter().filter(|pair| pair[0] == 0 && pair[1] != 0).count();
    let most = pairs.len().div_ceil(2).max(2);
    match (high_little >= most, high_big >= most) {
        (true, false) => Some(Order::Little),
        (false, true) => Some(Order::Big),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, order: Order) -> Vec<u8> {
        let bytes = |unit: u16| if order == Order::Little { unit.to_le_bytes() } else { unit.to_be_bytes() };
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn every_encoding_gives_the_same_text() {
        let text = "text,label\nÜber 🦀,1\nbé,0\n";
        let with_mark = |mark: &[u8], rest: Vec<u8>| [mark, &rest].concat();
        let cases = [
            text.as_bytes().to_vec(),
            with_mark(b"\xef\xbb\xbf", text.as_bytes().to_vec()),
            with_mark(b"\xff\xfe", utf16(text, Order::Little)),
            with_mark(b"\xfe\xff", utf16(text, Order::Big)),
            utf16(text, Order::Little),
            utf16(text, Order::Big),
            text.replace('\n', "\r").into_bytes(),
        ];
        for (index, case) in cases.iter().enumerate() {
            assert_eq!(String::from_utf8_lossy(&decode(case)), text, "case {index}");
        }
    }

    #[test]
    fn damage_stays_where_it_is() {
        // A lone surrogate in the second line, and half a unit at the end.
        let mut bytes = b"\xff\xfe".to_vec();
        bytes.extend(utf16("a\nb", Order::Little));
        bytes.extend([0x00, 0xd8]);
        bytes.extend(utf16("\nc", Order::Little));
        bytes.push(b'x');
        assert_eq!(&*decode(&bytes), b"a\nb\xff\nc\xff");
        for short in [&b""[..], b"\xff", b"a", b"\xff\xfe", b"\0\0"] {
            let _ = decode(short);
        }
    }
}

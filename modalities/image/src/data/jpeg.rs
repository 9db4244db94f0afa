//! Is a JPEG file whole? The decoder fills what is missing with grey and says nothing, so the markers are walked here.
//!
//! Marker syntax: ITU-T T.81, annex B.

/// Whether the end-of-image marker is reached, walking segments and entropy-coded data from the start. Bytes after it (a second
/// frame, padding) are nobody's business; an end marker inside a segment (the thumbnail in EXIF) is not the picture's.
pub fn is_complete(bytes: &[u8]) -> bool {
    const END_OF_IMAGE: u8 = 0xD9;
    const START_OF_SCAN: u8 = 0xDA;
    let mut rest = bytes.get(2..).unwrap_or_default();
    let mut in_scan = false;
    loop {
        // The next marker: 0xFF, any number of 0xFF as filling, then a code that is neither a stuffed zero nor a restart.
        let Some(start) = rest.iter().position(|&byte| byte == 0xFF) else { return false };
        rest = rest.get(start + 1..).unwrap_or_default();
        let Some(&code) = rest.first() else { return false };
        match code {
            0xFF => continue,
            0x00 | 0x01 | 0xD0..=0xD7 => {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            END_OF_IMAGE => return true,
            // Inside entropy-coded data, lengths of unknown markers are noise: look for the next marker instead.
            0x02..=0xBF if in_scan => continue,
            _ => {}
        }
        let &[code, high, low, ..] = rest else { return false };
        in_scan = code == START_OF_SCAN;
        let length = usize::from(u16::from_be_bytes([high, low]));
        match rest.get(1 + length..) {
            Some(after) => rest = after,
            None => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_marker_must_stand_outside_every_segment() {
        let scan: &[u8] = &[0xFF, 0xDA, 0, 2, 1, 2, 0xFF, 0x00, 3, 0xFF, 0xD0, 4];
        let exif_with_thumbnail: &[u8] = &[0xFF, 0xE1, 0, 6, 0xFF, 0xD8, 0xFF, 0xD9];
        let end: &[u8] = &[0xFF, 0xD9];
        for (name, parts, complete) in [
            ("whole", vec![scan, end], true),
            ("thumbnail", vec![exif_with_thumbnail, scan, end], true),
            ("two scans", vec![scan, scan, end], true),
            ("filling", vec![scan, &[0xFF, 0xFF], end], true),
            ("trailing bytes", vec![scan, end, &[0, 0, 0]], true),
            ("end missing", vec![scan], false),
            ("cut in the marker", vec![scan, &[0xFF]], false),
            ("zeros instead of the rest", vec![scan, &[0; 64]], false),
            ("only the thumbnail ends", vec![exif_with_thumbnail, scan], false),
            ("cut in a segment", vec![&exif_with_thumbnail[..4]], false),
            ("cut in a length", vec![&exif_with_thumbnail[..3]], false),
            ("nothing", vec![], false),
        ] {
            let mut bytes = vec![0xFF, 0xD8];
            bytes.extend(parts.concat());
            assert_eq!(is_complete(&bytes), complete, "{name}");
        }
        assert!(!is_complete(&[]));
    }
}

//! Masks in runs and from outlines against pycocotools'; masks.py made the numbers.

use serde::Deserialize;
use tk_image::masks::{Mask, OutlineError, RunsError};

#[derive(Deserialize)]
struct Reference {
    masks: Vec<Entry>,
    drawn: Vec<Drawn>,
}

#[derive(Deserialize)]
struct Entry {
    size: [usize; 2],
    /// A digit for each.
    pixels: String,
    packed: String,
    area: usize,
    bounds: [usize; 4],
}

#[derive(Deserialize)]
struct Drawn {
    size: [usize; 2],
    outlines: Vec<Vec<f64>>,
    packed: String,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("masks.json")).unwrap()
}

#[test]
fn runs_are_pycocotools() {
    let masks = reference().masks;
    assert!(masks.len() > 20);
    for Entry { size, pixels, packed, area, bounds } in &masks {
        let pixels: Vec<u8> = pixels.bytes().map(|digit| digit - b'0').collect();
        let mask = Mask::from_pixels(size[1], &pixels);
        assert_eq!(mask.size(), *size);
        assert_eq!(mask.packed(), *packed);
        assert_eq!(Mask::from_packed(size[0], size[1], packed).unwrap(), mask);
        assert_eq!(Mask::from_runs(size[0], size[1], mask.runs().to_vec()).unwrap(), mask);
        assert_eq!(mask.pixels(), pixels, "{packed}");
        assert_eq!((mask.area(), mask.bounds()), (*area, *bounds), "{packed}");
    }
}

#[test]
fn outlines_are_drawn_as_pycocotools_draws_them() {
    let drawn = reference().drawn;
    assert!(drawn.len() > 20);
    for Drawn { size: [height, width], outlines, packed } in &drawn {
        let mask = Mask::from_outlines(*height, *width, outlines).unwrap();
        assert_eq!(mask.packed(), *packed, "{outlines:?}");
    }
    assert_eq!(Mask::from_outlines(4, 5, &[]).unwrap().area(), 0);
}

#[test]
fn what_is_no_mask_is_refused() {
    let area = RunsError::Area { height: 2, width: 3, found: 7 };
    assert_eq!(Mask::from_runs(2, 3, vec![3, 4]), Err(area));
    assert!(matches!(Mask::from_runs(2, 3, vec![usize::MAX, 7]), Err(RunsError::Area { .. })));
    let packed = |text: &str| Mask::from_packed(2, 3, text).unwrap_err();
    assert_eq!(packed("12!"), RunsError::Character { found: '!', place: 2 });
    assert_eq!(packed("12ü"), RunsError::Character { found: 'ü', place: 2 });
    // The last number goes on and does not; a run below 0; one that never ends.
    assert_eq!(packed("1P"), RunsError::Length { run: 1 });
    assert_eq!(packed("O"), RunsError::Length { run: 0 });
    assert_eq!(packed(&"o".repeat(40)), RunsError::Length { run: 0 });
    assert_eq!(packed("12"), RunsError::Area { height: 2, width: 3, found: 3 });
    let outline = |corners: &[f64]| Mask::from_outlines(9, 9, &[corners.to_vec()]).unwrap_err();
    assert_eq!(outline(&[1.0, 2.0, 3.0, 4.0]), OutlineError::Corners(4));
    assert_eq!(outline(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), OutlineError::Corners(7));
    assert_eq!(outline(&[1.0, 2.0, 1e9, 4.0, 5.0, 6.0]), OutlineError::Corner(1e9, 4.0));
    assert!(matches!(outline(&[1.0, 2.0, f64::NAN, 4.0, 5.0, 6.0]), OutlineError::Corner(..)));
}

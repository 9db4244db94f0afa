//! Classes that no file names: numbered by the values or colours of the masks.

use std::collections::{BTreeMap, BTreeSet};

use tk_transfer::data::listing::list_names;

use super::IGNORED;
use super::coding::{Coding, Rule};
use super::error::{SegmentError, numbered};
use super::settle::{Known, Tally, USUALLY_IGNORED, black_and_white, is_black_and_white};
use super::value::hex;

/// A class with less than this share of the pixels is worth a word where masks seem to have been smoothed.
const TINY_SHARE: f64 = 1e-4;

/// So many tiny classes are no accident.
const MANY_TINY: usize = 8;

/// Classes that are named after their values.
///
/// # Errors
/// There are too many.
pub(super) fn found_values(all: &Tally, known: &Known<'_>) -> Result<(Coding, Vec<String>), SegmentError> {
    let mut counts: BTreeMap<u16, u64> = BTreeMap::new();
    for (value, count) in all {
        // By value was asked for, and there is a colour: the samples that have it are set aside.
        let Some(number) = value.number() else { continue };
        *counts.entry(number).or_default() += count;
    }
    let numbers: BTreeSet<u16> = counts.keys().copied().collect();
    let mut notes = Vec::new();
    let is_black_and_white = is_black_and_white(&numbers, known);
    let ignored = match known.ignore {
        Some(ignored) => Some(u16::from(ignored)),
        None => (!is_black_and_white).then_some(USUALLY_IGNORED),
    };
    let values: Vec<u16> = numbers.into_iter().filter(|&number| Some(number) != ignored).collect();
    let name = |&value: &u16| match value {
        0 => "background".to_owned(),
        USUALLY_IGNORED if is_black_and_white => "object".to_owned(),
        value => format!("class_{value}"),
    };
    let classes: Vec<String> = values.iter().map(name).collect();
    check_number(&classes, "values", known)?;
    if is_black_and_white {
        notes.push(black_and_white("object"));
    }
    notes.push(match ignored {
        Some(ignored) => {
            format!("classes found by value: {}; {ignored} is ignored", numbered_by(&values, &classes))
        }
        None => format!("classes found by value: {}", numbered_by(&values, &classes)),
    });
    let total: u64 = counts.values().sum();
    let is_tiny =
        |value: &&u16| counts.get(value).is_some_and(|&count| (count as f64) < TINY_SHARE * total as f64);
    let tiny = values.iter().filter(is_tiny).count();
    if tiny >= MANY_TINY {
        notes.push(format!(
            "{tiny} of {} classes have less than 0.01 % of the pixels each, as masks have that were scaled with smoothing",
            classes.len()
        ));
    }
    let mut rule: BTreeMap<u16, u8> = values.into_iter().zip(0..).collect();
    rule.extend(ignored.map(|ignored| (ignored, IGNORED)));
    let known = format!("the classes are {}", numbered(&classes));
    Ok((Coding { rule: Rule::Numbers(rule), classes, known }, notes))
}

/// Classes that are numbered by colour, black first.
///
/// # Errors
/// There are too many.
pub(super) fn found_colours(all: &Tally, known: &Known<'_>) -> Result<(Coding, Vec<String>), SegmentError> {
    let ignored = known.ignore.map(|ignored| [ignored; 3]);
    let colours: BTreeSet<[u8; 3]> = all.keys().filter_map(|value| value.colour()).collect();
    let colours: Vec<[u8; 3]> = colours.into_iter().filter(|&colour| Some(colour) != ignored).collect();
    let name = |(class, colour): (usize, &[u8; 3])| match colour {
        [0, 0, 0] => "background".to_owned(),
        _ => format!("class_{class}"),
    };
    let classes: Vec<String> = colours.iter().enumerate().map(name).collect();
    check_number(&classes, "colours", known)?;
    let named: Vec<String> =
        colours.iter().zip(&classes).map(|(&colour, class)| format!("{} {class}", hex(colour))).collect();
    let named = list_names(named.iter().map(String::as_str));
    let mut rule: BTreeMap<[u8; 3], u8> = colours.into_iter().zip(0..).collect();
    rule.extend(ignored.map(|ignored| (ignored, IGNORED)));
    let notes = vec![format!("classes found by colour: {named}; name them with NAME,R,G,B in classes.txt")];
    let known = format!("the classes are {named}");
    Ok((Coding { rule: Rule::Colours(rule), classes, known }, notes))
}

fn check_number(classes: &[String], what: &'static str, known: &Known<'_>) -> Result<(), SegmentError> {
    match classes.len() {
        found if found > usize::from(IGNORED) => {
            Err(SegmentError::TooManyClasses { path: known.root.to_owned(), found, what })
        }
        _ => Ok(()),
    }
}

fn numbered_by(values: &[u16], classes: &[String]) -> String {
    let named: Vec<String> =
        values.iter().zip(classes).map(|(value, class)| format!("{value} {class}")).collect();
    list_names(named.iter().map(String::as_str))
}

//! Numbers as people read them.

use tk_transfer::metrics::Interval;

/// A narrow space that does not break, between a number and its unit.
pub const THIN: char = '\u{202f}';

/// What stands for a number that is none.
const NONE: &str = "–";

/// A share as percent with one decimal: `93.4 %`.
pub fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.1}{THIN}%", 100.0 * share) } else { NONE.to_owned() }
}

/// A range of shares: `88.3–96.9 %`.
pub fn percent_range(interval: Interval) -> String {
    if interval.low.is_finite() && interval.high.is_finite() {
        format!("{:.1}–{:.1}{THIN}%", 100.0 * interval.low, 100.0 * interval.high)
    } else {
        NONE.to_owned()
    }
}

/// A score under its fixed name: losses with three decimals, everything else as percent.
pub fn score(name: &str, value: f64) -> String {
    if is_loss(name) { decimal(value) } else { percent(value) }
}

/// Whether a score is a loss, which knows no 100 %.
pub fn is_loss(name: &str) -> bool {
    name == "loss" || name.ends_with("_loss")
}

/// A value with three decimals, or three digits where it is small.
pub fn decimal(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => NONE.to_owned(),
        0.01.. => format!("{value:.3}"),
        _ => significant(value),
    }
}

/// Three significant digits without trailing zeros: `0.001`, `2.5e-5`, `120`.
pub fn significant(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let scientific = format!("{value:.2e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent @ -3..=5) => {
            let text = format!("{value:.*}", usize::try_from(2 - exponent).unwrap_or(0));
            without_zeros(&text).to_owned()
        }
        _ => format!("{}e{exponent}", without_zeros(mantissa)),
    }
}

/// A count with thousands apart: `2,236,682`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count of parameters in a few characters: `1.4 k`, `2.24 M`.
pub fn short_count(value: usize) -> String {
    let exact = value as f64;
    match value {
        0..1_000 => value.to_string(),
        1_000..999_500 => format!("{}{THIN}k", significant(exact / 1e3)),
        999_500..999_500_000 => format!("{}{THIN}M", significant(exact / 1e6)),
        _ => format!("{}{THIN}G", significant(exact / 1e9)),
    }
}

/// A duration: `0.42 s`, `12.3 s`, `2 min 05 s`, `1 h 02 min`.
pub fn seconds(value: f64) -> String {
    let whole = value.round();
    match value {
        _ if !value.is_finite() || value < 0.0 => NONE.to_owned(),
        _ if value < 0.005 => format!("under 0.01{THIN}s"),
        _ if value < 9.995 => format!("{value:.2}{THIN}s"),
        _ if value < 99.95 => format!("{value:.1}{THIN}s"),
        _ if whole < 3600.0 => format!("{}{THIN}min {:02}{THIN}s", (whole / 60.0).floor(), whole % 60.0),
        _ => {
            let minutes = (value / 60.0).round();
            format!("{}{THIN}h {:02}{THIN}min", (minutes / 60.0).floor(), minutes % 60.0)
        }
    }
}

/// A count with its noun: `1 tensor`, `312 tensors`.
pub fn plural(number: usize, noun: &str) -> String {
    let number_text = count(number as u64);
    if number == 1 { format!("{number_text} {noun}") } else { format!("{number_text} {noun}s") }
}

/// A place on a scale of percent for CSS, 0 to 100 whatever the share.
pub fn place(share: f64) -> String {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    format!("{:.1}", 100.0 * share)
}

/// A score's fixed name as a heading.
pub fn metric_title(name: &str) -> String {
    let title = match name {
        "accuracy" => "Accuracy",
        "balanced_accuracy" => "Balanced accuracy",
        "top5_accuracy" => "Top-5 accuracy",
        "macro_f1" => "Macro-F1",
        "micro_f1" => "Micro-F1",
        "entity_f1" => "Entity F1",
        "map" => "Mean average precision",
        "ap" => "AP",
        "ap50" => "AP50",
        "ar100" => "AR100",
        "miou" => "Mean IoU",
        "pixel_accuracy" => "Pixel accuracy",
        "dice" => "Dice",
        "wer" => "Word error rate",
        "cer" => "Character error rate",
        "loss" => "Loss",
        "log_loss" => "Log-loss",
        other => other,
    };
    title.to_owned()
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        text.replace(THIN, " ")
    }

    #[test]
    fn shares_are_percent_and_losses_are_not() {
        for (name, value, expected) in [
            ("accuracy", 0.934_21, "93.4 %"),
            ("accuracy", 1.0, "100.0 %"),
            ("wer", 1.25, "125.0 %"),
            ("loss", 0.5, "0.500"),
            ("log_loss", 12.345_67, "12.346"),
            ("log_loss", 0.001_234_5, "0.00123"),
            ("accuracy", f64::NAN, "–"),
        ] {
            assert_eq!(plain(&score(name, value)), expected, "{name} {value}");
        }
        assert_eq!(plain(&percent_range(Interval { low: 0.8831, high: 0.969 })), "88.3–96.9 %");
    }

    #[test]
    fn digits_are_as_many_as_matter() {
        for (value, expected) in [
            (0.001, "0.001"),
            (0.000_025, "2.5e-5"),
            (0.001_234, "0.00123"),
            (120.0, "120"),
            (100_000.0, "100000"),
            (1e7, "1e7"),
            (0.0, "0"),
            (-2.5, "-2.5"),
            (f64::INFINITY, "–"),
        ] {
            assert_eq!(significant(value), expected, "{value}");
        }
        for (value, expected) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (2_236_682, "2,236,682"), (12_345, "12,345")]
        {
            assert_eq!(count(value), expected);
        }
        for (value, expected) in
            [(999, "999"), (1_354, "1.35 k"), (999_600, "1 M"), (2_236_682, "2.24 M"), (138_357_544, "138 M")]
        {
            assert_eq!(plain(&short_count(value)), expected);
        }
    }

    #[test]
    fn durations_have_the_unit_that_fits() {
        for (value, expected) in [
            (0.0, "under 0.01 s"),
            (0.42, "0.42 s"),
            (9.999, "10.0 s"),
            (59.94, "59.9 s"),
            (125.2, "2 min 05 s"),
            (3599.7, "1 h 00 min"),
            (3720.0, "1 h 02 min"),
            (f64::NAN, "–"),
            (-1.0, "–"),
        ] {
            assert_eq!(plain(&seconds(value)), expected, "{value}");
        }
    }
}

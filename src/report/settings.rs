//! The settings, and where the time went.

use maud::html;

use super::number::{count, percent, place, seconds};
use super::page::Section;
use super::{ReportData, SettingGroup};

/// The key of the whole among parts of the time.
const TOTAL: &str = "total";

/// Resolved settings by group.
pub(super) fn section(groups: &[SettingGroup]) -> Option<Section> {
    if groups.iter().all(|group| group.entries.is_empty()) {
        return None;
    }
    let body = html! {
        div.groups {
            @for group in groups.iter().filter(|group| !group.entries.is_empty()) {
                div {
                    h3 { (group.name) }
                    dl.settings { @for (name, value) in &group.entries { div { dt { (name) } dd { (value) } } } }
                }
            }
        }
    };
    Some(Section { id: "settings", title: "Settings".to_owned(), body })
}

/// Seconds by what they were spent on, and the use of the cache.
pub(super) fn time(report: &ReportData) -> Option<Section> {
    if report.seconds.is_empty() && report.cache.is_none() {
        return None;
    }
    let parts: Vec<_> = report.seconds.iter().filter(|(name, _)| *name != TOTAL).collect();
    let total = report.seconds.get(TOTAL).copied();
    let whole = total.unwrap_or_else(|| parts.iter().map(|(_, value)| **value).sum());
    let body = html! {
        @if !report.seconds.is_empty() {
            table.counts {
                tbody {
                    @for &(name, &value) in &parts {
                        tr {
                            th scope="row" { (name) }
                            td.number { (seconds(value)) }
                            td.wide { span.length style={ "width:" (place(value / whole)) "%" } {} }
                        }
                    }
                }
                @if let Some(total) = total {
                    tfoot { tr { th scope="row" { "total" } td.number { (seconds(total)) } td.wide {} } }
                }
            }
        }
        @if let Some(cache) = report.cache {
            @let all = cache.hits + cache.misses;
            p {
                "Prefix cache: " (count(cache.hits)) " of " (count(all)) " results were remembered"
                @if all > 0 { " (" (percent(cache.hits as f64 / all as f64)) ")" }
                ", " (count(cache.misses)) " computed."
            }
        }
    };
    Some(Section { id: "time", title: "Time".to_owned(), body })
}

#[cfg(test)]
mod tests {
    use super::super::CacheCount;
    use super::*;

    #[test]
    fn parts_are_compared_with_the_whole() {
        let report = ReportData {
            seconds: [("features".to_owned(), 3.0), ("total".to_owned(), 4.0)].into(),
            cache: Some(CacheCount { hits: 0, misses: 0 }),
            ..ReportData::default()
        };
        let text = time(&report).map(|section| section.body.into_string()).unwrap_or_default();
        assert!(text.contains("width:75.0%") && text.contains("0 of 0 results"), "{text}");
        assert!(!text.contains("NaN") && !text.contains("– "), "{text}");
    }

    #[test]
    fn an_empty_group_has_no_heading() {
        let group = |name: &str, entries: &[(&str, &str)]| SettingGroup {
            name: name.into(),
            entries: entries.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        };
        let groups = [group("Optimiser", &[("lr", "0.001")]), group("Augmentation", &[])];
        let text = section(&groups).map(|section| section.body.into_string()).unwrap_or_default();
        assert!(text.contains("Optimiser") && !text.contains("Augmentation"), "{text}");
        assert!(section(&groups[1..]).is_none());
    }
}

//! The page: head, masthead, contents, sections in reading order.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    ReportData, curves, dataset, found, headline, heard, model, pictures, probe, result, settings, tagged,
};

/// The style sheet, which the page carries.
const STYLE: &str = include_str!("style.css");

/// Nothing from outside: the browser itself refuses scripts, fonts and whatever is not in the page.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:";

/// A part of the page that the contents link to.
pub(super) struct Section {
    /// The fragment.
    pub(super) id: &'static str,
    /// The heading.
    pub(super) title: String,
    /// What stands under the heading.
    pub(super) body: Markup,
}

/// The page, a complete HTML document.
pub fn render(report: &ReportData) -> String {
    let sections = sections(report);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta http-equiv="Content-Security-Policy" content=(CONTENT_POLICY);
                title { (report.title) " · transferkit" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (headline::masthead(report))
                @if sections.len() > 1 {
                    nav aria-label="Contents" {
                        @for section in &sections { a href={ "#" (section.id) } { (section.title) } }
                    }
                }
                main {
                    @for section in &sections {
                        section id=(section.id) {
                            h2 { (section.title) }
                            (section.body)
                        }
                    }
                }
                footer {
                    p { "Written by transferkit " (report.version) ", seed " (report.seed) "." }
                }
            }
        }
    };
    page.into_string()
}

/// What there is to tell, in reading order: the result, where it fails, how it came about, what it was made from.
fn sections(report: &ReportData) -> Vec<Section> {
    result::sections(report)
        .into_iter()
        .chain(report.found.iter().flat_map(found::sections))
        .chain(heard::section(&report.heard))
        .chain(tagged::sections(&report.tagged))
        .chain(pictures::mistakes(&report.mistakes))
        .chain(pictures::suspects(&report.suspects))
        .chain(curves::section(&report.records))
        .chain(probe::section(report.probe.as_ref()))
        .chain(dataset::section(&report.data))
        .chain(model::section(report.model.as_ref()))
        .chain(model::audit(&report.audits))
        .chain(settings::section(&report.settings))
        .chain(settings::time(report))
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::specimen;
    use super::*;

    /// Values of every attribute of a name, in order.
    fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
        let opening = format!(" {name}=\"");
        page.split(&opening).skip(1).map(|rest| rest.split_once('"').unwrap().0).collect()
    }

    #[test]
    fn a_section_stands_where_its_data_are_and_nowhere_else() {
        type Removal = fn(&mut ReportData);
        let cases: [(&str, Removal); 13] = [
            ("test", |report| report.test = None),
            ("validation", |report| report.validation = None),
            ("heard", |report| report.heard = Default::default()),
            ("mistakes", |report| report.mistakes = Default::default()),
            ("suspects", |report| report.suspects = Default::default()),
            ("training", |report| report.records.clear()),
            ("probe", |report| report.probe = None),
            ("data", |report| report.data = Default::default()),
            ("model", |report| report.model = None),
            ("audit", |report| report.audits.clear()),
            ("settings", |report| report.settings.clear()),
            ("time", |report| (report.seconds, report.cache) = Default::default()),
            ("next", |report| report.next = None),
        ];
        let full = specimen::fine_tuned();
        let ids = attributes(&render(&full), "id").into_iter().map(str::to_owned).collect::<Vec<_>>();
        for (id, remove) in cases {
            assert!(ids.iter().any(|found| found == id), "{id} is missing");
            let mut without = full.clone();
            remove(&mut without);
            let page = render(&without);
            let expected: Vec<&str> = ids.iter().map(String::as_str).filter(|found| *found != id).collect();
            assert_eq!(attributes(&page, "id"), expected, "without {id}");
            assert!(!page.contains(&format!("#{id}\"")), "a link to {id}, which is not there");
        }
    }

    #[test]
    fn nothing_at_all_is_still_a_page() {
        let page = render(&ReportData { title: "empty".into(), ..ReportData::default() });
        assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"));
        assert_eq!(attributes(&page, "id"), Vec::<&str>::new());
        assert!(!page.contains("<section") && !page.contains("<nav"));
    }

    #[test]
    fn names_are_text_wherever_they_stand() {
        let hostile = "<b>&\"'";
        let page = render(&specimen::named(hostile));
        let escaped = "&lt;b&gt;&amp;&quot;";
        assert!(!page.contains(hostile) && !page.contains("<b>"), "a name became markup");
        assert!(!page.contains("&amp;lt;"), "a name was escaped twice");
        // Title, command, classes in four tables, file names, notes, quarantine, model, stages, tensors, settings, next.
        assert!(page.matches(escaped).count() > 25, "{}", page.matches(escaped).count());
    }

    #[test]
    fn nothing_is_fetched_and_nothing_runs() {
        let page = render(&specimen::fine_tuned());
        let sources = attributes(&page, "src");
        // Five samples and a transcript.
        for (kind, expected) in [("image/jpeg;base64,/9j/", 5), ("audio/wav;base64,UklGR", 6)] {
            let start = format!("data:{kind}");
            assert_eq!(
                sources.iter().filter(|source| source.starts_with(&start)).count(),
                expected,
                "{kind}"
            );
        }
        assert_eq!(sources.len(), 11);
        let links = attributes(&page, "href");
        assert!(links.len() > 5 && links.iter().all(|link| link.starts_with('#')), "{links:?}");
        for forbidden in
            ["<script", "<link", "<iframe", "@import", "url(", "http://", "https://", "onload=", "onclick="]
        {
            assert_eq!(page.find(forbidden), None, "{forbidden}");
        }
    }

    #[test]
    fn the_same_data_give_the_same_bytes() {
        assert_eq!(render(&specimen::fine_tuned()), render(&specimen::fine_tuned()));
    }

    #[test]
    fn a_hundred_classes_stay_small() {
        let page = render(&specimen::of_classes(100));
        assert!(page.len() < 2_000_000, "{} bytes", page.len());
        assert!(page.contains("class 99") && page.contains("<svg"));
    }

    #[test]
    fn tags_are_balanced() {
        const VOID: [&str; 3] = ["meta", "img", "br"];
        for page in [render(&specimen::fine_tuned()), render(&specimen::of_classes(40))] {
            let (_, body) = page.split_once("</style>").unwrap();
            let mut open: Vec<&str> = vec!["html", "head"];
            for tag in body.split('<').skip(1).map(|rest| rest.split_once('>').unwrap().0) {
                let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap();
                if tag.starts_with('/') {
                    assert_eq!(open.pop(), Some(name));
                } else if !VOID.contains(&name) {
                    open.push(name);
                }
            }
            assert_eq!(open, Vec::<&str>::new());
        }
    }
}

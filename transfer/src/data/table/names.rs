//! The names that columns usually have, and those of the parts of a data set.

/// Columns of classes, the likeliest first.
pub(super) const LABELS: [&str; 13] = [
    "label",
    "labels",
    "class",
    "category",
    "target",
    "sentiment",
    "stars",
    "rating",
    "intent",
    "emotion",
    "topic",
    "label_text",
    "y",
];

/// Columns of texts, the likeliest first.
pub(super) const INPUTS: [&str; 20] = [
    "text",
    "sentence",
    "review",
    "content",
    "tweet",
    "comment",
    "message",
    "review_text",
    "review_body",
    "body",
    "document",
    "utterance",
    "sentence1",
    "premise",
    "text_a",
    "question1",
    "question",
    "query",
    "description",
    "title",
];

/// A column of texts, and the one beside it that makes pairs of them.
pub(super) const PAIRS: [(&str, &str); 10] = [
    ("sentence1", "sentence2"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("question", "passage"),
    ("question", "answer"),
    ("query", "passage"),
    ("query", "document"),
];

/// Columns of files, the likeliest first.
pub(super) const PATHS: [&str; 10] =
    ["path", "file", "image", "filename", "file_name", "filepath", "file_path", "image_path", "img", "audio"];

/// Columns that say which part of the data a row belongs to.
pub(super) const SPLITS: [&str; 5] = ["split", "subset", "partition", "set", "part"];

/// A column's name in the form of the lists above.
pub(super) fn normalise(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-'], "_")
}

/// Whether a column is called so in many tables.
pub(super) fn is_usual(name: &str) -> bool {
    let name = normalise(name);
    let of_pairs = PAIRS.iter().flat_map(|&(first, second)| [first, second]);
    LABELS.into_iter().chain(INPUTS).chain(PATHS).chain(SPLITS).chain(of_pairs).any(|usual| usual == name)
}

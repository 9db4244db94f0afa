//! What can be wrong with a data set as a whole.

/// An error about samples, their classes and their parts.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DataError {
    /// There is nothing to work with.
    #[error("there are no samples to {purpose}")]
    Empty {
        /// What they were wanted for.
        purpose: &'static str,
    },
    /// A class cannot stand on both sides of a split.
    #[error(
        "class `{class}` has {samples} sample(s) in {groups} group(s), and {purpose} needs at least 2 groups of \
         each class (a sample without a group counts as one); add samples, leave the class out, or give validation data"
    )]
    TooFew {
        /// The class's name.
        class: String,
        /// How many samples it has.
        samples: usize,
        /// In how many groups they are.
        groups: usize,
        /// What was to be done.
        purpose: &'static str,
    },
    /// Groups are tied together so that no division of them has every class on two sides.
    #[error(
        "no way was found to {purpose} with class `{class}` on two sides without cutting a group; \
         its {samples} sample(s) are in {groups} groups that other classes need too"
    )]
    Entangled {
        /// The class's name.
        class: String,
        /// How many samples it has.
        samples: usize,
        /// In how many groups they are.
        groups: usize,
        /// What was to be done.
        purpose: &'static str,
    },
    /// A list that should have one entry per sample has another length.
    #[error("{what}: expected {expected} entries, one per sample, found {found}")]
    Length {
        /// Which list.
        what: &'static str,
        /// The number of samples.
        expected: usize,
        /// The number of entries.
        found: usize,
    },
    /// A label outside the list of classes.
    #[error("sample {sample}: label {label} is not one of the {classes} classes (0 to {})", classes.saturating_sub(1))]
    Label {
        /// The sample's position.
        sample: usize,
        /// Its label.
        label: usize,
        /// The number of classes.
        classes: usize,
    },
    /// Two samples have the same identity.
    #[error("two samples are called `{id}`; identities must differ")]
    SameId {
        /// The identity.
        id: String,
    },
    /// A share that is not between 0 and 1, or a number of folds below 2.
    #[error("{what}: expected {expected}, found {found}")]
    Option {
        /// Which setting.
        what: &'static str,
        /// What is allowed.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// More samples were unusable than the user allowed.
    #[error(
        "{bad} of {total} samples cannot be used, and the limit is {limit}; the first is `{first}`: {reason}. \
         Repair or remove them, or raise the limit with --max-bad"
    )]
    TooManyBad {
        /// How many were quarantined.
        bad: usize,
        /// How many there are.
        total: usize,
        /// The limit, as the user writes it.
        limit: String,
        /// The first of them.
        first: String,
        /// Why it was quarantined.
        reason: String,
    },
}

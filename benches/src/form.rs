//! How much is measured.

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Enough to see how things stand: what the report uses.
    Short,
    /// More rounds, and more sizes.
    Long,
}

impl Form {
    /// Long if the program was started with `--long`.
    pub fn from_arguments() -> Form {
        if std::env::args().any(|argument| argument == "--long") { Form::Long } else { Form::Short }
    }

    pub(crate) fn either<T>(self, short: T, long: T) -> T {
        match self {
            Form::Short => short,
            Form::Long => long,
        }
    }
}

//! Where a connection was acquired.

use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::sync::{LazyLock, PoisonError, RwLock};

/// Where a connection was acquired: the line of code, and the [label](crate::Acquire::label) that it was
/// given.
///
/// `Display` is `src/orders.rs:81`, or `src/orders.rs:81 (checkout)` with a label.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallSite {
    location: &'static Location<'static>,
    label: Label,
}

impl CallSite {
    #[inline]
    pub(crate) fn new(location: &'static Location<'static>) -> Self {
        CallSite { location, label: Label::NONE }
    }

    #[inline]
    pub(crate) fn of(location: &'static Location<'static>, label: Label) -> Self {
        CallSite { location, label }
    }

    /// Returns the line that called.
    #[track_caller]
    #[inline]
    pub(crate) fn caller() -> Self {
        CallSite::new(Location::caller())
    }

    pub(crate) fn at(self, location: &'static Location<'static>) -> Self {
        CallSite { location, ..self }
    }

    pub(crate) fn with_label(self, label: &'static str) -> Self {
        CallSite { label: Label::new(label), ..self }
    }

    #[inline]
    pub(crate) fn parts(self) -> (&'static Location<'static>, Label) {
        (self.location, self.label)
    }

    /// Returns the line of code.
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// Returns the file of the line, as the compiler names it.
    pub fn file(&self) -> &'static str {
        self.location.file()
    }

    /// Returns the number of the line in its file, from 1 on.
    pub fn line(&self) -> u32 {
        self.location.line()
    }

    /// Returns the label, if it was given one.
    pub fn label(&self) -> Option<&'static str> {
        self.label.text()
    }
}

impl fmt::Display for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file(), self.line())?;
        self.label().map_or(Ok(()), |label| write!(f, " ({label})"))
    }
}

impl fmt::Debug for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A label, by its number: a loan has two bytes to spare, and no room for a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Label(u16);

/// All texts that were ever labels, in this program. A label's number is its place, from 1 on.
#[derive(Default)]
struct Texts {
    texts: Vec<&'static str>,
    labels: HashMap<&'static str, Label>,
}

static TEXTS: LazyLock<RwLock<Texts>> = LazyLock::new(RwLock::default);

impl Label {
    const NONE: Self = Label(0);
    /// All texts for which no number is left.
    const OTHERS: Self = Label(u16::MAX);

    fn new(text: &'static str) -> Self {
        let known = TEXTS.read().unwrap_or_else(PoisonError::into_inner).labels.get(text).copied();
        known.unwrap_or_else(|| TEXTS.write().unwrap_or_else(PoisonError::into_inner).label(text))
    }

    fn text(self) -> Option<&'static str> {
        if self == Label::NONE {
            return None;
        }
        TEXTS.read().unwrap_or_else(PoisonError::into_inner).text(self)
    }
}

impl Texts {
    #[cold]
    fn label(&mut self, text: &'static str) -> Label {
        if let Some(&label) = self.labels.get(text) {
            return label;
        }
        let next = u16::try_from(self.texts.len() + 1).map_or(Label::OTHERS, Label);
        if next != Label::OTHERS {
            self.texts.push(text);
            self.labels.insert(text, next);
        }
        next
    }

    fn text(&self, label: Label) -> Option<&'static str> {
        match label {
            Label::OTHERS => Some("other labels"),
            Label(number) => self.texts.get(usize::from(number).checked_sub(1)?).copied(),
        }
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_call_site_shows_its_line_and_its_label() {
        let plain = CallSite::caller();
        let line = line!() - 1;
        assert_eq!(plain.to_string(), format!("{}:{line}", file!()));
        assert_eq!(plain.label(), None);

        let labelled = plain.with_label("checkout");
        assert_eq!(labelled.to_string(), format!("{}:{line} (checkout)", file!()));
        assert_eq!(labelled.with_label("refund").label(), Some("refund"));
        assert_eq!(labelled, plain.with_label("checkout"));
        assert_ne!(labelled, plain);
    }

    #[test]
    fn labels_that_find_no_number_are_shown_as_others_and_earlier_ones_as_before() {
        let mut texts = Texts::default();
        let first = texts.label("first");
        // It costs less than 65,533 different texts.
        texts.texts.resize(usize::from(u16::MAX) - 2, "filler");
        let last = texts.label("last");
        let late = ["too late", "later"].map(|text| texts.label(text));
        assert_eq!(late, [Label::OTHERS; 2]);
        assert_eq!(texts.text(late[0]), Some("other labels"));
        assert_eq!((texts.text(first), texts.text(last)), (Some("first"), Some("last")));
        assert_eq!((texts.label("first"), texts.label("last")), (first, last));
    }
}

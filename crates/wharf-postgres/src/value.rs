//! One value of a file, and how it is read as what its setting needs.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use wharf::BuildError;
use wharf::connector::Redacted;

/// Any value. What it must be is checked later: an error of the format would show the line of the
/// file, which may have a password in it.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Value {
    Flag(bool),
    Number(i64),
    Text(String),
    Many(Vec<Value>),
    Other(IgnoredAny),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Flag(value) => value.fmt(f),
            Value::Number(value) => value.fmt(f),
            // A URL that was put into another setting.
            Value::Text(value) => write!(f, "{:?}", Redacted(value)),
            Value::Many(values) => {
                let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", values.join(", "))
            }
            Value::Other(_) => f.write_str("a value of another kind"),
        }
    }
}

/// A setting's name and value.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) name: &'static str,
    pub(super) value: &'a Value,
}

/// Settings whose values are never shown.
const SECRET: [&str; 2] = ["password", "url"];

impl<'a> Setting<'a> {
    pub(super) fn text(self) -> Result<&'a str, BuildError> {
        self.value.text().ok_or_else(|| self.rejected("must be a text"))
    }

    pub(super) fn flag(self) -> Result<bool, BuildError> {
        match self.value {
            Value::Flag(flag) => Ok(*flag),
            _ => Err(self.rejected("must be true or false")),
        }
    }

    pub(super) fn count<N: TryFrom<i64>>(self) -> Result<N, BuildError> {
        self.value.number().ok_or_else(|| self.rejected("must be a count"))
    }

    pub(super) fn time(self) -> Result<Duration, BuildError> {
        let time = self.value.text().and_then(time_of).filter(|time| !time.is_zero());
        let reason = "must be a time above zero, such as \"90s\" or \"250ms\"";
        time.ok_or_else(|| self.rejected(reason))
    }

    /// Reads one of these words.
    pub(super) fn word<T: Copy>(self, words: &[(&str, T)]) -> Result<T, BuildError> {
        let is_it = |(word, _): &&(&str, T)| self.value.text() == Some(word);
        words.iter().find(is_it).map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            self.rejected(format!("must be one of {}", words.join(", ")))
        })
    }

    /// Reads one value, or a list of them.
    pub(super) fn many<T>(
        self,
        read: impl Fn(&'a Value) -> Option<T>,
        reason: &str,
    ) -> Result<Vec<T>, BuildError> {
        let values = match self.value {
            Value::Many(values) => values,
            one => std::slice::from_ref(one),
        };
        let read: Option<Vec<_>> = values.iter().map(read).collect();
        read.filter(|values| !values.is_empty()).ok_or_else(|| self.rejected(reason))
    }

    pub(super) fn rejected(self, reason: impl Into<String>) -> BuildError {
        BuildError::new(self.name, self, reason)
    }
}

/// Shows the value unless it is a secret.
impl fmt::Display for Setting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if SECRET.contains(&self.name) { f.write_str("not shown") } else { self.value.fmt(f) }
    }
}

impl Value {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn number<N: TryFrom<i64>>(&self) -> Option<N> {
        match self {
            Value::Number(number) => N::try_from(*number).ok(),
            _ => None,
        }
    }
}

/// Accepts what `wharf::Config` does: no bare numbers, and not `M` for months, which is usually
/// meant as minutes.
fn time_of(words: &str) -> Option<Duration> {
    let is_bare = words.bytes().all(|byte| byte.is_ascii_digit());
    if is_bare || words.contains('M') {
        return None;
    }
    humantime::parse_duration(words).ok()
}

//! Warns of slow statements.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::statements::Statements;

/// When a statement of a connection is slow, and what the warning names.
pub(super) struct Slow {
    pub(super) limit: Duration,
    /// The database, as errors show it.
    pub(super) database: String,
    /// The connection's own, which have the texts of prepared statements.
    pub(super) statements: Arc<Statements>,
}

impl Slow {
    pub(super) fn watch<S: fmt::Debug>(&self, statement: S) -> Watch<'_, S> {
        Watch { slow: self, statement, since: Instant::now(), outcome: "dropped" }
    }
}

/// A statement in progress. Dropping it warns if it was slow.
pub(super) struct Watch<'a, S: fmt::Debug> {
    slow: &'a Slow,
    /// A text, or a prepared statement.
    statement: S,
    since: Instant,
    outcome: &'static str,
}

impl<S: fmt::Debug> Watch<'_, S> {
    /// An error is not shown: the server's detail may contain a parameter.
    pub(super) fn end(mut self, is_ok: bool) {
        self.outcome = if is_ok { "answered" } else { "failed" };
    }

    /// The text in quotes. Of a prepared statement that is not cached only its types and columns are
    /// known.
    fn text(&self) -> String {
        let shown = format!("{:?}", self.statement);
        match self.slow.statements.text_of(&shown) {
            Some(text) => shortened(format!("{text:?}")),
            None => shortened(shown),
        }
    }
}

impl<S: fmt::Debug> Drop for Watch<'_, S> {
    fn drop(&mut self) {
        let took = self.since.elapsed();
        if took < self.slow.limit {
            return;
        }
        tracing::warn!(
            target: "wharf::postgres",
            database = %self.slow.database,
            statement = %self.text(),
            ?took,
            outcome = self.outcome,
            "a slow statement"
        );
    }
}

/// How much of a text is logged, in bytes.
const LONGEST: usize = 1000;

fn shortened(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rfind(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        assert_eq!(shortened("SELECT 1".to_owned()), "SELECT 1");
        let exact = "x".repeat(LONGEST);
        assert_eq!(shortened(exact.clone()), exact);
        assert_eq!(shortened(format!("{exact}y")), format!("{exact}…"));
        // The first half of a character stays out.
        let odd = format!("{}é and more", "x".repeat(LONGEST - 1));
        assert_eq!(shortened(odd), format!("{}…", "x".repeat(LONGEST - 1)));
    }
}

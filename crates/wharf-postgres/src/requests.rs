//! Tracks a borrower's requests on a connection, and what the answers show.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio_postgres::{Error, Row};

use super::failure;
use super::reset::Reset;
use super::slow::{Slow, Watch};
use wharf::connector::Signs;

/// The requests since the connection was last known to be clean.
///
/// Only the connection's one owner reads these, so the atomics need no ordering among each other.
pub(super) struct Requests {
    /// Any request was made.
    any: AtomicBool,
    /// A request may have left a transaction open.
    unknown: AtomicBool,
    /// Requests that have started and are not answered. If this is more than zero after a loan, one
    /// was dropped.
    unanswered: AtomicUsize,
    /// An answer was the session's last, or left client and server out of step.
    lost: AtomicBool,
    /// The server, or a transaction, is read-only.
    refused_to_write: AtomicBool,
    /// A token was taken with which the session can be interrupted at any time.
    token_out: AtomicBool,
    /// What the answers tell about the server.
    signs: Signs,
    slow: Option<Slow>,
}

impl Requests {
    pub(super) fn new(signs: Signs, slow: Option<Slow>) -> Self {
        Requests {
            any: AtomicBool::new(false),
            unknown: AtomicBool::new(false),
            unanswered: AtomicUsize::new(0),
            lost: AtomicBool::new(false),
            refused_to_write: AtomicBool::new(false),
            token_out: AtomicBool::new(false),
            signs,
            slow,
        }
    }

    pub(super) fn signs(&self) -> &Signs {
        &self.signs
    }

    /// A request whose answer is not observed.
    pub(super) fn unknown(&self) {
        self.any.store(true, Ordering::Relaxed);
        self.unknown.store(true, Ordering::Relaxed);
    }

    /// A request whose answer is observed: a text, or a prepared statement.
    pub(super) fn ask<S: fmt::Debug>(&self, statement: S) -> Asked<'_, S> {
        self.any.store(true, Ordering::Relaxed);
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        let watch = self.slow.as_ref().map(|slow| slow.watch(statement));
        Asked { requests: self, watch }
    }

    /// A request has ended, with this error or well. Why a connection broke is for its driver to
    /// say; what the server answered last, it tells the request.
    fn hear(&self, error: Option<&Error>) {
        if error.is_some_and(|error| error.as_db_error().is_none()) {
            return;
        }
        self.signs.hear();
        let is_last = |error: &&Error| failure::ends_session(error);
        if error.filter(is_last).is_some_and(failure::is_of_server) {
            self.signs.fail();
        }
    }

    pub(super) fn are_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Returns whether a request was dropped.
    pub(super) fn are_cut_off(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) > 0
    }

    /// Dropped requests are to be cancelled, even if nothing is undone.
    pub(super) fn call_for(&self, reset: Reset) -> bool {
        let left = match reset {
            Reset::None => false,
            Reset::Rollback => self.unknown.load(Ordering::Relaxed),
            Reset::Discard => self.any.load(Ordering::Relaxed),
        };
        left || self.are_cut_off()
    }

    pub(super) fn token_is_out(&self) {
        self.token_out.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_token_out(&self) -> bool {
        self.token_out.load(Ordering::Relaxed)
    }

    pub(super) fn were_refused_to_write(&self) -> bool {
        self.refused_to_write.load(Ordering::Relaxed)
    }

    /// Everything asked so far is to stay as it is.
    pub(super) fn keep(&mut self) {
        *self.any.get_mut() = false;
        *self.unknown.get_mut() = false;
    }

    /// Every request has been answered or cancelled, and undone.
    pub(super) fn forget(&mut self) {
        self.keep();
        *self.unanswered.get_mut() = 0;
    }
}

/// A request in progress. If it is dropped without an answer, it stays counted.
#[must_use]
pub(super) struct Asked<'a, S: fmt::Debug> {
    requests: &'a Requests,
    watch: Option<Watch<'a, S>>,
}

impl<S: fmt::Debug> Asked<'_, S> {
    pub(super) fn answered<T>(self, answer: Result<T, Error>) -> Result<T, Error> {
        if let Some(watch) = self.watch {
            watch.end(answer.is_ok());
        }
        self.requests.unanswered.fetch_sub(1, Ordering::Relaxed);
        if answer.as_ref().is_err_and(failure::is_read_only) {
            self.requests.refused_to_write.store(true, Ordering::Relaxed);
        }
        let is_last = |error| failure::ends_session(error) || failure::is_misunderstanding(error);
        if answer.as_ref().is_err_and(is_last) {
            self.requests.lost.store(true, Ordering::Relaxed);
        }
        self.requests.hear(answer.as_ref().err());
        answer
    }

    /// The request was a single statement, whose text may be known.
    pub(super) fn executed<A: Answer>(
        self,
        sql: Option<&str>,
        answer: Result<A, Error>,
    ) -> Result<A, Error> {
        if !leaves_nothing(sql, &answer) {
            self.requests.unknown();
        }
        self.answered(answer)
    }

    /// The request was a COMMIT or ROLLBACK that no other request can follow: it was sent while the
    /// connection was mutably borrowed for it. Once it succeeds, no transaction is open, and every
    /// earlier request has been answered. A refusal proves nothing: a cancellation may arrive
    /// before the COMMIT starts and leave the transaction open.
    pub(super) fn ended(self, answer: Result<(), Error>) -> Result<(), Error> {
        if answer.is_ok() {
            self.requests.unknown.store(false, Ordering::Relaxed);
        }
        self.answered(answer)
    }
}

/// The answer to one statement.
pub(super) trait Answer {
    /// Whether it contains or counts rows. The answer to a statement that begins or ends a
    /// transaction never does.
    fn has_rows(&self) -> bool;
}

impl Answer for Row {
    fn has_rows(&self) -> bool {
        true
    }
}

impl Answer for Option<Row> {
    fn has_rows(&self) -> bool {
        self.is_some()
    }
}

impl Answer for Vec<Row> {
    fn has_rows(&self) -> bool {
        !self.is_empty()
    }
}

impl Answer for u64 {
    fn has_rows(&self) -> bool {
        *self > 0
    }
}

/// Returns whether a single statement with this answer can neither have begun a transaction nor
/// still be running.
///
/// The server has finished a statement that it refuses. Any other error may concern an answer that
/// was read only in part, for example one with too many rows.
fn leaves_nothing<A: Answer>(sql: Option<&str>, answer: &Result<A, Error>) -> bool {
    match answer {
        Ok(answer) if answer.has_rows() => true,
        Err(error) if error.as_db_error().is_none() => false,
        _ => sql.is_some_and(is_plain),
    }
}

/// A single statement that begins with one of these can begin neither a transaction nor a COPY.
const PLAIN: [&str; 9] =
    ["select", "insert", "update", "delete", "with", "values", "merge", "table", "show"];

fn is_plain(sql: &str) -> bool {
    let sql = sql.trim_start();
    let end = sql.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(sql.len());
    PLAIN.iter().any(|plain| plain.eq_ignore_ascii_case(&sql[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_statements_are_told_by_their_first_word() {
        for sql in ["SELECT 1", " \n select*from t", "Insert INTO t VALUES (1)", "with a as (x) y"]
        {
            assert!(is_plain(sql), "{sql}");
        }
        for sql in ["", "begin", "START TRANSACTION", "COPY t TO STDOUT", "SET a = 1", "selection"]
        {
            assert!(!is_plain(sql), "{sql}");
        }
        // Not recognized, so not trusted.
        for sql in ["/* hint */ SELECT 1", "-- select\nBEGIN", "(SELECT 1)"] {
            assert!(!is_plain(sql), "{sql}");
        }
    }

    #[test]
    fn a_count_shows_what_a_text_does_not() {
        assert!(leaves_nothing::<u64>(None, &Ok(1)));
        assert!(leaves_nothing::<u64>(Some("BEGIN"), &Ok(1)));
        assert!(leaves_nothing::<u64>(Some("UPDATE t SET a = 1"), &Ok(0)));
        assert!(!leaves_nothing::<u64>(Some("BEGIN"), &Ok(0)));
        assert!(!leaves_nothing::<u64>(None, &Ok(0)));
        assert!(!leaves_nothing::<Option<Row>>(None, &Ok(None)));
        assert!(!leaves_nothing::<Vec<Row>>(None, &Ok(Vec::new())));
    }
}

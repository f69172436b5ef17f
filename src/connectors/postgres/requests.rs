//! What a borrower has asked of a connection.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio_postgres::Error;

use super::failure;
use super::reset::Reset;

/// What was asked since the connection was last known to be as new.
///
/// All of it is read by whoever has the connection alone, so no order among the atomics is needed.
#[derive(Default)]
pub(super) struct Requests {
    /// Anything at all.
    any: AtomicBool,
    /// Something that may have left a transaction open.
    unknown: AtomicBool,
    /// Begun, and not answered: more than zero in a loan that is over means that one was dropped.
    unanswered: AtomicUsize,
    /// An answer was the session's last, or left both sides with different ideas of whose turn it is.
    lost: AtomicBool,
}

impl Requests {
    /// Something is asked that nobody here sees.
    pub(super) fn unknown(&self) {
        self.any.store(true, Ordering::Relaxed);
        self.unknown.store(true, Ordering::Relaxed);
    }

    /// A statement is executed that was prepared from this text, which makes it the only one.
    pub(super) fn prepared(&self, sql: &str) {
        self.any.store(true, Ordering::Relaxed);
        if !is_plain(sql) {
            self.unknown.store(true, Ordering::Relaxed);
        }
    }

    /// Waits for an answer. Cut off before that, the request stays counted.
    pub(super) async fn answered<T>(
        &self,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        let answer = request.await;
        self.unanswered.fetch_sub(1, Ordering::Relaxed);
        let is_last = |error| failure::ends_session(error) || failure::is_misunderstanding(error);
        if answer.as_ref().is_err_and(is_last) {
            self.lost.store(true, Ordering::Relaxed);
        }
        answer
    }

    pub(super) fn are_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Whether one was cut off.
    pub(super) fn are_cut_off(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) > 0
    }

    pub(super) fn call_for(&self, reset: Reset) -> bool {
        match reset {
            Reset::None => false,
            Reset::Rollback => self.unknown.load(Ordering::Relaxed),
            Reset::Discard => self.any.load(Ordering::Relaxed),
        }
    }

    pub(super) fn forget(&mut self) {
        *self.any.get_mut() = false;
        *self.unknown.get_mut() = false;
    }
}

/// What begins with one of these can, alone, neither begin a transaction nor a COPY.
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
        // Not understood, so not trusted.
        for sql in ["/* hint */ SELECT 1", "-- select\nBEGIN", "(SELECT 1)"] {
            assert!(!is_plain(sql), "{sql}");
        }
    }
}

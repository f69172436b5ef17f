//! Classifies the errors of tokio-postgres.

use std::error::Error as StdError;
use std::{io, iter};

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

/// The SQLSTATE classes that another dial cannot fix: a feature that the server lacks, a setting
/// that it rejects, a wrong user or password, an unknown database, a missing permission.
const SETTLED: [&str; 5] = ["0A", "22", "28", "3D", "42"];

/// Returns whether another dial may succeed where this one failed.
///
/// A failure that comes neither from the server nor from the system is about settings: no host, no
/// password, or no TLS where it is required.
pub(super) fn is_retryable(error: &Error) -> bool {
    if let Some(answer) = error.as_db_error() {
        return !SETTLED.iter().any(|class| answer.code().code().starts_with(class));
    }
    // TLS libraries wrap the system's error in their own.
    let mut causes = iter::successors(error.source(), |&cause| StdError::source(cause));
    match causes.find_map(|cause| cause.downcast_ref::<io::Error>()) {
        // This is how some of them report an untrusted certificate.
        Some(system) => system.kind() != io::ErrorKind::InvalidData,
        None => error.source().is_none(),
    }
}

/// Returns whether this was the server's last answer on the connection. The socket may report the
/// end only a moment later.
pub(super) fn ends_session(error: &Error) -> bool {
    let severity = error.as_db_error().and_then(DbError::parsed_severity);
    error.is_closed() || matches!(severity, Some(Severity::Fatal | Severity::Panic))
}

/// Returns whether a session that ended with this error has failed, which the server's other
/// sessions may have, too. An idle session that the server ends for its own sake has not, nor has a
/// connection that is merely known to be closed.
pub(super) fn is_of_server(error: &Error) -> bool {
    let idle = [&SqlState::IDLE_SESSION_TIMEOUT, &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT];
    error.code().is_none_or(|code| !idle.contains(&code))
}

/// Returns whether the server, or the session, is read-only. After a failover that is the wrong
/// server.
pub(super) fn is_read_only(error: &Error) -> bool {
    error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
}

/// Returns whether this request was hit by a cancellation.
pub(super) fn is_cancelled(error: &Error) -> bool {
    error.code() == Some(&SqlState::QUERY_CANCELED)
}

/// Returns whether the answer did not fit the request. A COPY that was not begun by `copy_in` or
/// `copy_out` ends this way: the server then waits for the data, and takes the next request for it.
/// Only the text identifies this error.
pub(super) fn is_misunderstanding(error: &Error) -> bool {
    error.source().is_none() && error.to_string() == "unexpected message from server"
}

/// Returns whether a prepared statement failed only because it is outdated: the server has dropped
/// it, or its columns have changed. Nothing was executed then. The same error of a statement inside
/// a function or a procedure, which may have committed before, carries a context.
pub(super) fn is_outdated(error: &Error) -> bool {
    let Some(answer) = error.as_db_error() else { return false };
    if answer.where_().is_some() {
        return false;
    }
    // The message is translated; the routine is not.
    let changed = *answer.code() == SqlState::FEATURE_NOT_SUPPORTED
        && answer.routine() == Some("RevalidateCachedQuery");
    changed || *answer.code() == SqlState::INVALID_SQL_STATEMENT_NAME
}

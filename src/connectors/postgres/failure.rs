//! What an error of tokio-postgres says about the next try.

use std::error::Error as StdError;
use std::{io, iter};

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

/// The classes of SQLSTATE that no second dial mends: a feature that the server lacks, a setting that
/// it does not take, the wrong user or password, no such database, no permission.
const SETTLED: [&str; 5] = ["0A", "22", "28", "3D", "42"];

/// Whether another dial may succeed where this one failed.
///
/// A failure with neither the server's word nor the system's behind it is about settings: no host, no
/// password, no TLS where it is required.
pub(super) fn is_retryable(error: &Error) -> bool {
    if let Some(answer) = error.as_db_error() {
        return !SETTLED.iter().any(|class| answer.code().code().starts_with(class));
    }
    // TLS libraries wrap the system's error in their own.
    let mut causes = iter::successors(error.source(), |&cause| StdError::source(cause));
    match causes.find_map(|cause| cause.downcast_ref::<io::Error>()) {
        // How some of them report a certificate that they do not trust.
        Some(system) => system.kind() != io::ErrorKind::InvalidData,
        None => error.source().is_none(),
    }
}

/// Whether the server will say nothing more on this connection. It may be a moment before the socket
/// says so too.
pub(super) fn ends_session(error: &Error) -> bool {
    let severity = error.as_db_error().and_then(DbError::parsed_severity);
    error.is_closed() || matches!(severity, Some(Severity::Fatal | Severity::Panic))
}

/// Whether the server, or the session, does not write. After a switch-over that is the wrong server.
pub(super) fn is_read_only(error: &Error) -> bool {
    error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
}

/// Whether a cancellation has hit this.
pub(super) fn is_cancelled(error: &Error) -> bool {
    error.code() == Some(&SqlState::QUERY_CANCELED)
}

/// Whether the answer did not fit the request, which is how a COPY ends that was not begun by
/// `copy_in` or `copy_out`: the server waits for the data then, and takes the next request for it.
/// The words are all by which this error can be told.
pub(super) fn is_misunderstanding(error: &Error) -> bool {
    error.source().is_none() && error.to_string() == "unexpected message from server"
}

/// Whether a prepared statement failed only because it is no longer what it was: the server has
/// dropped it, or its columns have changed. Nothing was executed then. The same of a statement inside a function
/// or a procedure, which may have committed before, has a context.
pub(super) fn is_outdated(error: &Error) -> bool {
    let Some(answer) = error.as_db_error() else { return false };
    if answer.where_().is_some() {
        return false;
    }
    // The message is translated, the routine is not.
    let changed = *answer.code() == SqlState::FEATURE_NOT_SUPPORTED
        && answer.routine() == Some("RevalidateCachedQuery");
    changed || *answer.code() == SqlState::INVALID_SQL_STATEMENT_NAME
}

//! What an error of tokio-postgres says about the next try.

use std::error::Error as _;
use std::io;

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
    let Some(cause) = error.source() else { return true };
    if let Some(answer) = cause.downcast_ref::<DbError>() {
        return !SETTLED.contains(&&answer.code().code()[..2]);
    }
    match cause.downcast_ref::<io::Error>() {
        // How TLS libraries report a certificate that they do not trust.
        Some(system) => system.kind() != io::ErrorKind::InvalidData,
        None => false,
    }
}

/// Whether the server will say nothing more on this connection. It may be a moment before the socket
/// says so too.
pub(super) fn ends_session(error: &Error) -> bool {
    let severity = error.as_db_error().and_then(DbError::parsed_severity);
    error.is_closed() || matches!(severity, Some(Severity::Fatal | Severity::Panic))
}

/// Whether a prepared statement failed only because it is no longer what it was: the server has
/// dropped it, or its columns have changed. Nothing was executed then.
pub(super) fn is_outdated(error: &Error) -> bool {
    let Some(answer) = error.as_db_error() else { return false };
    // The message is translated, the routine is not.
    let changed = *answer.code() == SqlState::FEATURE_NOT_SUPPORTED
        && answer.routine() == Some("RevalidateCachedQuery");
    changed || *answer.code() == SqlState::INVALID_SQL_STATEMENT_NAME
}

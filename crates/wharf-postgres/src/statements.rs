//! The statements that one connection has prepared.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio_postgres::Statement;
use tokio_postgres::types::Type;

/// By text, then by the requested parameter types.
#[derive(Default)]
pub(super) struct Statements(Mutex<HashMap<String, Vec<Prepared>>>);

struct Prepared {
    types: Box<[Type]>,
    statement: Statement,
}

impl Statements {
    pub(super) fn find(&self, sql: &str, types: &[Type]) -> Option<Statement> {
        let prepared = self.0.lock();
        let found = prepared.get(sql)?.iter().find(|prepared| *prepared.types == *types)?;
        Some(found.statement.clone())
    }

    /// Returns the cached statement: an earlier one if the same text was prepared concurrently.
    pub(super) fn keep(&self, sql: &str, types: &[Type], statement: Statement) -> Statement {
        let mut prepared = self.0.lock();
        let same_text = prepared.entry(sql.to_owned()).or_default();
        if let Some(other) = same_text.iter().find(|prepared| *prepared.types == *types) {
            return other.statement.clone();
        }
        same_text.push(Prepared { types: types.into(), statement: statement.clone() });
        statement
    }

    pub(super) fn forget(&self, sql: &str) {
        let forgotten = self.0.lock().remove(sql);
        // Dropping a statement sends a message to the server, so drop outside the lock.
        drop(forgotten);
    }

    pub(super) fn clear(&self) {
        let forgotten = std::mem::take(&mut *self.0.lock());
        drop(forgotten);
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().values().map(Vec::len).sum()
    }
}

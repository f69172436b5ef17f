//! The statements that one connection has prepared.

use std::collections::HashMap;
use std::mem;

use parking_lot::Mutex;
use tokio_postgres::Statement;
use tokio_postgres::types::Type;

/// Caches statements, and evicts the least recently used one when there are more than it may hold.
///
/// Dropping the last clone of a statement sends a message to the server, so what is removed is
/// dropped outside the lock. A request that uses an evicted statement has a clone of it.
pub(super) struct Statements {
    capacity: usize,
    cached: Mutex<Cached>,
}

/// By text, then by the requested parameter types.
#[derive(Default)]
struct Cached {
    by_text: HashMap<String, Vec<Prepared>>,
    count: usize,
    /// How often a statement was used.
    uses: u64,
}

struct Prepared {
    types: Box<[Type]>,
    statement: Statement,
    /// The value of `uses` at its last use.
    used: u64,
}

impl Statements {
    pub(super) fn new(capacity: usize) -> Self {
        Statements { capacity, cached: Mutex::default() }
    }

    pub(super) fn find(&self, sql: &str, types: &[Type]) -> Option<Statement> {
        self.cached.lock().find(sql, types)
    }

    /// Returns the cached statement: an earlier one if the same text was prepared concurrently.
    pub(super) fn keep(&self, sql: &str, types: &[Type], statement: Statement) -> Statement {
        if self.capacity == 0 {
            return statement;
        }
        let mut cached = self.cached.lock();
        if let Some(other) = cached.find(sql, types) {
            return other;
        }
        let is_full = cached.count == self.capacity;
        let evicted = if is_full { cached.evict() } else { None };
        cached.add(sql, types, statement.clone());
        drop(cached);
        drop(evicted);
        statement
    }

    pub(super) fn forget(&self, sql: &str) {
        let forgotten = self.cached.lock().remove(sql);
        drop(forgotten);
    }

    pub(super) fn clear(&self) {
        let forgotten = mem::take(&mut *self.cached.lock());
        drop(forgotten);
    }

    /// Returns the text of the cached statement that `Debug` shows as `shown`, with a name of its own.
    pub(super) fn text_of(&self, shown: &str) -> Option<String> {
        let cached = self.cached.lock();
        let is_it = |prepared: &Prepared| format!("{:?}", prepared.statement) == shown;
        let found = cached.by_text.iter().find(|(_, same_text)| same_text.iter().any(is_it));
        found.map(|(text, _)| text.clone())
    }

    pub(super) fn count(&self) -> usize {
        self.cached.lock().count
    }
}

impl Cached {
    fn find(&mut self, sql: &str, types: &[Type]) -> Option<Statement> {
        let same_text = self.by_text.get_mut(sql)?;
        let found = same_text.iter_mut().find(|prepared| *prepared.types == *types)?;
        self.uses += 1;
        found.used = self.uses;
        Some(found.statement.clone())
    }

    fn add(&mut self, sql: &str, types: &[Type], statement: Statement) {
        self.uses += 1;
        self.count += 1;
        let prepared = Prepared { types: types.into(), statement, used: self.uses };
        self.by_text.entry(sql.to_owned()).or_default().push(prepared);
    }

    /// Removes the least recently used statement. It looks at all of them, which takes far less
    /// time than the round trip that has prepared the one to be added.
    fn evict(&mut self) -> Option<Prepared> {
        let oldest = self.by_text.values().flatten().map(|prepared| prepared.used).min()?;
        let evicted = self.by_text.values_mut().find_map(|same_text| {
            let at = same_text.iter().position(|prepared| prepared.used == oldest)?;
            Some(same_text.remove(at))
        })?;
        self.by_text.retain(|_, same_text| !same_text.is_empty());
        self.count -= 1;
        Some(evicted)
    }

    fn remove(&mut self, sql: &str) -> Vec<Prepared> {
        let removed = self.by_text.remove(sql).unwrap_or_default();
        self.count -= removed.len();
        removed
    }
}

//! Tells of tasks that hold connections and wait for others.

use std::fmt;

use super::panics;
use super::parts::Cell;
use crate::engine::{Deadlock, Nested, SelfWait};
use crate::policy::observer::Deadlocked;

/// How many pairs of places a warning names.
const NAMED: usize = 4;

/// What looks like a deadlock and is none.
const UNLESS: &str = "may be a false alarm if a guard was moved to another task, \
                      or if one task runs several futures at once";

/// Tells what was found out under the host's lock, which is free by now.
#[cold]
pub(super) fn tell(cell: &Cell, self_wait: &SelfWait) {
    match self_wait {
        SelfWait::Nested(nested) => warn_of_nested(cell, nested),
        SelfWait::Deadlock(deadlock) => tell_of_deadlock(cell, deadlock),
    }
}

/// A task that holds a connection waits for another: said once for each place where one waits.
fn warn_of_nested(cell: &Cell, nested: &Nested) {
    let Nested { loans, acquired_at, waits_at, max } = *nested;
    if !cell.pool().told.is_new(waits_at) {
        return;
    }
    let what = match (cell.pool().is_shared(), loans) {
        (false, 1) => "connection",
        (false, _) => "connections",
        (true, 1) => "lease",
        (true, _) => "leases",
    };
    let others = Others { many: (max as usize).div_ceil(loans), shared: cell.pool().is_shared() };
    panics::log(|| {
        tracing::warn!(
            target: "wharf::deadlock", key = ?cell, place = %waits_at,
            "this task holds {loans} {what} to {cell:?}, acquired at {acquired_at}, and waits for another; \
             with max_per_host = {max}, {others} ({UNLESS})"
        );
    });
}

/// How many tasks make a deadlock, in words.
struct Others {
    many: usize,
    /// Of leases on shared connections there are more than the cap says.
    shared: bool,
}

impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.many {
            _ if self.shared => f.write_str("enough such tasks deadlock"),
            1 => f.write_str("it waits for itself"),
            many => write!(f, "{many} such tasks deadlock"),
        }
    }
}

/// Every connection is held by a task that waits for another.
fn tell_of_deadlock(cell: &Cell, deadlock: &Deadlock) {
    let Deadlock { loans, sides } = deadlock;
    let loans = *loans;
    if let Some(side) = sides.first() {
        let (acquired_at, waits_at) = (side.acquired_at, side.waits_at);
        let event = Deadlocked { host: cell, loans, acquired_at, waits_at };
        cell.pool().observer.tell(|observer| observer.deadlocked(&event));
    }
    let what = if cell.pool().is_shared() { "leases" } else { "connections" };
    let sides = Sides(deadlock);
    panics::log(|| {
        tracing::warn!(
            target: "wharf::deadlock", key = ?cell, loans,
            "deadlock: tasks that wait for {cell:?} hold all {loans} {what}: {sides} ({UNLESS})"
        );
    });
}

/// The places of both sides, in words.
struct Sides<'a>(&'a Deadlock);

impl fmt::Display for Sides<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sides = &self.0.sides;
        for (at, side) in sides.iter().take(NAMED).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(
                f,
                "{comma}{} acquired at {}, waiting at {}",
                side.loans, side.acquired_at, side.waits_at
            )?;
        }
        let more = sides.len().saturating_sub(NAMED);
        if more > 0 { write!(f, ", and {more} more pairs of places") } else { Ok(()) }
    }
}

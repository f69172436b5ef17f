//! Threads that do nothing but acquire and return connections of one host, with no work between:
//! the worst that threads can do to a pool's lock.
//!
//! In the figure: as for a hit, and what the threads take from each other. Each thread drives one
//! future, which never gives way by itself; the runtime of a pool's own tasks has one thread more.
//! The time is fixed, and the clock is read at its ends. "most / least" is the loans of the
//! thread that had most, to one of the thread that had least; the median of the rounds.
//!
//! In the long form, with 1, 2, 4 and 8 threads and 1, 8 and 64 connections. Where there are more
//! threads than connections there is no floor: it cannot wait. Figures for more threads than the
//! machine has cores say more about the system's scheduler than about pools.
//!
//! Run: `cargo bench -p wharf-benches --bench contended`, with `-- --long` for all sizes.

use wharf_benches::form::Form;
use wharf_benches::{contended, machine};

fn main() {
    print!("{}", machine::describe());
    for part in contended::run(Form::from_arguments()) {
        print!("{}", part.print());
    }
}

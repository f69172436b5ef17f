//! What a hit costs: acquire an idle connection and return it, on one task, as a multiple of the
//! floor, a bare `parking_lot::Mutex<Vec<Box<_>>>` behind an `Arc` that is cloned for each loan.
//!
//! In the figure: the acquire's future, its one poll, the lock, all checks, the loan's place and
//! time, statistics, and the return, with every setting at its default (idle time-out and lifetime
//! on). Not in it: the connection (a `u64`), a real `is_open`, contention, and tokio's budget of
//! operations between two yields, which some pools spend and a task with a socket never exhausts.
//! The clock is read around blocks of many operations, never inside. Rounds alternate, and each
//! ratio is taken within its round, so that a slow moment of the machine hits all sides.
//!
//! Beside it: the pools of `contestants`, whose headers say how each is set up. "x best peer" is a
//! ratio to the fastest of them, whatever it leaves out.
//!
//! Run: `cargo bench -p wharf-benches --bench hit`, with `-- --long` for more and longer rounds.

use wharf_benches::form::Form;
use wharf_benches::{hit, machine};

fn main() {
    print!("{}{}", machine::describe(), hit::run(Form::from_arguments()).print());
}

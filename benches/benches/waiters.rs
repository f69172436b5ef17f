//! Long queues: 10,000 and 100,000 acquires (a million in the long form) wait for one connection,
//! and all are dropped in random order.
//!
//! In the figure: the acquire's future and the box it is in, its place in the queue, and the timer
//! of its patience where it has one. "join" is the first poll of each, "cancel" its drop. Not in
//! it: wake-ups, as nobody is served. Afterwards the connection goes back, and another acquire must
//! succeed.
//!
//! Then the queue alone: the pool's two slices, which count those who leave and sweep now and then,
//! beside the standard library's `VecDeque`, which has to search for who leaves. Both are of plain
//! numbers.
//!
//! Run: `cargo bench -p wharf-benches --bench waiters`, with `-- --long` for a million.

use wharf_benches::form::Form;
use wharf_benches::{machine, waiters};

fn main() {
    print!("{}", machine::describe());
    for part in waiters::run(Form::from_arguments()) {
        print!("{}", part.print());
    }
}

//! A hit by key, when there are 1 to 100,000 hosts (a million in the long form), and what a host
//! costs that is seen once and forgotten.
//!
//! In the figure of a hit: as for one host, and what the processor's caches make of so many; one
//! host among all is chosen at random each time, in the same order for everybody. Each has one idle
//! connection. Beside it: a bare sharded map, the pool of hyper-util's legacy client and
//! pingora-pool, which keep idle connections by key but have no cap on open ones. Pools without
//! keys are not here: a map of a hundred thousand of them is nobody's pool.
//!
//! In the figure of the churn: a dial, which is a task; the host's beginning; its time-out and its
//! end. The floor beside it spawns a task and uses a map. "hosts left" is how many the pool still
//! knows in the end.
//!
//! Run: `cargo bench -p wharf-benches --bench keys`, with `-- --long` for a million.

use wharf_benches::form::Form;
use wharf_benches::{keys, machine};

fn main() {
    print!("{}", machine::describe());
    for part in keys::run(Form::from_arguments()).0 {
        print!("{}", part.print());
    }
}

//! Many more tasks than connections: 1,024 on 16 and 1,000 on 50. Each acquires, gives way once
//! while it holds the connection, returns it, and begins again. Everybody has 30 seconds of
//! patience, but for the rows that say otherwise.
//!
//! In the figure: the queue, the wake-ups, and the runtime's own work for a thousand tasks, over as
//! many threads as the machine has cores. The throughput and "most / least" (the loans of
//! the task that had most, to one of the task that had least; the median of the rounds) come from
//! runs in which no clock is read but at the ends. The waits come from runs of
//! their own, in which everybody looks at the clock before and after each acquire. Who was waiting
//! when the time was over is served as the others stop, and his wait counts: "max" of a pool that
//! starves somebody is the length of the run.
//!
//! WRONG is said of a pool in one of whose runs a task got nothing, or is not served within 20
//! seconds of the end, or whose count of idle connections is not what was made.
//!
//! Run: `cargo bench -p wharf-benches --bench starved`, with `-- --long` for longer runs.

use wharf_benches::form::Form;
use wharf_benches::{machine, starved};

fn main() {
    print!("{}", machine::describe());
    for part in starved::run(Form::from_arguments()).0 {
        print!("{}", part.print());
    }
}

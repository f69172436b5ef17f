//! Counts the walks of a path.

use std::hint::black_box;
use std::pin::Pin;

use tokio::runtime::{Builder, Runtime};

/// A path that is set up and ready to be walked.
pub(crate) trait Path {
    /// How often the path is walked while instructions are counted.
    const WALKS: usize = 3_200;

    /// How often it is walked before that.
    const WARM_UP: usize = Self::WALKS / 10;

    /// Whether time is simulated. What a path does in the background at intervals is counted more often in real time the
    /// slower the machine is. In simulated time, reading the clock takes more instructions.
    const PAUSED: bool = false;

    async fn walk(&mut self, times: usize);
}

/// Sets a path up and walks it. Returns the number of walks that [`counted`] has made.
pub(crate) fn count<P: Path>(set_up: impl Future<Output = P>) -> usize {
    let runtime = Builder::new_current_thread().enable_all().start_paused(P::PAUSED).build();
    let runtime = runtime.expect("a runtime");
    let mut path = runtime.block_on(set_up);
    runtime.block_on(path.walk(P::WARM_UP));
    counted(&runtime, Box::pin(path.walk(P::WALKS)));
    // Ending 10,000 loans takes long where instructions are counted.
    std::mem::forget((path, runtime));
    P::WALKS
}

/// Only the instructions between its call and its return are counted: `.ci/instructions` names it. Tasks of the path run
/// in it, too, because the runtime has no other thread.
#[inline(never)]
fn counted(runtime: &Runtime, walks: Pin<Box<dyn Future<Output = ()> + '_>>) {
    runtime.block_on(walks);
    // Not a tail call, which would leave this function before it begins.
    black_box(runtime);
}

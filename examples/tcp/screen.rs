//! Lines for everybody, and one line of progress for who watches.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// The columns that a line may take.
const WIDTH: usize = 96;
/// How often the progress is shown.
const TICK: Duration = Duration::from_millis(100);

/// Prints a line to the standard output, in place of the progress.
pub(crate) fn say(line: impl Display) {
    show_progress("");
    println!("{line}");
}

/// Replaces the line of progress, if the standard error is a terminal.
pub(crate) fn show_progress(text: &str) {
    let mut stderr = stderr().lock();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K{text}");
        let _ = stderr.flush();
    }
}

/// Awaits a future, and meanwhile shows how far it is.
pub(crate) async fn watched<F: Future>(work: F, mut progress: impl FnMut() -> String) -> F::Output {
    let mut ticks = interval_at(Instant::now() + TICK, TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            output = &mut work => {
                show_progress("");
                return output;
            }
            _ = ticks.tick() => show_progress(&progress()),
        }
    }
}

/// Breaks a text between words into lines that begin with a margin.
pub(crate) fn wrapped(text: &str, margin: &str) -> String {
    let mut lines = vec![margin.to_owned()];
    for word in text.split(' ') {
        if lines[lines.len() - 1].len() + 1 + word.len() > WIDTH {
            lines.push(margin.to_owned());
        }
        let line = lines.last_mut().expect("the first");
        if line.len() > margin.len() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.join("\n")
}

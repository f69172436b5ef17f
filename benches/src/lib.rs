//! What `wharf` costs, compared with other pools and with none.
//!
//! Each module measures one thing and returns parts of a table, in a short form (for the report) or a long one. The
//! programs in `benches/` print one each. `report` runs them all, draws plots, and publishes.
//!
//! The rules: contestants take turns in short bursts within one process. For one thread the shortest burst counts, for
//! two the median of those in which no thread was preempted. Every ratio is the quotient of two printed figures. What a
//! pool counts is compared with what was made.

// What is measured.
pub mod anchors;
pub mod beside;
pub mod clients;
pub mod compile;
pub mod crowd;
pub mod dialing;
pub mod expiry;
pub mod hit;
pub mod instructions;
pub mod keys;
pub mod max_age;
pub mod memory;
pub mod overload;
pub mod postgres;
pub mod queue;
pub mod starving;
pub mod status;
pub mod threads;
pub mod vanishing;

// Who is measured, and how they are driven.
mod contestants;
mod cores;
mod drive;

// How it is said.
pub mod form;
pub mod machine;
mod measure;
pub mod plots;
pub mod publish;
pub mod table;

// Borrowed from the tests.
#[path = "../../tests/faults/proxy.rs"]
#[allow(dead_code)] // The tests do more to connections than to delay them.
mod proxy;

use form::Form;
use table::Part;

/// Prints what a bench has measured: for readers, or with `--json` for the report.
///
/// # Panics
///
/// When the figures cannot be written as JSON, which they can.
pub fn show(run: fn(Form) -> Vec<Part>) {
    // Before a bench pins this thread.
    let machine = machine::describe(machine::load());
    let parts = run(Form::from_arguments());
    if std::env::args().any(|argument| argument == "--json") {
        println!("{}", serde_json::to_string(&parts).expect("figures and text"));
        return;
    }
    println!("{machine}");
    for part in parts {
        println!("{}", part.print());
    }
}

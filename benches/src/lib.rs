//! What `wharf` costs, beside other pools and beside none.
//!
//! Each module measures one thing and gives back parts of a table, in a short form (for the report)
//! or a long one. The programs in `benches/` print one each; `report` prints all of them and draws
//! plots.
//!
//! The rules: contestants take turns within one process, ratios are taken within a round and
//! medians are printed; no figure is written down anywhere; what a pool counts is compared with
//! what was made.

// What is measured.
pub mod clients;
pub mod contended;
pub mod dialing;
pub mod hit;
pub mod idle;
pub mod keys;
pub mod postgres;
pub mod starved;
pub mod waiters;

// Who is measured, and how they are driven.
mod contestants;
mod drive;
mod starve;

// How it is said.
pub mod drawings;
pub mod form;
pub mod machine;
mod measure;
mod plot;
pub mod table;

// Borrowed from the tests and the pool itself.
#[path = "../../tests/postgres/server.rs"]
#[allow(dead_code)] // The tests do more to servers than to start them.
mod postgres_server;
#[path = "../../tests/faults/proxy.rs"]
#[allow(dead_code)] // The tests do more to connections than to delay them.
mod proxy;
#[path = "../../src/engine/wait_queue.rs"]
#[allow(dead_code)] // Only joining and leaving is measured.
mod wait_queue;

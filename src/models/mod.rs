//! Models of the pool's races. loom runs them in every order that their threads can take.
//!
//! Run them with `cargo test --profile models -p tests-models --test models models`. That package compiles
//! the crate with `--cfg wharf_loom`. The locks and the atomics that decide anything are loom's then
//! (`engine/sync.rs`). Time advances only when the model says so. A spawned task stays in a list until a thread of the model runs it
//! ([`Runtime::run`]), so tasks race with other threads as that thread does.
//!
//! These are not modelled: the inside of tokio's `Notify`, each use of which is one step; the
//! reference counts of `Arc`; and atomics of `std` that are changed only under a host's lock
//! (whether a waiter is queued) or only have to be unique (the ids of connections).
//!
//! Every model is exhaustive, without a bound on preemptions, except for two with too many orders,
//! which say so ([`explore_bounded`]). Each model lists the outcomes that it must reach, so that it
//! fails if the race does not happen. Three rules apply to all models:
//!
//! - A future is polled again only when its waker was woken, unless the model says otherwise. A
//!   future that still waits when no task can run, and was not woken, is a lost wake-up.
//! - The engine's invariants hold once the threads have ended, for each host and for the budget.
//! - In the end every connection has been closed once and dropped, all gauges and the budget's
//!   counts are zero, the directory is empty, and nothing refers to the pool.

mod budget;
mod changes;
mod connector;
mod crowds;
mod dials;
mod end;
mod expiry;
mod forgetting;
mod giving_up;
mod heartbeats;
mod loans;
mod pings;
mod returns;
mod shares;
mod stage;
mod task;

use crate::policy::order::Order;
use std::collections::BTreeSet;
use std::fmt;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use loom::thread;

use self::connector::{Connection, Ledger, Scripted, Step};
use self::stage::{HOST, OTHER, Stage, Watch, patient};
use self::task::{Answer, Bell, Task, got};
use crate::engine::sync::atomic::AtomicBool;
use crate::engine::sync::atomic::Ordering::SeqCst;
use crate::policy::connector::Connector;
use crate::pool::acquire::Acquire;
use crate::pool::builder::Builder;
use crate::pool::error::AcquireError;
use crate::pool::pool::Pool;
use crate::pool::pooled_connection::PooledConnection;
use crate::pool::status::PoolStatus;
use crate::pool::warm_error::WarmError;
use crate::runtime::cell::PoolCore;
use crate::runtime::clock::Clock;
use crate::runtime::handle::Runtime;
use crate::runtime::timer::Timer;

/// Runs `model` in every order and asserts that it reaches exactly these outcomes.
fn explore(ends: &[&'static str], model: fn() -> &'static str) {
    explore_within(None, ends, model);
}

/// The same, in every order with at most this many preemptions: for models with too many orders
/// otherwise.
fn explore_bounded(bound: usize, ends: &[&'static str], model: fn() -> &'static str) {
    explore_within(Some(bound), ends, model);
}

fn explore_within(bound: Option<usize>, ends: &[&'static str], model: fn() -> &'static str) {
    struct Cleanup;
    impl Drop for Cleanup {
        fn drop(&mut self) {
            Runtime::forget();
        }
    }
    let _cleanup = Cleanup;
    // Maintenance sets a tokio timer. No task waits for it.
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let tokio = tokio.expect("a runtime needs nothing here");
    let _inside = tokio.enter();

    let mut explorer = loom::model::Builder::new();
    explorer.preemption_bound = bound;
    explorer.max_branches = 10_000;
    let seen = Arc::new(Mutex::new((BTreeSet::new(), 0_u32)));
    let note = seen.clone();
    let began = Instant::now();
    explorer.check(move || {
        Clock::set_all(0);
        let end = model();
        let mut seen = note.lock().expect("nobody panics here");
        seen.0.insert(end);
        seen.1 += 1;
    });
    let seen = seen.lock().expect("nobody panics here");
    println!("{} orders, {:.1} s", seen.1, began.elapsed().as_secs_f64());
    assert_eq!(seen.0, ends.iter().copied().collect(), "the ends that it came to");
}

fn join<T>(handle: thread::JoinHandle<T>) -> T {
    handle.join().expect("a thread of the model does not panic")
}

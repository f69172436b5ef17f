//! The callers that wait for one host, and what their tasks hold meanwhile.

pub(crate) mod deadlocks;
pub(crate) mod order;
pub(crate) mod wait_queue;
pub(crate) mod waiters;

//! The HTTP client, against real servers in this process.

#![allow(clippy::unwrap_used)] // The helpers are tests too, but clippy cannot know.

mod cutter;
mod fickle;
mod frames;
#[path = "../../../../tests/faults/proxy.rs"]
#[allow(dead_code)] // The faults are for other tests.
mod proxy;
mod storm;
mod support;
#[path = "../../../wharf-proxy/tests/proxy/proxies.rs"]
mod tunnels;

mod answers;
mod bodies;
mod churn;
mod cuts;
mod errors;
mod foreign;
mod heads;
mod http2;
mod interim;
mod interim_http2;
mod lengths;
mod panics;
mod proxies;
mod requests;
mod retry;
mod reuse;
mod runtimes;
mod service;
mod time_limits;
mod tls;
mod unasked;
mod unread;
mod uploads;
mod vanishing;

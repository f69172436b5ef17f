//! The behaviours of the pool, one test each, on paused time.

mod log;
mod sharing;
mod support;
mod tally;

mod accounts;
mod adding;
mod borrowers;
mod cancellation;
mod caps;
mod dialing;
mod errors;
mod fairness;
mod faults;
mod health;
mod heartbeats;
mod hostile;
mod keys;
mod kit;
mod lending;
mod limits;
mod outages;
mod places;
mod raised_limits;
mod random_faults;
mod resets;
mod retires;
mod runtimes;
mod seen;
mod settings;
mod shared;
mod shared_trouble;
mod shutdown;
mod stale;
mod telling;
mod timeouts;

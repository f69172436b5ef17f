//! A pool that plays a scene: wharf, deadpool and bb8, each with its defaults, ten connections and the callers' time.

use std::future::Future;
use std::ops::DerefMut;
use std::time::Duration;

pub(crate) use self::bb8::Bb8;
pub(crate) use self::deadpool::Deadpool;
pub(crate) use self::wharf::Wharf;
use crate::secs;
use crate::server::{Link, Server};

mod bb8;
mod deadpool;
mod wharf;

/// The cap of each pool.
pub(crate) const CAP: u32 = 10;
/// The longest dial: wharf's default. The other pools have no such limit, and their users set one.
const LONGEST_DIAL: Duration = secs(10);

/// What a caller was told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Failure {
    /// What is wrong with the server.
    Error,
    /// That its time is over.
    TimedOut,
}

pub(crate) trait Player: Clone + Send + Sync + 'static {
    const NAME: &'static str;
    type Loan: DerefMut<Target = Link> + Send;

    /// `time`: what a caller has.
    fn new(server: Server, time: Duration) -> Self;

    fn acquire(&self) -> impl Future<Output = Result<Self::Loan, Failure>> + Send;

    /// Gives up what was made before, as far as the pool can be told to.
    fn retire(&self);
}

/// Makes connections for each of the pools.
pub(crate) struct Dialer(Server);

//! What is wrong with a pool, in sentences.

use std::time::Duration;

use serde::Serialize;

use super::snapshot::{Holder, HostView, PoolView, cut};
use super::words::{counted, time};
use crate::policy::config::Config;
use crate::pool::status::{HostStatus, LoanInfo};

/// How many are shown of each kind, at most.
const NOTES: usize = 7;

const OVERLOADED: &str = "callers give up before they are served, so the newest are served first";

/// A sentence about a pool, or about one of its hosts.
#[derive(Debug, Serialize)]
pub(super) struct Note {
    pub(super) host: Option<String>,
    pub(super) text: String,
}

/// Returns what is wrong with a pool, and how many more such sentences there are.
pub(super) fn notes(pool: &PoolView, config: &Config) -> (Vec<Note>, usize) {
    let mut leaks: Vec<_> =
        pool.places.iter().filter_map(|holder| leak(holder, config.leak_after)).collect();
    let mut failing: Vec<_> = pool.hosts.iter().filter_map(cannot_be_dialed).collect();
    let mut crowds: Vec<_> =
        pool.hosts.iter().filter_map(|host| crowd(host, pool, config)).collect();
    let more_failing = pool.failing_hosts.saturating_sub(failing.len().min(NOTES));
    failing.truncate(NOTES);
    let more = more_failing + cut(&mut leaks, NOTES) + cut(&mut crowds, NOTES);
    (closed(pool).into_iter().chain(failing).chain(leaks).chain(crowds).collect(), more)
}

fn closed(pool: &PoolView) -> Option<Note> {
    let text = match pool.status.leases {
        _ if !pool.closed => return None,
        0 => "The pool is closed.".to_owned(),
        loans => format!("The pool is closed, and waits for {}.", counted(loans, "loan", "loans")),
    };
    Some(Note { host: None, text })
}

fn cannot_be_dialed(host: &HostView) -> Option<Note> {
    let error = host.last_dial_error.as_ref()?;
    let text = format!("cannot be dialed: {}, {} ago", error.message, time(error.age));
    Some(Note { host: Some(host.key.clone()), text })
}

fn leak(holder: &Holder, leak_after: Option<Duration>) -> Option<Note> {
    let limit = time(leak_after.filter(|_| holder.leaked > 0)?);
    let held = counted(holder.leaked, "loan has", "loans have");
    let (place, longest) = (&holder.place, time(holder.longest));
    let text = format!(
        "{held} not ended within leak_after ({limit}), acquired at {place}; longest held {longest}"
    );
    Some(Note { host: None, text })
}

fn crowd(host: &HostView, pool: &PoolView, config: &Config) -> Option<Note> {
    let HostStatus { waiting, idle, dialing, overloaded, .. } = host.status;
    if waiting == 0 {
        return None;
    }
    let (wait, in_use) = (counted(waiting, "caller waits", "callers wait"), in_use(&host.status));
    let longest = pool.loans.iter().find(|loan| loan.key == host.key);
    let max_total = config.max_total.filter(|max| open(pool) >= *max);
    let parts = [
        Some(format!("{wait}: {in_use}, {idle} idle, {dialing} dialing")),
        longest.map(|LoanInfo { held, place, .. }| {
            format!("longest held {}, acquired at {place}", time(*held))
        }),
        max_total.map(|max| format!("max_total ({max}) is reached")),
        (overloaded > 0).then(|| OVERLOADED.to_owned()),
    ];
    let text = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
    Some(Note { host: Some(host.key.clone()), text })
}

/// `3 of 10 in use`.
pub(super) fn in_use(status: &HostStatus) -> String {
    match status.max {
        usize::MAX => format!("{} in use", status.in_use),
        max => format!("{} of {max} in use", status.in_use),
    }
}

/// The connections that hold a place under `max_total`.
fn open(pool: &PoolView) -> usize {
    let status = &pool.status;
    status.idle + status.in_use + status.dialing + status.closing
}

//! What the page shows of a pool, as data.
//!
//! A pool may have a hundred thousand hosts: those are chosen of which there is something to see, and
//! the others are counted.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use super::notes::{Note, notes};
use crate::engine::status::{Counted, Seen};
use crate::policy::advice::Advice;
use crate::policy::time::Time;
use crate::pool::status::{HostStatus, LoanInfo, PoolStatus};
use crate::runtime::any_pool::AnyPool;
use crate::runtime::failure::DialFailure;
use crate::runtime::panics;
use crate::runtime::parts::Cell;

/// How much is shown of each pool, at most.
const HOSTS: usize = 100;
const PLACES: usize = 30;
const LOANS: usize = 100;
/// How many characters of a text are shown that the user's code has made, at most.
const TEXT: usize = 500;

/// A pool at one moment.
#[derive(Debug, Serialize)]
pub(super) struct PoolView {
    pub(super) name: Option<String>,
    pub(super) closed: bool,
    pub(super) status: PoolStatus,
    /// Hosts whose last dial failed.
    pub(super) failing_hosts: usize,
    pub(super) notes: Vec<Note>,
    pub(super) more_notes: usize,
    pub(super) hosts: Vec<HostView>,
    pub(super) more_hosts: usize,
    pub(super) places: Vec<Holder>,
    pub(super) more_places: usize,
    pub(super) loans: Vec<LoanInfo>,
    pub(super) more_loans: usize,
    pub(super) config: serde_json::Value,
}

#[derive(Debug, Serialize)]
pub(super) struct HostView {
    pub(super) key: String,
    pub(super) status: HostStatus,
    pub(super) advice: Option<AdviceView>,
    pub(super) last_dial_error: Option<DialError>,
}

#[derive(Debug, Serialize)]
pub(super) struct AdviceView {
    pub(super) text: String,
    #[serde(flatten)]
    advice: Advice,
}

#[derive(Debug, Serialize)]
pub(super) struct DialError {
    pub(super) message: String,
    #[serde(serialize_with = "crate::policy::figures::seconds")]
    pub(super) age: Duration,
}

/// The loans of one call site.
#[derive(Debug, Serialize)]
pub(super) struct Holder {
    pub(super) place: String,
    pub(super) loans: usize,
    /// Those that are held for `leak_after` or longer.
    pub(super) leaked: usize,
    #[serde(serialize_with = "crate::policy::figures::seconds")]
    pub(super) longest: Duration,
}

impl PoolView {
    pub(super) fn of(name: Option<&str>, pool: &dyn AnyPool) -> Self {
        let now = pool.base().clock.precise();
        let config = &pool.base().rules().config;
        let (cells, past) = pool.hosts();
        let Visited { status, failing_hosts, hosts, loans } = Visited::of(&cells, &past, now);
        let (places, (loans, more_loans)) =
            (places(&loans, config.leak_after), longest_held(loans, &cells));
        let mut view = PoolView {
            name: name.map(str::to_owned),
            closed: pool.base().is_closed(),
            status,
            failing_hosts,
            notes: Vec::new(),
            more_notes: 0,
            more_hosts: cells.len() - hosts.len(),
            hosts: hosts.into_iter().map(|at| HostView::of(&cells[at], now)).collect(),
            places,
            more_places: 0,
            loans,
            more_loans,
            config: serde_json::to_value(config).expect("settings have names that are text"),
        };
        (view.notes, view.more_notes) = notes(&view, config);
        view.shorten();
        cells.into_iter().for_each(panics::let_go);
        view
    }

    /// Leaves out what would be too much to read.
    fn shorten(&mut self) {
        self.hosts.sort_by(|a, b| a.key.cmp(&b.key));
        self.more_places = cut(&mut self.places, PLACES);
        let of_hosts = self.hosts.iter_mut().map(|host| &mut host.key);
        let of_loans = self.loans.iter_mut().map(|loan| &mut loan.key);
        let of_notes = self.notes.iter_mut().filter_map(|note| note.host.as_mut());
        of_hosts.chain(of_loans).chain(of_notes).for_each(shorten);
    }
}

impl HostView {
    fn of(cell: &Cell, now: Time) -> Self {
        let (view, failure) = cell.base().look(|state| (state.view(), state.failure()));
        HostView {
            key: cell.name().into_string(),
            status: view.into(),
            advice: cell
                .base()
                .advice(now)
                .map(|advice| AdviceView { text: advice.to_string(), advice }),
            last_dial_error: failure
                .map(|(failure, at)| DialError { message: message(&failure), age: now.since(at) }),
        }
    }
}

/// The error is the user's, and so is what formats it.
fn message(failure: &DialFailure) -> String {
    let message = panics::catch("the Display of an error", || failure.to_string());
    let mut message = message.unwrap_or_else(|_| "an error whose Display panics".to_owned());
    shorten(&mut message);
    message
}

/// What is known after a visit of each host.
struct Visited {
    status: PoolStatus,
    failing_hosts: usize,
    /// The hosts to be shown, by their place in the list: those with the most waiting callers come
    /// first, then those that cannot be dialed, then those with the most connections in use.
    hosts: Vec<usize>,
    /// All loans, without keys, which would take most of the time: each with the place of its host.
    loans: Vec<(LoanInfo, usize)>,
}

impl Visited {
    fn of(cells: &[Cell], past: &Counted, now: Time) -> Self {
        let (mut seen, mut counted) = (Seen::default(), Counted::default());
        let (mut failing_hosts, mut ranked, mut loans) = (0, Vec::new(), Vec::new());
        for (at, cell) in cells.iter().enumerate() {
            let (view, is_failing) = cell.base().look(|state| (state.view(), state.is_failing()));
            seen.add(&view.seen);
            counted.add(&view.counted);
            failing_hosts += usize::from(is_failing);
            let rank = (view.seen.waiting, is_failing, view.seen.in_use, view.seen.idle);
            ranked.push((Reverse(rank), at));
            if view.seen.leases > 0 {
                let of_host = cell.base().loans().into_iter();
                loans.extend(of_host.map(|loan| (LoanInfo::new(String::new(), loan, now), at)));
            }
        }
        counted.add_past(past);
        ranked.sort_unstable();
        let hosts = ranked.into_iter().take(HOSTS).map(|(_, at)| at).collect();
        let status = PoolStatus::new(cells.len(), seen, counted);
        Visited { status, failing_hosts, hosts, loans }
    }
}

/// Returns the loans that are held longest, with the keys of their hosts, and how many more there are.
fn longest_held(mut loans: Vec<(LoanInfo, usize)>, cells: &[Cell]) -> (Vec<LoanInfo>, usize) {
    loans.sort_by_key(|(loan, _)| Reverse(loan.held));
    let more = cut(&mut loans, LOANS);
    let with_key =
        |(loan, at): (LoanInfo, usize)| LoanInfo { key: cells[at].name().into_string(), ..loan };
    (loans.into_iter().map(with_key).collect(), more)
}

/// Returns the loans by call site, those with the most first.
fn places(loans: &[(LoanInfo, usize)], leak_after: Option<Duration>) -> Vec<Holder> {
    let mut places = HashMap::<String, Holder>::new();
    for (loan, _) in loans {
        let place = loan.place.to_string();
        let place = places.entry(place).or_insert_with_key(|place| Holder {
            place: place.clone(),
            loans: 0,
            leaked: 0,
            longest: Duration::ZERO,
        });
        place.loans += 1;
        place.leaked += usize::from(leak_after.is_some_and(|limit| loan.held >= limit));
        place.longest = place.longest.max(loan.held);
    }
    let mut places: Vec<_> = places.into_values().collect();
    places.sort_by(|a, b| (b.loans, b.longest, &a.place).cmp(&(a.loans, a.longest, &b.place)));
    places
}

/// Keeps the first few, and returns how many are left out.
pub(super) fn cut<T>(all: &mut Vec<T>, most: usize) -> usize {
    let more = all.len().saturating_sub(most);
    all.truncate(most);
    more
}

fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(TEXT) {
        text.truncate(end);
        text.push('…');
    }
}

//! What must hold, at every moment and at rest.

use std::time::Duration;

use tokio::time::Instant;

use crate::asks::{Place, TICK};
use crate::settings::{HOSTS, IDLE_TIMEOUT, MAX_LIFETIME};
use crate::support::*;
use crate::world::World;
use crate::{Verdict, holds};

/// # At every moment
impl World {
    pub(crate) fn check_now(&self) -> Verdict {
        self.ceilings.verdict()?;
        for host in 0..HOSTS {
            self.check_queue(host)?;
        }
        self.check_sums()
    }

    /// Who waits is who the model says: those that have something in hand came first, and were woken.
    fn check_queue(&self, host: u32) -> Verdict {
        if self.pool.is_none() {
            return Ok(());
        }
        let waiting = self.status_of(host).map_or(0, |status| status.waiting);
        let queue: Vec<_> = self.asks.queue(host).collect();
        holds!(
            waiting <= queue.len(),
            "{waiting} wait for host {host}, where {} were queued",
            queue.len()
        );
        for served in &queue[..queue.len() - waiting] {
            holds!(
                served.has_rung(),
                "{waiting} of {} wait for host {host}; {} came earlier, and was not woken",
                queue.len(),
                served.id
            );
        }
        Ok(())
    }

    /// Nothing is counted twice, and nobody is forgotten.
    pub(crate) fn check_sums(&self) -> Verdict {
        for host in 0..HOSTS {
            let Some(status) = self.status_of(host) else {
                let pending = self.asks.pending(host).filter(|ask| !ask.has_rung()).count();
                let lent = self.loans.iter().filter(|lent| lent.host == host).count();
                let forgotten = self.pool.is_some() && lent + pending > 0;
                holds!(!forgotten, "host {host} was forgotten: {lent} lent, {pending} pending");
                continue;
            };
            let lent = self.loans.iter().filter(|lent| lent.host == host).count();
            let pending = self.asks.pending(host).count();
            let rung = self.asks.pending(host).filter(|ask| ask.has_rung()).count();
            let counted = status.in_use + status.waiting;
            let least = (lent + pending).saturating_sub(rung);
            holds!(
                (least..=lent + pending).contains(&counted) && status.in_use >= lent,
                "host {host}: {} in use and {} waiting, where {lent} are lent, {pending} pending \
                 and {rung} of those were woken",
                status.in_use,
                status.waiting
            );
            holds!(status.leases == status.in_use, "host {host}: {status:?}");
        }
        Ok(())
    }
}

/// # When something is lent
impl World {
    /// An ask is over: nobody who came before it waits with nothing. `waiting` waited just before.
    pub(crate) fn check_order(&self, at: usize, waiting: usize) -> Verdict {
        let ask = &self.asks.all[at];
        if self.pool.is_none() {
            return Ok(());
        }
        if ask.place != Place::Queued {
            // It was lent what was idle, or sent away.
            return Ok(());
        }
        for before in self.asks.queue(ask.host).take_while(|other| other.id != ask.id) {
            let times_out = ask.deadline().is_some_and(|deadline| deadline <= Instant::now());
            holds!(
                before.has_rung() || times_out,
                "ask {} is over before {}, which came first ({waiting} waited)",
                ask.id,
                before.id
            );
        }
        Ok(())
    }

    /// What is lent is lent once, and was good when it was chosen for its borrower: then, in this act,
    /// or now.
    pub(crate) fn check_loan(
        &self,
        host: u32,
        loan: &TestLoan,
        chosen: Option<(Instant, usize)>,
    ) -> Verdict {
        let number = loan.number;
        let twice = self.loans.iter().any(|lent| lent.loan.number == number);
        holds!(!twice, "connection {number} is lent twice");
        holds!(*TestLoan::key(loan) == host, "connection {number} is of another host");
        let doomed = self.doomed.get(&number);
        let chosen_before = |doomed: usize| chosen.is_some_and(|(_, act)| act < doomed);
        // It was good when it was put into the hand of one who went: that is not asked again.
        let passed_on = |doomed: usize| {
            let mut hands = self.passed_on.iter().filter(|(of, ..)| *of == host);
            chosen.is_some() && hands.any(|(_, from, to)| (*from..=*to).contains(&doomed))
        };
        holds!(
            doomed.is_none_or(|&doomed| chosen_before(doomed) || passed_on(doomed)),
            "connection {number} was dead or retired in act {doomed:?} and is lent"
        );
        let info = TestLoan::info(loan);
        let slack = chosen.map_or(Duration::ZERO, |(at, _)| at.elapsed()) + TICK;
        holds!(info.age <= ms(MAX_LIFETIME) + slack, "connection {number} is old: {info:?}");
        // Of a few the pool keeps for however long.
        let is_fresh = info.idle_for <= ms(IDLE_TIMEOUT) + slack || self.settings.min_idle > 0;
        holds!(is_fresh, "connection {number} is stale: {info:?}");
        let uses = self.settings.max_uses.unwrap_or(u64::MAX);
        holds!(info.uses <= uses, "connection {number} is used up: {info:?}");
        Ok(())
    }
}

/// # At rest
impl World {
    /// Every task has done what it could: the gauges are what the connector counts.
    pub(crate) fn check_gauges(&self) -> Verdict {
        self.check_now()?;
        let counts = self.connector.counts();
        if let Some(pool) = &self.pool {
            let status = pool.status();
            holds!(
                // The end cuts off what has not begun.
                status.dialing == counts.dialing
                    && (status.dials == counts.dials as u64 || pool.is_closed()),
                "{} of {} dials are under way, where {status:?}",
                counts.dialing,
                counts.dials
            );
        }
        for host in 0..HOSTS {
            let of = |counts: &std::collections::HashMap<u32, usize>| {
                counts.get(&host).copied().unwrap_or_default()
            };
            let Some(status) = self.status_of(host) else {
                let open = if self.pool.is_some() { of(&counts.open_of) } else { 0 };
                holds!(open == 0, "host {host} was forgotten with {open} open");
                continue;
            };
            let open = status.idle + status.in_use + status.closing + status.dialing;
            // The end cuts pings off: the connector takes that for a death, and the pool closes it like any other.
            let is_cut_off = self.pool.as_ref().is_none_or(TestPool::is_closed);
            let seen = of(&counts.open_of);
            // Those that part may have given up their places.
            let agrees = (seen - of(&counts.parting_of)..=seen).contains(&open);
            holds!(
                (agrees || (is_cut_off && seen < open)) && status.dialing == of(&counts.dialing_of),
                "host {host}: {} are open and {} being dialed, where {status:?}",
                of(&counts.open_of),
                of(&counts.dialing_of)
            );
            // One is pinged for each that waits; the others need a ping, too.
            let pinging = of(&counts.pinging_of);
            let idle = status.idle.saturating_sub(pinging);
            holds!(
                idle == 0 || status.waiting <= pinging,
                "{idle} are idle and {pinging} pinged while {} wait: host {host}",
                status.waiting
            );
        }
        self.asks.check_deadlines()
    }

    /// Whether nothing is lent, asked for, dialed or being closed.
    pub(crate) fn is_quiet(&self) -> bool {
        let counts = self.connector.counts();
        self.asks.all.is_empty() && self.loans.is_empty() && counts.dialing == 0
    }
}

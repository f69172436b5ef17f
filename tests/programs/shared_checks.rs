//! What must hold of shared connections, at every moment and at rest.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;
use wharf::{HostStatus, Lease};

use crate::asks::{Place, TICK};
use crate::settings::{HOSTS, IDLE_TIMEOUT, MAX_LIFETIME};
use crate::shared_world::SharedWorld;
use crate::support::*;
use crate::wires::{Record, Wires};
use crate::{Verdict, holds};

/// # At every moment
impl SharedWorld {
    pub(crate) fn check_now(&self) -> Verdict {
        self.ceilings.verdict()?;
        self.wires.book().broken.clone().map_or(Ok(()), Err)?;
        let Some(pool) = &self.pool else { return Ok(()) };
        let hosts: HashMap<_, _> = pool.hosts().into_iter().collect();
        for host in 0..HOSTS {
            match hosts.get(&host) {
                Some(status) => self.check_sums(host, status)?,
                None => self.check_forgotten(host)?,
            }
        }
        Ok(())
    }

    /// Nothing is counted twice, and nobody is forgotten: a caller that does not wait was woken.
    fn check_sums(&self, host: u32, status: &HostStatus) -> Verdict {
        let leases = || self.leases.iter().filter(|lease| *Lease::key(lease) == host);
        let held = leases().count();
        let pending = self.asks.pending(host).count();
        let rung = self.asks.pending(host).filter(|ask| ask.has_rung()).count();
        let counted = status.leases + status.waiting;
        holds!(
            (held + pending - rung..=held + pending).contains(&counted) && status.leases >= held,
            "host {host}: {} leases and {} waiting, where {held} are held, {pending} pending and \
             {rung} of those were woken",
            status.leases,
            status.waiting
        );
        let asleep = pending - rung;
        holds!(
            asleep <= status.waiting,
            "host {host}: {asleep} sleep, and {} wait",
            status.waiting
        );
        let book = self.wires.book();
        let carriers: HashSet<_> = leases().map(|lease| lease.number).collect();
        let carriers = carriers.iter().filter(|number| !book.wires[number].is_buried).count();
        let most = carriers + status.leases - held;
        let least = carriers.saturating_sub(status.draining);
        holds!(
            self.is_closed || (least..=most).contains(&status.in_use),
            "host {host}: {} in use, where {held} leases are held on {carriers}: {status:?}",
            status.in_use
        );
        Ok(())
    }

    fn check_forgotten(&self, host: u32) -> Verdict {
        let asleep = self.asks.pending(host).filter(|ask| !ask.has_rung()).count();
        let held = self.leases.iter().filter(|lease| *Lease::key(lease) == host).count();
        holds!(held + asleep == 0, "host {host} was forgotten: {held} held, {asleep} asleep");
        Ok(())
    }
}

/// # When a lease is given
impl SharedWorld {
    /// An ask gets a lease: nobody who came before it waits and was not woken when it was.
    pub(crate) fn check_order(&self, at: usize, rang: Option<(Instant, usize)>) -> Verdict {
        let ask = &self.asks.all[at];
        if self.pool.is_none() {
            return Ok(());
        }
        let is_queued = ask.place == Place::Queued;
        // It was woken by its own time then, and what it gets came later.
        let is_over = ask.deadline().is_some_and(|deadline| deadline <= Instant::now());
        let queue = self.asks.queue(ask.host);
        for before in queue.take_while(|other| !is_queued || other.id != ask.id) {
            // It may have had a lease in its hand on what has died since, and waits again.
            let had = rang.is_some_and(|(_, moment)| {
                before.was_rung_at(moment) || (is_over && before.was_rung_since(moment))
            });
            let times_out = before.deadline().is_some_and(|deadline| deadline <= Instant::now());
            holds!(
                had || before.has_rung() || times_out,
                "ask {} gets a lease before {}, which came first",
                ask.id,
                before.id
            );
        }
        Ok(())
    }

    /// Its connection was good and had room when it was chosen: when the bell rang, or now.
    pub(crate) fn check_lease(
        &self,
        host: u32,
        lease: &Lease<Wires>,
        rang: Option<(Instant, usize)>,
    ) -> Verdict {
        let number = lease.number;
        let book = self.wires.book();
        let record = &book.wires[&number];
        holds!(
            *Lease::key(lease) == host && record.host == host,
            "connection {number} is not of host {host}"
        );
        let moment = rang.map_or(usize::MAX, |(_, moment)| moment);
        holds!(
            record.doomed.is_none_or(|doomed| moment < doomed),
            "connection {number} was dead, closed or retired before it was chosen for its borrower"
        );
        let (carries, may) = (self.held(number) + 1, record.room_since(moment));
        holds!(carries <= may, "connection {number} carries {carries}, where it has said {may}");
        let slack = rang.map_or(Duration::ZERO, |(at, _)| at.elapsed()) + TICK;
        let info = Lease::info(lease);
        // Where nothing else has room, one that is too old gets another life when it has answered.
        let has_answered = record.answered - record.made + slack >= ms(MAX_LIFETIME);
        let is_young = info.age <= ms(MAX_LIFETIME) + slack || has_answered;
        holds!(is_young, "connection {number} is old: {info:?}");
        // Of a few the pool keeps for however long.
        let settings = &self.settings.common;
        let is_fresh = info.idle_for <= ms(IDLE_TIMEOUT) + slack || settings.min_idle > 0;
        holds!(is_fresh, "connection {number} is stale: {info:?}");
        let uses = settings.max_uses.unwrap_or(u64::MAX);
        holds!(info.uses <= uses, "connection {number} is used up: {info:?}");
        Ok(())
    }
}

/// # At rest
impl SharedWorld {
    /// Every task has done what it could: the gauges are what the connector counts.
    pub(crate) fn check_gauges(&self) -> Verdict {
        self.check_now()?;
        self.asks.check_deadlines()?;
        let Some(pool) = &self.pool else { return Ok(()) };
        let (status, counts) = (pool.status(), self.wires.script.counts());
        holds!(
            status.dialing == counts.dialing
                && (status.dials == counts.dials as u64 || pool.is_closed()),
            "{} of {} dials are under way, where {status:?}",
            counts.dialing,
            counts.dials
        );
        let hosts: HashMap<_, _> = pool.hosts().into_iter().collect();
        for host in 0..HOSTS {
            let of = |counts: &HashMap<u32, usize>| counts.get(&host).copied().unwrap_or_default();
            let (open, parting) = (of(&counts.open_of), of(&counts.parting_of));
            let Some(status) = hosts.get(&host) else {
                holds!(open == 0, "host {host} was forgotten with {open} open");
                continue;
            };
            let known = status.idle + status.in_use + status.closing + status.dialing;
            // Of those that drain, some have given up their places and some have not.
            let known = known..=known + status.draining;
            // The end cuts pings off: the connector takes that for a death.
            let is_known = (open - parting..=open).any(|open| known.contains(&open));
            let agrees = is_known || (self.is_closed && open < *known.start());
            holds!(agrees, "host {host}: {open} are open, where {status:?}");
            self.check_room(host, status)?;
        }
        Ok(())
    }

    /// Nobody waits while there is room on a connection that needs no ping.
    fn check_room(&self, host: u32, status: &HostStatus) -> Verdict {
        if status.waiting == 0 || self.may_hold_room_back(host, status) {
            return Ok(());
        }
        let book = self.wires.book();
        let wires = book.wires.iter().filter(|(_, wire)| wire.host == host && is_good(wire));
        let room =
            |(number, wire): (&usize, &Record)| wire.told().saturating_sub(self.held(*number));
        let room: usize = wires.map(room).sum();
        let held = self.leases.iter().filter(|lease| *Lease::key(lease) == host).count();
        let in_hand = status.leases - held;
        holds!(
            room <= in_hand,
            "host {host}: {} wait, and there is room for {room}, {in_hand} in hand: {status:?}",
            status.waiting
        );
        Ok(())
    }

    /// Whether there may be a reason why what has room takes no lease, or not yet: it is asked, or it
    /// would be if no dial was on its way; or it is leaving.
    fn may_hold_room_back(&self, host: u32, status: &HostStatus) -> bool {
        let settings = &self.settings.common;
        let book = self.wires.book();
        let is_asked = book.pinging.get(&host).is_some_and(|pings| *pings > 0);
        let may_be_suspect = settings.ping_after.is_some() || book.doubted.contains(&host);
        let peak = self.wires.script.counts().peak_open;
        is_asked
            // One that was dialed before a retire serves those who came before that, and drains.
            || status.draining > 0
            || (may_be_suspect && status.dialing > 0)
            || self.lowered.contains(&host)
            || settings.max_uses.is_some()
            || settings.max_total.is_some_and(|max| peak >= max)
    }
}

fn is_good(wire: &Record) -> bool {
    wire.doomed.is_none() && wire.made.elapsed() + TICK < ms(MAX_LIFETIME)
}

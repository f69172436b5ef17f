//! A program's pool of shared connections, and everything that is outside of it.

use std::collections::{HashMap, HashSet};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;
use wharf::{AcquireError, AcquireLease, HostStatus, Lease, SharedHost, SharedPool};

use crate::act::Act;
use crate::asks::{Asks, Place};
use crate::ceilings::Ceilings;
use crate::play::{Play, Story};
use crate::shared_settings::SharedSettings;
use crate::support::*;
use crate::tally::Tally;
use crate::wires::Wires;
use crate::world::drop_in_panic;
use crate::{Verdict, holds};

pub(crate) struct SharedWorld {
    pub(crate) settings: SharedSettings,
    /// Until the last handle is dropped.
    pub(crate) pool: Option<SharedPool<Wires>>,
    pub(crate) wires: Wires,
    pub(crate) tally: Tally,
    pub(crate) ceilings: Ceilings,
    /// Handles on the hosts whose cap was changed.
    pub(crate) handles: HashMap<u32, SharedHost<Wires>>,
    /// Hosts of which more was open at some time than their cap: some of that leaves.
    pub(crate) lowered: HashSet<u32>,
    pub(crate) asks: Asks<AcquireLease<Wires>>,
    pub(crate) leases: Vec<Lease<Wires>>,
    pub(crate) is_closed: bool,
    pub(crate) story: Story,
}

impl Play for SharedWorld {
    type Settings = SharedSettings;
    type Acquire = AcquireLease<Wires>;

    fn new(settings: SharedSettings) -> Self {
        let asks = Asks::default();
        let wires = Wires::new(settings.room, asks.moment.clone());
        let ceilings = Ceilings::over_shared(&wires.script, &settings.common);
        let tally = Tally::default();
        let builder = settings.apply(SharedPool::builder()).observer(tally.clone());
        let pool = builder.build(wires.clone()).unwrap();
        SharedWorld {
            settings,
            pool: Some(pool),
            wires,
            tally,
            ceilings,
            handles: HashMap::new(),
            lowered: HashSet::new(),
            asks,
            leases: Vec::new(),
            is_closed: false,
            story: Story::default(),
        }
    }

    fn asks(&mut self) -> &mut Asks<Self::Acquire> {
        &mut self.asks
    }

    fn story(&mut self) -> &mut Story {
        &mut self.story
    }

    fn is_eager(&self) -> bool {
        self.settings.common.eager
    }

    fn be_eager(&mut self) {
        self.settings.common.eager = true;
    }

    fn out(&self) -> usize {
        self.leases.len()
    }

    async fn act(&mut self, act: &Act) -> Verdict {
        match *act {
            Act::Ask(host, patience) => {
                let at = self.ask(host, patience.map(ms));
                return at.map_or(Ok(()), |at| self.look(at));
            }
            Act::AskLater(host) => drop(self.ask(host, None)),
            Act::Look(which) => return self.asks.which(which).map_or(Ok(()), |at| self.look(at)),
            Act::Cancel(which) => {
                if let Some(at) = self.asks.which(which) {
                    let ask = self.asks.remove(at);
                    self.story.note(format_args!("it is ask {}", ask.id));
                }
            }
            Act::Next(stage, outcome) => self.wires.script.once(stage, outcome.step()),
            Act::Yield => tokio::task::yield_now().await,
            Act::Pass(millis) => return self.pass(millis).await,
            Act::SetMax(host, n) => return self.set_max(host, n).await,
            Act::LetGo(host) => {
                self.handles.remove(&host);
            }
            _ if self.act_on_lease(act) => {}
            _ => return self.act_on_all(act),
        }
        Ok(())
    }

    fn look(&mut self, at: usize) -> Verdict {
        let ask = &mut self.asks.all[at];
        let (id, place, rang) = (ask.id, ask.place, ask.rang());
        let (answer, now) = (ask.look(), Instant::now());
        let Poll::Ready(answer) = answer else {
            if place == Place::Nowhere {
                self.asks.enqueue(at, 0);
            }
            self.story.note(format_args!("{id} waits"));
            return Ok(());
        };
        if answer.is_ok() {
            self.check_order(at, rang)?;
        }
        let ask = self.asks.remove(at);
        ask.check_time(&answer, now, self.settings.common.eager)?;
        match answer {
            Ok(lease) => {
                self.story.note(format_args!("{id} gets a lease on {}", lease.number));
                self.lent(ask.host, lease, rang)
            }
            Err(AcquireError::Timeout(_)) => {
                if ask.patience == Some(Duration::ZERO) {
                    self.tally.count("would not wait");
                }
                self.story.note(format_args!("{id} gets nothing (no time)"));
                Ok(())
            }
            Err(error) => {
                self.story.note(format_args!("{id} gets nothing ({error})"));
                Ok(())
            }
        }
    }

    fn check(&self) -> Verdict {
        self.check_now()
    }

    fn check_at_rest(&self) -> Verdict {
        self.check_gauges()
    }

    async fn finish(&mut self) -> Verdict {
        self.end().await
    }
}

impl SharedWorld {
    pub(crate) fn status_of(&self, host: u32) -> Option<HostStatus> {
        let hosts = self.pool.as_ref()?.hosts();
        hosts.into_iter().find(|(key, _)| *key == host).map(|(_, status)| status)
    }

    /// Leases on one connection that borrowers hold.
    pub(crate) fn held(&self, number: usize) -> usize {
        self.leases.iter().filter(|lease| lease.number == number).count()
    }

    fn ask(&mut self, host: u32, patience: Option<Duration>) -> Option<usize> {
        let pool = self.pool.as_ref()?;
        let acquire = match patience {
            Some(patience) => pool.acquire_within(&host, patience),
            None => pool.acquire(&host),
        };
        let patience = patience.or(self.settings.common.acquire_timeout.map(ms));
        let id = self.asks.add(host, patience, acquire);
        self.story.note(format_args!("it is ask {id}"));
        self.asks.position(id)
    }

    fn lent(&mut self, host: u32, lease: Lease<Wires>, rang: Option<(Instant, usize)>) -> Verdict {
        self.check_lease(host, &lease, rang)?;
        self.leases.push(lease);
        Ok(())
    }

    fn try_acquire(&mut self, pool: &SharedPool<Wires>, host: u32) -> Verdict {
        let Some(lease) = pool.try_acquire(&host) else { return Ok(()) };
        // It may have heard of more room: then those who waited got theirs first.
        let waiting = self.status_of(host).map_or(0, |status| status.waiting);
        holds!(waiting == 0, "there is room while {waiting} wait for host {host}");
        self.story.note(format_args!("gets a lease on {}", lease.number));
        self.lent(host, lease, None)
    }

    /// Says whether the act is about one lease.
    fn act_on_lease(&mut self, act: &Act) -> bool {
        let (Act::Return(which)
        | Act::Discard(which)
        | Act::Panic(which)
        | Act::Die(which)
        | Act::RoomOf(which, _)) = *act
        else {
            return false;
        };
        let Some(at) = which.checked_rem(self.leases.len()) else { return true };
        let number = self.leases[at].number;
        self.story.note(format_args!("it is on {number}"));
        match *act {
            Act::Die(_) => self.wires.kill(number),
            Act::RoomOf(_, room) => self.wires.set_room(number, room),
            Act::Return(_) => drop(self.leases.swap_remove(at)),
            _ => self.give_up(at, matches!(act, Act::Panic(_))),
        }
        true
    }

    /// A lease ends, and its connection with it.
    fn give_up(&mut self, at: usize, panics: bool) {
        let lease = self.leases.swap_remove(at);
        self.wires.bury(&lease);
        if panics {
            drop_in_panic(lease);
        } else {
            self.wires.book().doubted.insert(*Lease::key(&lease));
            Lease::discard(lease);
        }
    }

    /// What is not about one ask or lease.
    fn act_on_all(&mut self, act: &Act) -> Verdict {
        let Some(pool) = self.pool.clone() else { return Ok(()) };
        match *act {
            Act::Try(host) => return self.try_acquire(&pool, host),
            Act::Lose(host) => {
                let numbers = self.wires.book().numbers(|of| of == host);
                for number in numbers {
                    self.wires.kill(number);
                }
            }
            Act::Room(host, room) => self.wires.set_room_of(host, room),
            Act::Warm(host, n) => drop(pool.warm(&host, n)),
            Act::Add(host) => self.add(&pool, host),
            Act::Retire(host) => {
                self.doom(|of| of == host);
                pool.retire(&host);
            }
            Act::RetireAll => {
                self.doom(|_| true);
                pool.retire_all();
            }
            Act::Thin => {
                let mut keep = false;
                pool.retain(|_, _, _| {
                    keep = !keep;
                    keep
                });
            }
            Act::CloseIdle => pool.close_idle(),
            Act::Close => {
                self.is_closed = true;
                drop(pool.close());
            }
            Act::Leave => {
                self.pool = None;
                self.handles.clear();
            }
            _ => unreachable!("{act:?} is not about all"),
        }
        Ok(())
    }

    /// What these hosts have is not to be lent again.
    fn doom(&self, is_of: impl Fn(u32) -> bool) {
        let mut book = self.wires.book();
        let now = self.asks.now();
        book.numbers(is_of).into_iter().for_each(|number| book.doom(number, now));
    }

    async fn set_max(&mut self, host: u32, n: usize) -> Verdict {
        // What was to be dialed is being dialed.
        self.settle().await?;
        let Some(pool) = &self.pool else { return Ok(()) };
        let handle = self.handles.entry(host).or_insert_with(|| pool.host(&host));
        let status = handle.status();
        let open = status.idle + status.in_use + status.dialing + status.closing + status.draining;
        if open > n {
            self.lowered.insert(host);
        }
        self.ceilings.set(host, n, open);
        handle.set_max(n).map_err(|error| error.to_string())
    }

    fn add(&mut self, pool: &SharedPool<Wires>, host: u32) {
        self.ceilings.pause(true);
        let wire = self.wires.make(host);
        let number = wire.number;
        let added = pool.add(&host, wire).is_ok();
        self.ceilings.pause(false);
        if added {
            self.story.note(format_args!("connection {number}"));
        } else {
            self.wires.book().doom(number, self.asks.now());
        }
        self.tally.count(if added { "added" } else { "not added" });
    }
}

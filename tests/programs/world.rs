//! A program's pool, and everything that is outside of it.

use std::collections::{BTreeMap, HashMap};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;
use wharf::{Acquire, AcquireError, Host, HostStatus, Pool};

use crate::act::Act;
use crate::asks::{Answer, Asks, Place};
use crate::ceilings::Ceilings;
use crate::play::{Play, Story};
use crate::settings::Settings;
use crate::support::*;
use crate::tally::Tally;
use crate::{Verdict, holds};

pub(crate) struct World {
    pub(crate) settings: Settings,
    /// Until the last handle is dropped.
    pub(crate) pool: Option<TestPool>,
    pub(crate) connector: TestConnector,
    pub(crate) tally: Tally,
    pub(crate) ceilings: Ceilings,
    /// Handles on the hosts whose cap was changed.
    pub(crate) handles: HashMap<u32, Host<TestConnector>>,
    pub(crate) asks: Asks<Acquire<TestConnector>>,
    pub(crate) loans: Vec<Lent>,
    /// In which act a connection died, or was to be lent no more, by its number.
    pub(crate) doomed: HashMap<usize, usize>,
    /// Asks that may have had a connection in hand when they went: host, in which act that was put
    /// there, and in which they went.
    pub(crate) passed_on: Vec<(u32, usize, usize)>,
    /// Connections of each host, by number: all that were ever lent.
    known: BTreeMap<usize, u32>,
    pub(crate) is_closed: bool,
    pub(crate) cancelled: usize,
    /// Answers to those who had a time, and by how much the latest came after it.
    pub(crate) timed: usize,
    pub(crate) latest: Duration,
    pub(crate) story: Story,
}

pub(crate) struct Lent {
    pub(crate) host: u32,
    pub(crate) loan: TestLoan,
}

impl Play for World {
    type Settings = Settings;
    type Acquire = Acquire<TestConnector>;

    fn new(settings: Settings) -> Self {
        let connector = TestConnector::new();
        let ceilings = Ceilings::over(&connector, &settings);
        connector.let_failed_pings_kill();
        let tally = Tally::default();
        let builder = settings.apply(Pool::builder()).observer(tally.clone());
        let pool = builder.build(connector.clone()).unwrap();
        World {
            settings,
            pool: Some(pool),
            connector,
            tally,
            ceilings,
            handles: HashMap::new(),
            asks: Asks::default(),
            loans: Vec::new(),
            doomed: HashMap::new(),
            passed_on: Vec::new(),
            known: BTreeMap::new(),
            is_closed: false,
            cancelled: 0,
            timed: 0,
            latest: Duration::ZERO,
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
        self.settings.eager
    }

    fn be_eager(&mut self) {
        self.settings.eager = true;
    }

    fn out(&self) -> usize {
        self.loans.len()
    }

    async fn act(&mut self, act: &Act) -> Verdict {
        match *act {
            Act::Ask(host, patience) => {
                let at = self.ask(host, patience.map(ms));
                return at.map_or(Ok(()), |at| self.look(at));
            }
            Act::AskLater(host) => drop(self.ask(host, None)),
            Act::Try(host) => return self.try_acquire(host),
            Act::Look(which) => {
                return self.asks.which(which).map_or(Ok(()), |at| self.look(at));
            }
            Act::Cancel(which) => self.cancel(which),
            Act::Return(which) => drop(self.which_loan(which)),
            Act::Discard(which) => self.give_up(which, TestLoan::discard),
            Act::Detach(which) => self.give_up(which, |loan| drop(TestLoan::detach(loan))),
            Act::Panic(which) => self.give_up(which, drop_in_panic),
            Act::Die(which) => {
                if let Some(lent) = which.checked_rem(self.loans.len()) {
                    let number = self.loans[lent].loan.number;
                    self.die(number);
                }
            }
            Act::Lose(host) => {
                let of_host = self.known.iter().filter(|(_, of)| **of == host);
                let numbers: Vec<_> = of_host.map(|(number, _)| *number).collect();
                for number in numbers {
                    self.die(number);
                }
            }
            Act::Next(stage, outcome) => self.connector.once(stage, outcome.step()),
            Act::Yield => tokio::task::yield_now().await,
            Act::Pass(millis) => return self.pass(millis).await,
            Act::SetMax(host, n) => return self.set_max(host, n).await,
            Act::LetGo(host) => {
                self.handles.remove(&host);
            }
            _ => return self.act_on_all(act),
        }
        Ok(())
    }

    fn look(&mut self, at: usize) -> Verdict {
        let (host, before) = (self.asks.all[at].host, self.waiting(self.asks.all[at].host));
        let ask = &mut self.asks.all[at];
        let (id, place, rang) = (ask.id, ask.place, ask.rang());
        let (answer, now) = (ask.look(), Instant::now());
        match answer {
            Poll::Ready(answer) => {
                self.check_order(at, before)?;
                let ask = self.asks.remove(at);
                if let Some(late) = ask.check_time(&answer, now, self.settings.eager)? {
                    self.timed += 1;
                    self.latest = self.latest.max(late);
                }
                let timed_out = matches!(answer, Err(AcquireError::Timeout(_)));
                if ask.patience == Some(Duration::ZERO) && timed_out {
                    self.tally.count("would not wait");
                }
                // One that was pinged for it was chosen at the first look.
                let chosen = match place {
                    Place::Nowhere => None,
                    Place::Pinging => ask.since,
                    Place::Queued => rang,
                };
                self.take(id, host, answer, chosen)
            }
            Poll::Pending => {
                let joined = self.waiting(host) > before;
                match place {
                    Place::Nowhere if joined || self.pool.is_none() => {
                        self.asks.enqueue(at, before);
                    }
                    Place::Nowhere => self.asks.all[at].place = Place::Pinging,
                    Place::Pinging if joined => self.asks.enqueue(at, before),
                    _ => {}
                }
                let place = self.asks.all[at].place;
                self.story.note(format_args!("{id} waits ({place:?})"));
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

impl World {
    pub(crate) fn status_of(&self, host: u32) -> Option<HostStatus> {
        let hosts = self.pool.as_ref()?.hosts();
        hosts.into_iter().find(|(key, _)| *key == host).map(|(_, status)| status)
    }

    fn waiting(&self, host: u32) -> usize {
        self.status_of(host).map_or(0, |status| status.waiting)
    }
}

/// # Acts
impl World {
    /// What is not about one ask or loan.
    fn act_on_all(&mut self, act: &Act) -> Verdict {
        let Some(pool) = self.pool.clone() else { return Ok(()) };
        match *act {
            Act::Warm(host, n) => drop(pool.warm(&host, n)),
            Act::Add(host) => return self.add(&pool, host),
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

    fn ask(&mut self, host: u32, patience: Option<Duration>) -> Option<usize> {
        let pool = self.pool.as_ref()?;
        let acquire = match patience {
            Some(patience) => pool.acquire_within(&host, patience),
            None => pool.acquire(&host),
        };
        let patience = patience.or(self.settings.acquire_timeout.map(ms));
        let id = self.asks.add(host, patience, acquire);
        self.story.note(format_args!("it is ask {id}"));
        self.asks.position(id)
    }

    fn take(
        &mut self,
        id: usize,
        host: u32,
        answer: Answer<TestLoan>,
        chosen: Option<(Instant, usize)>,
    ) -> Verdict {
        match answer {
            Ok(loan) => {
                self.story.note(format_args!("{id} gets connection {}", loan.number));
                self.lent(host, loan, chosen)
            }
            Err(error) => {
                let why = match error {
                    AcquireError::Timeout(_) => "no time".to_owned(),
                    error => error.to_string(),
                };
                self.story.note(format_args!("{id} gets nothing ({why})"));
                Ok(())
            }
        }
    }

    fn lent(&mut self, host: u32, loan: TestLoan, chosen: Option<(Instant, usize)>) -> Verdict {
        self.check_loan(host, &loan, chosen)?;
        self.known.insert(loan.number, host);
        self.loans.push(Lent { host, loan });
        Ok(())
    }

    fn try_acquire(&mut self, host: u32) -> Verdict {
        let Some(pool) = &self.pool else { return Ok(()) };
        let before = self.waiting(host);
        let Some(loan) = pool.try_acquire(&host) else { return Ok(()) };
        holds!(before == 0, "a connection was idle while {before} waited for host {host}");
        self.story.note(format_args!("gets connection {}", loan.number));
        self.lent(host, loan, None)
    }

    fn cancel(&mut self, which: usize) {
        if let Some(at) = self.asks.which(which) {
            let ask = self.asks.remove(at);
            if let Some((_, act)) = ask.rang() {
                self.passed_on.push((ask.host, act, self.asks.now()));
            }
            self.cancelled += 1;
            self.story.note(format_args!("it is ask {}", ask.id));
        }
    }

    fn which_loan(&mut self, which: usize) -> Option<TestLoan> {
        let at = which.checked_rem(self.loans.len())?;
        let loan = self.loans.swap_remove(at).loan;
        self.story.note(format_args!("it is connection {}", loan.number));
        Some(loan)
    }

    /// A loan does not come back.
    fn give_up(&mut self, which: usize, end: impl FnOnce(TestLoan)) {
        if let Some(loan) = self.which_loan(which) {
            loan.bury();
            end(loan);
        }
    }

    fn die(&mut self, number: usize) {
        self.connector.kill(number);
        self.doomed.entry(number).or_insert(self.asks.now());
    }

    /// What is known of these hosts is not to be lent again.
    fn doom(&mut self, is_of: impl Fn(u32) -> bool) {
        let act = self.asks.now();
        for (number, _) in self.known.iter().filter(|(_, host)| is_of(**host)) {
            self.doomed.entry(*number).or_insert(act);
        }
    }

    async fn set_max(&mut self, host: u32, n: usize) -> Verdict {
        // What was to be dialed is being dialed.
        self.settle().await?;
        let Some(pool) = &self.pool else { return Ok(()) };
        let handle = self.handles.entry(host).or_insert_with(|| pool.host(&host));
        let status = handle.status();
        let open = status.idle + status.in_use + status.dialing + status.closing;
        self.ceilings.set(host, n, open);
        handle.set_max(n).map_err(|error| error.to_string())
    }

    fn add(&mut self, pool: &TestPool, host: u32) -> Verdict {
        self.ceilings.pause(true);
        let conn = self.connector.make(host);
        let number = conn.number;
        let added = pool.add(&host, conn).is_ok();
        self.ceilings.pause(false);
        if added {
            self.known.insert(number, host);
            self.story.note(format_args!("connection {number}"));
        }
        self.tally.count(if added { "added" } else { "not added" });
        self.check_sums()
    }
}

/// Drops a loan as its thread would that panics.
pub(crate) fn drop_in_panic(loan: impl Sized) {
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _loan = loan;
        std::panic::resume_unwind(Box::new("told to panic"));
    }));
}

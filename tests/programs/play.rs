//! How a program is played on any kind of pool: acts come one after the other, time passes, and
//! callers that are woken look.

use std::fmt;
use std::sync::atomic::Ordering::SeqCst;

use tokio::time::{Instant, sleep_until};

use crate::Verdict;
use crate::act::Act;
use crate::asks::Asks;
use crate::support::ms;

/// Longer than any wait that ends by itself: time-outs, backoffs, pings.
const SECONDS: usize = 300;

/// What happened, a line for each act.
#[derive(Default)]
pub(crate) struct Story(Vec<String>);

impl Story {
    pub(crate) fn begin(&mut self, line: String) {
        self.0.push(line);
    }

    /// Adds to what the last line says.
    pub(crate) fn note(&mut self, words: impl fmt::Display) {
        if let Some(line) = self.0.last_mut() {
            *line = format!("{line}: {words}");
        }
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (1..).zip(&self.0).try_for_each(|(n, line)| writeln!(f, "{n:>4}  {line}"))
    }
}

/// A pool, and everything that is outside of it.
pub(crate) trait Play: Sized {
    type Settings: Clone + fmt::Debug;
    type Acquire;

    fn new(settings: Self::Settings) -> Self;

    fn asks(&mut self) -> &mut Asks<Self::Acquire>;

    fn story(&mut self) -> &mut Story;

    /// Whether callers that are woken look before time passes.
    fn is_eager(&self) -> bool;

    fn be_eager(&mut self);

    /// Loans or leases that are out.
    fn out(&self) -> usize;

    async fn act(&mut self, act: &Act) -> Verdict;

    /// An ask looks what has come of it.
    fn look(&mut self, at: usize) -> Verdict;

    /// What must hold at every moment.
    fn check(&self) -> Verdict;

    /// What must hold when every task has done what it could.
    fn check_at_rest(&self) -> Verdict;

    /// From here on everything goes well: everybody is served, and after the close nothing is left.
    async fn finish(&mut self) -> Verdict;

    /// Does one act, and checks what must hold after it.
    async fn run(&mut self, act: &Act) -> Verdict {
        self.story().begin(format!("{act:?}"));
        self.asks().moment.fetch_add(1, SeqCst);
        self.act(act).await?;
        self.check()
    }

    /// Lets every task do what it can.
    async fn settle(&mut self) -> Verdict {
        self.pass(1).await
    }

    /// Time passes, and in eager programs callers that are woken look.
    async fn pass(&mut self, millis: u64) -> Verdict {
        let end = Instant::now() + ms(millis);
        let any = self.asks().any.clone();
        let is_eager = self.is_eager();
        if is_eager {
            self.look_where_it_rang()?;
        }
        loop {
            tokio::select! {
                biased;
                () = any.notify.notified(), if is_eager => self.look_where_it_rang()?,
                () = sleep_until(end) => break,
            }
        }
        self.let_tasks_end().await?;
        self.check_at_rest()
    }

    /// What the last looks have begun is done, without time passing.
    async fn let_tasks_end(&mut self) -> Verdict {
        loop {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            if !self.is_eager() || !self.asks().any.rang.load(SeqCst) {
                return Ok(());
            }
            self.look_where_it_rang()?;
        }
    }

    fn look_where_it_rang(&mut self) -> Verdict {
        while self.asks().any.rang.swap(false, SeqCst) {
            while let Some(at) = self.asks().rung() {
                self.look(at)?;
            }
        }
        Ok(())
    }

    /// Everybody looks when woken, and never otherwise; all that is lent comes back.
    async fn settle_everybody(&mut self) -> Verdict {
        self.look_where_it_rang()?;
        self.be_eager();
        // Who has not looked yet looks now.
        while let Some(at) = self.asks().all.iter().position(|ask| ask.since.is_none()) {
            self.look(at)?;
        }
        for _ in 0..SECONDS {
            self.look_where_it_rang()?;
            if self.out() > 0 {
                self.run(&Act::Return(0)).await?;
            } else if self.asks().all.is_empty() {
                return Ok(());
            } else {
                self.run(&Act::Pass(1000)).await?;
            }
        }
        let left: Vec<_> = self.asks().all.iter().map(|ask| ask.id).collect();
        Err(format!("{left:?} wait without end"))
    }
}

//! The end of a program: everybody is served, every slot is there, and after the close nothing is.

use crate::act::Act;
use crate::settings::HOSTS;
use crate::support::*;
use crate::world::World;
use crate::{Verdict, holds};

/// Longer than any wait that ends by itself: time-outs, backoffs, pings.
const SECONDS: usize = 300;

impl World {
    /// From here on everything goes well.
    pub(crate) async fn finish(&mut self) -> Verdict {
        self.connector.behave();
        self.settle_everybody().await?;
        // What hangs is cut off.
        self.run(&Act::Pass(30_000)).await?;
        self.check_accounts()?;
        if self.pool.is_some() && !self.is_closed {
            self.use_every_slot().await?;
        }
        self.close().await
    }

    /// Everybody looks when woken, and never otherwise; whatever is lent comes back.
    async fn settle_everybody(&mut self) -> Verdict {
        self.look_where_it_rang()?;
        self.settings.eager = true;
        // Who has not looked yet looks now.
        while let Some(at) = self.asks.all.iter().position(|ask| ask.since.is_none()) {
            self.look(at)?;
        }
        for _ in 0..SECONDS {
            self.look_where_it_rang()?;
            if !self.loans.is_empty() {
                self.run(&Act::Return(0)).await?;
            } else if self.asks.all.is_empty() {
                return Ok(());
            } else {
                self.run(&Act::Pass(1000)).await?;
            }
        }
        let left: Vec<_> = self.asks.all.iter().map(|ask| ask.id).collect();
        Err(format!("{left:?} wait for ever"))
    }

    fn check_accounts(&self) -> Verdict {
        let Some(pool) = &self.pool else { return Ok(()) };
        holds!(self.is_quiet(), "it is not quiet");
        let status = pool.status();
        let out = [status.in_use, status.dialing, status.closing, status.waiting];
        holds!(out == [0; 4], "at rest, {status:?}");
        let agree = || self.tally.assert_all_but_pings_agree(pool, &self.connector);
        let agree = std::panic::catch_unwind(std::panic::AssertUnwindSafe(agree));
        agree.map_err(|_| "the accounts differ, as printed before".to_owned())
    }

    /// As many as a host's cap can be had at once.
    async fn use_every_slot(&mut self) -> Verdict {
        for host in 0..HOSTS {
            let pool = self.pool.clone().expect("it is there");
            let status = self.status_of(host);
            let cap = status.map_or(self.settings.max_per_host, |status| status.max);
            let cap = cap.min(self.settings.max_total.unwrap_or(usize::MAX));
            holds!(cap <= self.ceilings.cap(host), "host {host} has a cap of {cap}");
            self.log.push(format!("all {cap} of host {host}"));
            let mut loans = Vec::new();
            for _ in 0..cap {
                // Under a cap for all, what is idle elsewhere makes room.
                let loan = pool.acquire_timeout(&host, secs(60)).await;
                loans.push(loan.map_err(|error| format!("of {cap}, {}: {error}", loans.len()))?);
            }
            drop(loans);
            self.settle().await?;
        }
        Ok(())
    }

    async fn close(&mut self) -> Verdict {
        self.log.push("the end".to_owned());
        self.handles.clear();
        if let Some(pool) = self.pool.take() {
            tokio::time::timeout(secs(60), pool.close()).await.map_err(|_| "no end")?;
            let status = pool.status();
            holds!(status.hosts == 0 && status.idle == 0, "after the close, {status:?}");
        }
        tokio::time::sleep(secs(60)).await;
        let counts = self.connector.counts();
        holds!(counts.live() == 0, "{} outlive the pool", counts.live());
        holds!(counts.open == 0, "{} are open after the end", counts.open);
        self.ceilings.verdict()
    }
}

//! The end of a program: everybody is served, every slot is there, and after the close nothing is.

use crate::act::Act;
use crate::play::Play;
use crate::settings::HOSTS;
use crate::support::*;
use crate::world::World;
use crate::{Verdict, holds};

impl World {
    /// From here on everything goes well.
    pub(crate) async fn end(&mut self) -> Verdict {
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

    fn check_accounts(&self) -> Verdict {
        let Some(pool) = &self.pool else { return Ok(()) };
        holds!(self.is_quiet(), "it is not quiet");
        let status = pool.status();
        let out = [status.in_use, status.dialing, status.closing, status.waiting];
        holds!(out == [0; 4], "at rest, {status:?}");
        agrees(|| self.tally.assert_all_but_pings_agree(pool, &self.connector))
    }

    /// As many as a host's cap can be had at once.
    async fn use_every_slot(&mut self) -> Verdict {
        for host in 0..HOSTS {
            let pool = self.pool.clone().expect("it is there");
            let status = self.status_of(host);
            let cap = status.map_or(self.settings.max_per_host, |status| status.max);
            let cap = cap.min(self.settings.max_total.unwrap_or(usize::MAX));
            holds!(cap <= self.ceilings.cap(host), "host {host} has a cap of {cap}");
            self.story.begin(format!("all {cap} of host {host}"));
            let mut loans = Vec::new();
            for _ in 0..cap {
                // Under a cap for all, what is idle elsewhere makes room.
                let loan = pool.acquire_within(&host, secs(60)).await;
                loans.push(loan.map_err(|error| format!("of {cap}, {}: {error}", loans.len()))?);
            }
            drop(loans);
            self.settle().await?;
        }
        Ok(())
    }

    async fn close(&mut self) -> Verdict {
        self.story.begin("the end".to_owned());
        self.handles.clear();
        if let Some(pool) = self.pool.take() {
            tokio::time::timeout(secs(60), pool.close()).await.map_err(|_| "no end")?;
            let status = pool.status();
            holds!(status.hosts == 0 && status.idle == 0, "after the close, {status:?}");
        }
        check_end(&self.connector).await?;
        self.ceilings.verdict()
    }
}

/// When the pool has gone nothing is left.
pub(crate) async fn check_end(connector: &TestConnector) -> Verdict {
    tokio::time::sleep(secs(60)).await;
    let counts = connector.counts();
    holds!(counts.live() == 0, "{} outlive the pool", counts.live());
    holds!(counts.open == 0, "{} are open after the end", counts.open);
    Ok(())
}

/// What a tally says of the accounts.
pub(crate) fn agrees(assert: impl FnOnce()) -> Verdict {
    let agree = std::panic::catch_unwind(std::panic::AssertUnwindSafe(assert));
    agree.map_err(|_| "the accounts differ, as printed before".to_owned())
}

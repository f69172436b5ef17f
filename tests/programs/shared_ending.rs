//! The end of a program on shared connections: everybody is served, every lease can be had, and after
//! the close nothing is left.

use crate::act::Act;
use crate::ending::{agrees, check_end};
use crate::play::Play;
use crate::settings::HOSTS;
use crate::shared_world::SharedWorld;
use crate::support::*;
use crate::{Verdict, holds};

impl SharedWorld {
    pub(crate) async fn end(&mut self) -> Verdict {
        self.wires.behave();
        self.settle_everybody().await?;
        // What hangs is cut off.
        self.run(&Act::Pass(30_000)).await?;
        self.check_accounts()?;
        if self.pool.is_some() && !self.is_closed {
            self.use_every_lease().await?;
        }
        self.close().await
    }

    fn check_accounts(&self) -> Verdict {
        let Some(pool) = &self.pool else { return Ok(()) };
        let (status, counts) = (pool.status(), self.wires.script.counts());
        let out = [status.in_use, status.leases, status.dialing, status.closing, status.waiting];
        holds!(out == [0; 5], "at rest, {status:?}");
        let there = [counts.live(), counts.open];
        holds!(there == [status.idle; 2], "{there:?} are live and open, where {status:?}");
        agrees(|| self.tally.assert_counters_agree(&status, &self.wires.script))
    }

    /// As many as a host's cap can be had at once, each with all that it carries.
    async fn use_every_lease(&mut self) -> Verdict {
        for host in 0..HOSTS {
            let pool = self.pool.clone().expect("it is there");
            let settings = &self.settings.common;
            let cap = self.status_of(host).map_or(settings.max_per_host, |status| status.max);
            let cap = cap.min(settings.max_total.unwrap_or(usize::MAX));
            holds!(cap <= self.ceilings.cap(host), "host {host} has a cap of {cap}");
            // What is nearly used up carries one more.
            let each = settings.max_uses.map_or(self.settings.room, |_| 1);
            self.story.begin(format!("all {each} of all {cap} of host {host}"));
            for n in 0..cap * each {
                // Under a cap for all, what is idle elsewhere makes room.
                let lease = pool.acquire_within(&host, secs(60)).await;
                let lease = lease.map_err(|error| format!("after {n}: {error}"))?;
                self.leases.push(lease);
            }
            self.check_now()?;
            self.leases.clear();
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
        check_end(&self.wires.script).await?;
        self.check_now()?;
        self.ceilings.verdict()
    }
}

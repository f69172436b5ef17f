//! Pings: of a connection that is to be lent, in the acquire that waits for it, and of suspects, in
//! the background.

use std::pin::Pin;
use std::sync::Arc;

use crate::connector::Connector;
use crate::core::{Core, Shell};
use crate::engine::PingOrder;
use crate::panics;
use crate::pooled_connection::{Parcel, PooledConnection};
use crate::target::Target;

/// The ping of a loan. It comes back with what the ping said.
pub(crate) type Ping<C> = Pin<Box<dyn Future<Output = (PooledConnection<C>, bool)> + Send>>;

/// Pings a connection before it is lent. Dropped before its end it closes the connection: nobody
/// knows the state of a conversation that was cut off.
pub(crate) fn of_loan<C: Connector>(loan: PooledConnection<C>) -> Ping<C> {
    Box::pin(async move {
        let mut asked = Asked(Some(loan));
        let core = PooledConnection::target(asked.loan()).core.clone();
        let answered = answers(&core, asked.loan()).await;
        (asked.0.take().expect("it is taken once"), answered)
    })
}

struct Asked<C: Connector>(Option<PooledConnection<C>>);

impl<C: Connector> Asked<C> {
    fn loan(&mut self) -> &mut PooledConnection<C> {
        self.0.as_mut().expect("it is taken once")
    }
}

impl<C: Connector> Drop for Asked<C> {
    fn drop(&mut self) {
        if let Some(loan) = self.0.take() {
            PooledConnection::cut_off(loan);
        }
    }
}

async fn answers<C: Connector>(core: &Core<C>, connection: &mut C::Connection) -> bool {
    let ping = panics::catch_future("ping", async {
        let ping = core.connector.ping(connection);
        match core.settings.ping_timeout {
            None => Ok(ping.await),
            Some(limit) => tokio::time::timeout(limit, ping).await,
        }
    });
    matches!(ping.await, Ok(Ok(Ok(()))))
}

/// Starts the ping of a connection that is in nobody's hand. Without a runtime it counts as failed.
pub(crate) fn begin<C: Connector>(order: PingOrder<Shell<C>>) {
    let PingOrder { host, connection, doubts } = order;
    let runtime = host.core.any_runtime();
    let check = Check { connection: Some(connection), target: host, doubts };
    if let Some(runtime) = runtime {
        runtime.spawn(check.run());
    }
}

/// A connection that is being checked. Dropped before its end it closes the connection.
struct Check<C: Connector> {
    connection: Option<Parcel<C>>,
    target: Arc<Target<C>>,
    doubts: u32,
}

impl<C: Connector> Check<C> {
    async fn run(mut self) {
        let target = self.target.clone();
        let Some(connection) = &mut self.connection else { return };
        let answered = answers(&target.core, &mut connection.connection.connection).await;
        panics::log(|| {
            tracing::debug!(target: "wharf::ping", key = ?target.key, answered, "checked a suspect");
        });
        if let Some(connection) = self.connection.take_if(|_| answered) {
            let (at, doubts) = (target.id.index, self.doubts);
            target.change(|engine, now, fx| {
                engine.check_answered(at, connection, doubts, now, fx);
            });
        }
    }
}

impl<C: Connector> Drop for Check<C> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let at = self.target.id.index;
            self.target.change(|engine, now, fx| engine.check_failed(at, connection, now, fx));
        }
    }
}

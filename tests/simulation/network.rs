//! Two servers and a client, and the links between them.

use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::{TcpListener, TcpStream};
use turmoil::{Builder, Sim};

use crate::{ms, secs};

pub(crate) const CLIENT: &str = "client";
pub(crate) const HOSTS: [&str; 2] = ["a", "b"];
pub(crate) const PORT: u16 = 1234;

/// The simulation runs each machine for so long in turn.
pub(crate) const TICK: Duration = ms(5);

pub(crate) struct Network {
    pub(crate) sim: Sim<'static>,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        let mut builder = Builder::new();
        builder.min_message_latency(ms(1)).max_message_latency(ms(50));
        Network::of(&mut builder, seed)
    }

    /// Every message takes so long.
    pub(crate) fn with_latency(seed: u64, latency: Duration) -> Self {
        let mut builder = Builder::new();
        builder.min_message_latency(latency).max_message_latency(latency);
        Network::of(&mut builder, seed)
    }

    fn of(builder: &mut Builder, seed: u64) -> Self {
        builder.rng_seed(seed).tick_duration(TICK).simulation_duration(secs(100_000));
        let mut sim = builder.build();
        for host in HOSTS {
            sim.host(host, serve);
        }
        Network { sim }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.sim.elapsed() + time;
        while self.sim.elapsed() < end {
            self.sim.step().unwrap();
        }
    }

    /// The two fail in ways of their own: the first loses its network, the second crashes.
    pub(crate) fn strike(&mut self, rng: &mut Rng) {
        let [a, b] = HOSTS;
        match rng.u32(..12) {
            0 => self.sim.partition(CLIENT, a),
            1 => self.sim.partition_oneway(CLIENT, a),
            2 => self.sim.partition_oneway(a, CLIENT),
            3 => self.sim.hold(CLIENT, a),
            4 => self.sim.set_link_latency(CLIENT, a, ms(rng.u64(1..1000))),
            5..8 => self.calm(a),
            8 | 9 if self.sim.is_host_running(b) => self.sim.crash(b),
            // What runs is started anew too: its connections are gone.
            _ => self.sim.bounce(b),
        }
    }

    fn calm(&mut self, host: &str) {
        self.sim.release(CLIENT, host);
        self.sim.repair(CLIENT, host);
        self.sim.set_link_latency(CLIENT, host, ms(1));
    }

    pub(crate) fn heal(&mut self) {
        for host in HOSTS {
            self.calm(host);
        }
        if !self.sim.is_host_running(HOSTS[1]) {
            self.sim.bounce(HOSTS[1]);
        }
    }
}

/// Sends back what it gets.
async fn serve() -> turmoil::Result {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(echo(stream));
    }
}

async fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 64];
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

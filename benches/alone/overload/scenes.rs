//! The scenes: what is asked of a pool, and who asks.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::player::Player;
use crate::server::Server;
use crate::share::Share;
use crate::user::User;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const USE: Duration = ms(10);
/// Ten connections serve one user in this time.
const EACH: Duration = ms(1);
const IMPATIENT: User = User { waits: secs(1), retries: 2 };
const PATIENT: User = User { waits: secs(30), retries: 2 };
/// One of this many is patient, where some are.
const PATIENT_EACH: u32 = 10;

/// A load in percent of what ten connections serve, and how many seconds it lasts.
type Period = (u32, u32);

/// Users of the second one are counted: a queue has filled then, and others come after them.
const fn lasting(percent: u32) -> [Period; 3] {
    [(percent, 20), (percent, 20), (percent, 5)]
}

/// A patient user may stay for 90 s: those that are counted meet a queue that has filled, and others that come until they
/// have left.
const AMONG_PATIENT: [Period; 3] = [(130, 120), (130, 20), (130, 100)];

pub(crate) struct Scene {
    name: &'static str,
    connections: u32,
    /// How many uses at once slow each other down by nothing.
    at_once: u32,
    usage: Duration,
    asked: Asked,
}

enum Asked {
    /// Users arrive, however others fare; those of one period are counted.
    Load { periods: &'static [Period], counted: usize },
    /// Some of the users are patient; these are counted, or the others.
    Mixed { counts_patient: bool },
    /// All come together, and ask this often one after the other.
    Together { callers: u32, times: u32, waits: Duration },
}

const fn load(name: &'static str, periods: &'static [Period; 3]) -> Scene {
    let asked = Asked::Load { periods, counted: 1 };
    Scene { name, connections: 10, at_once: 10, usage: USE, asked }
}

/// As many connections as the server does things at once.
const fn together(name: &'static str, connections: u32, usage: Duration, asked: Asked) -> Scene {
    Scene { name, connections, at_once: connections, usage, asked }
}

const fn callers(callers: u32, times: u32, waits: Duration) -> Asked {
    Asked::Together { callers, times, waits }
}

const BURST: Asked = Asked::Load { periods: &[(60, 5), (200, 10), (60, 3), (60, 20)], counted: 3 };

pub(crate) const ALL: [Scene; 13] = [
    load("load 60 %", &lasting(60)),
    load("load 100 %", &lasting(100)),
    load("load 115 %", &lasting(115)),
    load("load 130 %", &lasting(130)),
    load("load 160 %", &lasting(160)),
    load("load 200 %", &lasting(200)),
    Scene {
        name: "load 60 %, 3 s after a burst of 200 % for 10 s",
        connections: 10,
        at_once: 10,
        usage: USE,
        asked: BURST,
    },
    Scene {
        name: "load 130 %, 20 connections to a server that does 10 things at once",
        connections: 20,
        at_once: 10,
        usage: USE,
        asked: Asked::Load { periods: &lasting(130), counted: 1 },
    },
    Scene {
        name: "load 130 %, one user in ten waits for 30 s: those",
        connections: 10,
        at_once: 10,
        usage: USE,
        asked: Asked::Mixed { counts_patient: true },
    },
    Scene {
        name: "load 130 %, one user in ten waits for 30 s: the others",
        connections: 10,
        at_once: 10,
        usage: USE,
        asked: Asked::Mixed { counts_patient: false },
    },
    together(
        "1,024 callers in a closed loop on 16 connections, who wait for 0.64 s and leave after 1 s",
        16,
        USE,
        callers(1024, 10, secs(1)),
    ),
    together(
        "2,000 callers at once on 10 connections, who leave after 3 s",
        10,
        USE,
        callers(2000, 1, secs(3)),
    ),
    together(
        "40 transactions of 0.5 s on 1 connection, whose callers leave after 30 s",
        1,
        ms(500),
        callers(40, 1, secs(30)),
    ),
];

/// How one user fared.
struct Ended {
    period: usize,
    is_patient: bool,
    is_answered: bool,
}

impl Scene {
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) async fn play<P: Player>(&self) -> Share {
        let server = Server::new(self.at_once, self.usage);
        match self.asked {
            Asked::Load { periods, counted } => {
                let pool = P::new(self.connections, IMPATIENT.waits);
                let users = arrivals(&pool, &server, periods, |_| IMPATIENT).await;
                let counted = users.iter().filter(|user| user.period == counted);
                Share::of(counted.map(|user| user.is_answered))
            }
            Asked::Mixed { counts_patient } => {
                let pool = P::new(self.connections, IMPATIENT.waits);
                let kind = |nth| if nth % PATIENT_EACH == 0 { PATIENT } else { IMPATIENT };
                let users = arrivals(&pool, &server, &AMONG_PATIENT, kind).await;
                let counted = |user: &&Ended| user.period == 1 && user.is_patient == counts_patient;
                Share::of(users.iter().filter(counted).map(|user| user.is_answered))
            }
            Asked::Together { callers, times, waits } => {
                let pool = P::new(self.connections, waits);
                let mut asking = JoinSet::new();
                for _ in 0..callers {
                    asking.spawn(in_turn(
                        pool.clone(),
                        server.clone(),
                        User { waits, retries: 0 },
                        times,
                    ));
                }
                Share::of(asking.join_all().await.into_iter().flatten())
            }
        }
    }
}

/// One caller asks again and again.
async fn in_turn<P: Player>(pool: P, server: Server, user: User, times: u32) -> Vec<bool> {
    let mut answers = Vec::new();
    for _ in 0..times {
        answers.push(user.is_answered(pool.clone(), server.clone()).await);
    }
    answers
}

/// Users arrive at even intervals, each of the kind that its number says.
async fn arrivals<P: Player>(
    pool: &P,
    server: &Server,
    periods: &[Period],
    kind: impl Fn(u32) -> User,
) -> Vec<Ended> {
    let (mut users, mut next, mut nth) = (JoinSet::new(), Instant::now(), 0);
    for (period, (percent, seconds)) in periods.iter().enumerate() {
        for _ in 0..seconds * 1000 * percent / 100 {
            sleep_until(next).await;
            next += EACH * 100 / *percent;
            let (user, asking) = (kind(nth), (pool.clone(), server.clone()));
            users.spawn(async move {
                let is_answered = user.is_answered(asking.0, asking.1).await;
                Ended { period, is_patient: user.waits > IMPATIENT.waits, is_answered }
            });
            nth += 1;
        }
    }
    users.join_all().await
}

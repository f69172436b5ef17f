//! Adapters for managers that were written for other pools (features `bb8` and `deadpool`).
//!
//! `Bb8` takes a `bb8::ManageConnection`, `Deadpool` a `deadpool::managed::Manager`. The existing
//! managers for PostgreSQL, Redis, `SQLite`, AMQP or SQL Server work without further code. Each
//! stands for one server, so the pool's key is `()`.
//!
//! # Versions
//!
//! The managers must be written for bb8 0.9 or deadpool 0.13: those for another version implement
//! another trait, and do not compile. The guide lists the managers that were tested, [for
//! bb8](crate::guide::from_bb8#managers) and [for deadpool](crate::guide::from_deadpool#managers).
//!
//! # The settings and their counterparts
//!
//! | bb8 | deadpool | here |
//! | --- | --- | --- |
//! | `max_size` | `max_size` | [`max_per_host`](crate::Builder::max_per_host) |
//! | `min_idle` | | [`min_idle_per_host`](crate::Builder::min_idle_per_host) |
//! | `connection_timeout` | `timeouts.wait` | [`acquire_timeout`](crate::Builder::acquire_timeout) |
//! | | `timeouts.create` | [`connect_timeout`](crate::Builder::connect_timeout) |
//! | | `timeouts.recycle` | [`ping_timeout`](crate::Builder::ping_timeout) |
//! | `test_on_check_out` | (always) | [`health_check`](crate::Builder::health_check) |
//! | `idle_timeout` | | [`idle_timeout`](crate::Builder::idle_timeout) |
//! | `max_lifetime` | | [`max_lifetime`](crate::Builder::max_lifetime) |
//! | `queue_strategy` | `queue_mode` | [`reuse`](crate::Builder::reuse) |
//!
//! Both of those pools check each connection before they lend it, unless this is turned off. Here
//! that is the default for a manager: set another [`HealthCheck`](crate::HealthCheck) where the
//! manager notices by itself that a connection has died, or where one loan may fail for each death.

#[cfg(feature = "bb8")]
mod bb8;
#[cfg(feature = "deadpool")]
mod deadpool;
#[cfg(feature = "deadpool")]
mod deadpool_error;
#[cfg(feature = "deadpool")]
mod deadpool_object;

#[cfg(feature = "bb8")]
pub use self::bb8::Bb8;
#[cfg(feature = "deadpool")]
pub use self::deadpool::Deadpool;
#[cfg(feature = "deadpool")]
pub use self::deadpool_error::DeadpoolError;
#[cfg(feature = "deadpool")]
pub use self::deadpool_object::DeadpoolObject;

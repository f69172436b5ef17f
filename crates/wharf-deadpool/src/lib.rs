//! Managers that were written for deadpool, on wharf's connection pool.
//!
//! [`Deadpool`] takes a [`deadpool::managed::Manager`] and is a [`Connector`](wharf::Connector). The
//! existing managers for PostgreSQL, Redis, AMQP or `SQLite` work without further code. Each stands
//! for one server, so the pool's key is `()`; [`name`](Deadpool::name) says how errors and logs call it. For the way
//! here, see the [guide].
//!
//! # The settings and their counterparts
//!
//! | deadpool | here |
//! | --- | --- |
//! | `max_size` | [`max_per_host`](wharf::Builder::max_per_host) |
//! | `timeouts.wait` | [`acquire_timeout`](wharf::Builder::acquire_timeout) |
//! | `timeouts.create` | [`connect_timeout`](wharf::Builder::connect_timeout) |
//! | `timeouts.recycle` | [`ping_timeout`](wharf::Builder::ping_timeout) |
//! | (always) | [`health_check`](wharf::Builder::health_check) |
//! | `queue_mode` | [`reuse`](wharf::Builder::reuse) |
//! | `post_create` | [`Deadpool::on_connect`] |
//!
//! # Versions
//!
//! It is made with deadpool 0.13, whose traits are public here: managers for another version
//! implement another trait, and do not compile. A new version of deadpool that breaks them is a
//! breaking version of this crate. The guide lists the [managers that were
//! tested](crate::guide#managers).

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used)]

mod connector;
mod error;
mod object;

pub use connector::Deadpool;
pub use error::Error;
pub use object::DeadpoolObject;

#[doc = include_str!("guide.md")]
pub mod guide {}

/// Runs the README's example as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

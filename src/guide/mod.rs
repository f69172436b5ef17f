//! How to use a pool well: a page a question, each with code that is compiled and run by the tests.
//!
//! | question | page |
//! | --- | --- |
//! | How many connections? | [`sizes`] |
//! | How many in a fleet, and behind PgBouncer or Envoy? | [`many_processes`] |
//! | One pool for many hosts, or a pool each? | [`many_hosts`] |
//! | How does it notice that a connection is dead? | [`health`] |
//! | What about connections that live for weeks, and load balancers? | [`long_lived`] |
//! | Which time-out covers what? | [`time_outs`] |
//! | How does my program end well? | [`shutdown`] |
//! | How do I test my code without a server? | [`testing`] |
//! | How do I pool something of my own? | [`connector`] |
//! | How does a web service use it, from start to end? | [`web_service`] |
//! | It says "timed out". Why? | [`timed_out`] |
//! | What does it log and measure, and what should wake me up? | [`observability`] |
//! | What may I rely on, and what not? | [`trust`] |
//! | I come from another pool. | [`from_bb8`], [`from_deadpool`], [`from_r2d2`], [`from_go`] |

#[doc = include_str!("connector.md")]
pub mod connector {}

#[cfg_attr(feature = "bb8", doc = include_str!("from_bb8.md"))]
#[cfg_attr(
    not(feature = "bb8"),
    doc = "Moving from bb8: shown in documentation with the feature `bb8`."
)]
pub mod from_bb8 {}

#[cfg_attr(feature = "deadpool", doc = include_str!("from_deadpool.md"))]
#[cfg_attr(
    not(feature = "deadpool"),
    doc = "Moving from deadpool: shown in documentation with the feature `deadpool`."
)]
pub mod from_deadpool {}

#[doc = include_str!("from_go.md")]
pub mod from_go {}

#[doc = include_str!("from_r2d2.md")]
pub mod from_r2d2 {}

#[doc = include_str!("health.md")]
pub mod health {}

#[doc = include_str!("long_lived.md")]
pub mod long_lived {}

#[doc = include_str!("many_hosts.md")]
pub mod many_hosts {}

#[doc = include_str!("many_processes.md")]
pub mod many_processes {}

#[doc = include_str!("shutdown.md")]
pub mod shutdown {}

#[doc = include_str!("observability.md")]
pub mod observability {}

#[doc = include_str!("sizes.md")]
pub mod sizes {}

#[cfg_attr(feature = "test-util", doc = include_str!("testing.md"))]
#[cfg_attr(
    not(feature = "test-util"),
    doc = "Testing without a server: shown in documentation with the feature `test-util`."
)]
pub mod testing {}

#[doc = include_str!("time_outs.md")]
pub mod time_outs {}

#[doc = include_str!("timed_out.md")]
pub mod timed_out {}

#[doc = include_str!("trust.md")]
pub mod trust {}

#[cfg_attr(not(doctest), doc = include_str!("web_service.md"))]
pub mod web_service {}

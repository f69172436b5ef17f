//! The public handles and futures, one noun a file.

pub(crate) mod acquire;
pub(crate) mod add_error;
mod alarm;
pub(crate) mod builder;
pub(crate) mod close;
mod configure;
pub(crate) mod connector_error;
pub(crate) mod connector_fn;
#[cfg(any(feature = "metrics", feature = "page"))]
pub(crate) mod erased;
pub(crate) mod error;
mod exchange;
pub(crate) mod host;
pub(crate) mod no_connector;
mod out_of_time;
#[allow(clippy::module_inception)] // One noun, one file.
pub(crate) mod pool;
pub(crate) mod pooled_connection;
pub(crate) mod shared;
mod shown_host;
pub(crate) mod status;
pub(crate) mod timeout_report;
mod waiting;
pub(crate) mod warm;
pub(crate) mod warm_error;

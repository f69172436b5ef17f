//! Settings, reasons, and the traits that users implement. Plain data and traits: nothing here
//! decides anything, and nothing is imported from another layer.

pub(crate) mod acquire_failure;
pub(crate) mod advice;
pub(crate) mod backoff;
pub(crate) mod build_error;
pub(crate) mod close_reason;
pub(crate) mod config;
pub(crate) mod connector;
#[cfg(feature = "serde")]
pub(crate) mod figures;
pub(crate) mod health_check;
pub(crate) mod heartbeat;
pub(crate) mod limits;
pub(crate) mod observer;
pub(crate) mod order;
pub(crate) mod redacted;
pub(crate) mod reuse;
pub(crate) mod shared_connector;
pub(crate) mod signs;
pub(crate) mod spread;
pub(crate) mod time;
pub(crate) mod wrapper;

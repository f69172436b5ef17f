//! The pages and parts of the documentation whose code needs crates that wharf itself does not depend on. Their code runs
//! here as documentation tests, and where their text is, it does not (`cfg_attr(not(doctest), …)`).
//!
//! `tests/documents.rs` sees to it that none is left out.

#[doc = include_str!("../../../src/metrics/buckets.md")]
pub mod buckets {}

#[doc = include_str!("../../../src/guide/redis.md")]
pub mod redis {}

#[doc = include_str!("../../../src/guide/web_service.md")]
pub mod web_service {}

//! What `wharf` costs, beside other pools and beside none.
//!
//! Each module measures one thing and gives back a part of a table, in a short form (for the report) or a long one.
//! The programs in `benches/` print one part each; `report` prints all of them and draws plots.
//!
//! The rules: contestants take turns within one process, ratios are taken within a round and medians
//! are printed; no figure is written down anywhere; what a pool counts is compared with what was made.

pub mod contended;
mod contestants;
mod drive;
pub mod form;
pub mod hit;
pub mod machine;
mod measure;
mod starve;
pub mod starved;
pub mod table;

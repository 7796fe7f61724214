//! What people see: the run directory, plots, the report, JUnit. Turns data into pages; decides nothing.
//!
//! ```text
//! RunDir ──▶ RunData ──▶ report::render    report.html, for a reviewer
//!   │                └─▶ plots::all        plots/*.svg, for a page of one's own
//!   └─ verdict.json ───▶ junit::render     junit.xml, for CI
//!                    └─▶ terminal::summary the closing lines of a run
//! ```
//!
//! Nothing here prints, and nothing here looks at a clock or the environment.

pub mod data;
mod folder;
mod format;
pub mod junit;
pub mod packed;
pub mod plots;
pub mod report;
pub mod rundir;
mod rundir_error;
pub mod terminal;
pub mod verdict_file;

pub use data::RunData;
pub use rundir::RunDir;

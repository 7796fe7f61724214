//! What people see: the run directory, plots, the report, JUnit. Turns data into pages; decides nothing.

pub mod verdict_file;

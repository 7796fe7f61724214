//! `duress doctor`: stub
use std::process::ExitCode;
use crate::cli::ListArgs;
/// x
pub fn main(_args: ListArgs) -> ExitCode { ExitCode::SUCCESS }

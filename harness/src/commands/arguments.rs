//! What arguments of several commands are read into, and what is wrong with those that can't be.

use duress_workloads::clients::ReadMode;

use crate::duration::SpecDuration;
use crate::spec::{self, AgentHome, Claim};

/// A way to read, as on a command line.
#[derive(Clone, Copy, Debug)]
pub struct Read(pub ReadMode);

/// Nodes of a system that is only tried.
const NODES_MAX: usize = 50;

/// Runs at a time, each with a cluster of its own.
const JOBS_MAX: usize = 256;

pub(super) fn parse_span(text: &str) -> Result<SpecDuration, String> {
    humantime::parse_duration(text)
        .map(SpecDuration)
        .map_err(|error| format!("{error}; write e.g. 500ms, 30s or 2m"))
}

pub(super) fn parse_property(text: &str) -> Result<Claim, String> {
    Claim::named(text).map_err(|error| error.to_string())
}

pub(super) fn parse_faults_time(text: &str) -> Result<SpecDuration, String> {
    let time = parse_span(text)?;
    spec::faults_time(time).map(|()| time)
}

pub(super) fn parse_check_time(text: &str) -> Result<SpecDuration, String> {
    let time = parse_span(text)?;
    spec::check_time(time).map(|()| time)
}

pub(super) fn parse_memory(text: &str) -> Result<usize, String> {
    let mib: u64 = text
        .parse()
        .map_err(|error| format!("{error}; write MiB, e.g. 2048"))?;
    spec::check_memory(mib)?;
    usize::try_from(mib).map_err(|error| error.to_string())
}

pub(super) fn parse_agent(text: &str) -> Result<AgentHome, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

pub(super) fn parse_nodes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(nodes @ 1..=NODES_MAX) => Ok(nodes),
        _ => Err(format!("use 1 to {NODES_MAX}")),
    }
}

pub(super) fn parse_read(text: &str) -> Result<Read, String> {
    let read = serde_json::from_value(text.into());
    read.map(Read).map_err(|error| error.to_string())
}

pub(super) fn parse_variable(text: &str) -> Result<(String, String), String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err("write NAME=VALUE".to_owned());
    };
    spec::check_variable(name)?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn parse_jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(jobs @ 1..=JOBS_MAX) => Ok(jobs),
        _ => Err(format!("use 1 to {JOBS_MAX}")),
    }
}

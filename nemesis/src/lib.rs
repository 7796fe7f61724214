//! What breaks: the fault catalogue, the schedule, and the agent that does the breaking.

pub mod agent;

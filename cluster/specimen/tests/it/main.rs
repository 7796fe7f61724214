//! Real clusters of real processes on loopback: what clients see, through kills, pauses and restarts.

mod cluster;
mod defects;
mod disk;
mod faults;
mod queues;
mod serving;
mod streams;

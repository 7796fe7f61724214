//! Every kind of fault has tests in which its injection does nothing, and half of what it should: a row each.
//!
//! What is not in the table of kinds can't be told apart from what is and does nothing, so a kind without a row fails.

use std::collections::BTreeSet;

use super::{
    loops, power, sabotage, sabotage_clients, sabotage_clocks, sabotage_connections, sabotage_disks,
    sabotage_packets, sabotage_resources, sabotage_rollback,
};

struct Row {
    kind: &'static str,
    /// Of this test the injection does nothing.
    nothing: fn(),
    /// Of this one it is done in part, or undone before the end.
    part: fn(),
}

const fn row(kind: &'static str, nothing: fn(), part: fn()) -> Row {
    Row { kind, nothing, part }
}

const ROWS: &[Row] = &[
    row(
        "partition",
        sabotage::a_partition_that_cuts_nothing,
        sabotage::a_partition_that_is_undone,
    ),
    row(
        "packets",
        sabotage_packets::packets_that_nothing_is_done_to,
        sabotage_packets::rules_that_are_flushed_or_lack_a_source,
    ),
    row(
        "tcp-reset",
        sabotage_connections::connections_that_nothing_is_done_to,
        sabotage_connections::connections_of_which_one_end_is_not_told_or_is_told_after_all,
    ),
    row(
        "half-open",
        sabotage_connections::connections_that_nothing_is_done_to,
        sabotage_connections::connections_of_which_one_end_is_not_told_or_is_told_after_all,
    ),
    row(
        "kill",
        sabotage::a_kill_that_ends_nothing,
        sabotage::a_kill_that_is_undone,
    ),
    row(
        "pause",
        sabotage::a_pause_that_stops_nothing,
        sabotage::a_pause_that_is_undone,
    ),
    row(
        "restart",
        sabotage::a_kill_that_ends_nothing,
        sabotage::a_restart_that_somebody_survives,
    ),
    row(
        "crash-loop",
        loops::a_loop_that_kills_nothing,
        loops::a_loop_whose_program_runs_at_the_end,
    ),
    row(
        "cpu-squeeze",
        sabotage_resources::nodes_that_nothing_is_done_to,
        sabotage_resources::nodes_that_get_it_back,
    ),
    row(
        "memory-squeeze",
        sabotage_resources::nodes_that_nothing_is_done_to,
        sabotage_resources::nodes_that_get_it_back,
    ),
    row(
        "file-descriptors",
        sabotage_resources::nodes_that_nothing_is_done_to,
        sabotage_resources::nodes_that_get_it_back,
    ),
    row(
        "noisy-neighbour",
        sabotage_resources::nodes_that_nothing_is_done_to,
        sabotage_resources::nodes_that_get_it_back,
    ),
    row(
        "clock-jump",
        sabotage_clocks::clocks_that_nothing_is_done_to,
        sabotage_clocks::clocks_that_are_set_right_in_one_process,
    ),
    row(
        "clock-strobe",
        sabotage_clocks::clocks_that_nothing_is_done_to,
        sabotage_clocks::clocks_that_are_set_right_in_one_process,
    ),
    row(
        "clock-drift",
        sabotage_clocks::clocks_that_nothing_is_done_to,
        sabotage_clocks::clocks_that_are_set_right_in_one_process,
    ),
    row(
        "clock-freeze",
        sabotage_clocks::clocks_that_nothing_is_done_to,
        sabotage_clocks::clocks_that_are_set_right_in_one_process,
    ),
    row(
        "disk-slow",
        sabotage_disks::what_never_happened_is_not_proven,
        sabotage_disks::what_is_undone_half_way_is_not_proven,
    ),
    row(
        "disk-error",
        sabotage_disks::what_never_happened_is_not_proven,
        sabotage_disks::what_is_undone_half_way_is_not_proven,
    ),
    row(
        "disk-full",
        sabotage_disks::what_never_happened_is_not_proven,
        sabotage_disks::what_is_undone_half_way_is_not_proven,
    ),
    row(
        "torn-write",
        sabotage_disks::neither_are_writes_that_nobody_tore_nor_bits_that_nobody_turned,
        sabotage_disks::a_write_that_somebody_ends_is_not_torn,
    ),
    row(
        "bit-rot",
        sabotage_disks::neither_are_writes_that_nobody_tore_nor_bits_that_nobody_turned,
        sabotage_disks::bits_that_somebody_turned_back_are_not_rotten,
    ),
    row(
        "snapshot-rollback",
        sabotage_rollback::a_directory_that_nobody_copied_or_put_back,
        sabotage_rollback::a_directory_that_is_put_back_in_part,
    ),
    row(
        "client-crash",
        sabotage_clients::clients_to_whom_nothing_happens,
        sabotage_clients::clients_that_forget_it,
    ),
    row(
        "client-replay",
        sabotage_clients::clients_to_whom_nothing_happens,
        sabotage_clients::clients_that_forget_it,
    ),
    row(
        "client-late-retry",
        sabotage_clients::clients_to_whom_nothing_happens,
        sabotage_clients::clients_that_forget_it,
    ),
    row(
        "lose-unsynced",
        power::power_that_does_not_fail,
        power::power_that_fails_in_order,
    ),
];

#[test]
fn every_kind_has_a_row() {
    let kinds: BTreeSet<&str> = duress_nemesis::kinds::TABLE
        .iter()
        .map(|kind| kind.name())
        .collect();
    let rows: BTreeSet<&str> = ROWS.iter().map(|row| row.kind).collect();
    assert_eq!(
        rows, kinds,
        "each kind of fault needs tests that sabotage it, and a row here"
    );
    assert!(
        ROWS.iter()
            .all(|row| !std::ptr::fn_addr_eq(row.nothing, row.part))
    );
}

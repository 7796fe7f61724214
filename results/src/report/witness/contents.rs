//! What members hold, side by side.

use duress_checker::history::Entry;
use duress_checker::verdict::{ContentsProof, MemberProof};
use maud::{Markup, html};

use crate::format::{count, counted, cut, value};

/// Members in one table; more are in `verdict.json`.
const MEMBERS_MAX: usize = 9;

pub(super) fn proof(proof: &ContentsProof) -> Markup {
    let members = &proof.members[..proof.members.len().min(MEMBERS_MAX)];
    let rest = proof.differing.saturating_sub(proof.keys.len() as u64);
    html! {
        p.quiet { "What each member holds, as read from itself after the last operation. What differs from the first that could be read is marked." }
        div.scroll tabindex="0" {
            table.contents {
                thead { tr {
                    th { "Key" }
                    @for member in members { th { (member.node) } }
                } }
                tbody {
                    tr {
                        th scope="row" { "applied" }
                        @for member in members { td { (applied(member)) } }
                    }
                    @for (row, key) in proof.keys.iter().enumerate() {
                        @let first = members.iter().find(|member| member.error.is_none());
                        tr {
                            th scope="row" { (cut(key, 40)) }
                            @for member in members {
                                @let differs = first.is_some_and(|first| differs(first, member, row));
                                td.differs[differs] { (shown(member, row)) }
                            }
                        }
                    }
                }
            }
        }
        @if rest > 0 { p.quiet { "and " (counted(rest, "more key")) " in which they differ" } }
        @if members.len() < proof.members.len() {
            p.quiet { "and " (counted((proof.members.len() - members.len()) as u64, "more member")) " in verdict.json" }
        }
    }
}

fn entry(member: &MemberProof, row: usize) -> Option<&Entry> {
    member.entries.get(row).and_then(Option::as_ref)
}

fn differs(first: &MemberProof, member: &MemberProof, row: usize) -> bool {
    member.error.is_none() && entry(first, row) != entry(member, row)
}

fn applied(member: &MemberProof) -> String {
    match &member.error {
        Some(error) => cut(error, 80),
        None => count(member.applied),
    }
}

fn shown(member: &MemberProof, row: usize) -> Markup {
    html! {
        @match (&member.error, entry(member, row)) {
            (Some(_), _) => span.quiet { "not read" },
            (None, None) => em { "absent" },
            (None, Some(entry)) => { (value(&entry.value)) span.quiet { " rev " (count(entry.revision)) } }
        }
    }
}

/// One line a key for the terminal: its name, and what each member holds.
pub(crate) fn held(proof: &ContentsProof) -> Vec<Vec<String>> {
    let line = |(row, key): (usize, &String)| {
        let member = |member: &MemberProof| match (&member.error, entry(member, row)) {
            (Some(_), _) => format!("{}: not read", member.node),
            (None, None) => format!("{}: absent", member.node),
            (None, Some(entry)) => format!(
                "{}: {} (revision {})",
                member.node,
                value(&entry.value),
                count(entry.revision)
            ),
        };
        let mut line = vec![cut(key, 40)];
        line.extend(proof.members.iter().take(MEMBERS_MAX).map(member));
        line
    };
    proof.keys.iter().enumerate().map(line).collect()
}

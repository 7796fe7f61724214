//! Groups that make no outputs: whether each position of a partition came to one member, once.
//!
//! ```text
//! join g → in from 17; poll 17, 18, 20; commit g {in: 21}     19 was acknowledged, and nobody polled it: group-poll-skip
//! join g → in from 17, generation 4, by two members           both poll 17: group-duplicate
//! poll 17; commit g {in: 18}; join g → in from 17; poll 17    committed, and polled again: group-duplicate
//! ```
//!
//! A process is a member from its join to what it subscribes to or assigns next. What it polls again before anybody committed it, as after a
//! change of hands, is a redelivery and no anomaly, and so is what a member polls that doesn't know yet that it was replaced: which is why
//! two members have to be of one generation. A position counts as passed over
//!
//! - if a member was told to go on at it or before it, committed behind it, and knows what came of each of its polls; or
//! - if somebody was told to go on at it or before it, the group committed behind it or was told to go on there after that, and no poll of unknown
//!   outcome by a member can have taken it.
//!
//! Groups that make outputs are judged by those ([`groups`](super::groups)).

use std::collections::{BTreeMap, BTreeSet};

use super::groups::makers;
use super::log::Logs;
use super::outputs::name;
use crate::delivery::anomaly::{Anomaly, Cause};
use crate::delivery::by_message::ByMessage;
use crate::delivery::findings::{Finding, Findings, stream_cause};
use crate::delivery::journal::{Journal, NONE, Request, Touch, TouchKind};
use crate::history::Val;
use crate::history::values::FastMap;

/// `group-poll-skip` and `group-duplicate`.
pub(super) fn judge(journal: &Journal, by_message: &ByMessage, logs: &Logs, findings: &mut Findings) {
    if !journal.has(TouchKind::Join) {
        return;
    }
    let walk = Walk::of(journal);
    if walk.shares.is_empty() {
        return;
    }
    let mut acknowledged = acknowledged(journal, by_message, logs);
    for (&(group, partition), share) in &walk.shares {
        let judged = Judged {
            journal,
            walk: &walk,
            group,
            partition,
        };
        let messages = acknowledged.entry(partition).or_default();
        judged.passed_over(share, messages, findings);
        judged.polled_twice(share, findings);
    }
}

/// One process as a member of one group, from one join on.
struct Membership {
    group: Val,
    /// Its name in the group, else its process.
    member: Val,
    /// Which deal of the partitions it knows.
    generation: Option<Val>,
    /// Position of its join in the journal.
    join: u32,
    /// By partition, where it was told to go on.
    told: Vec<(Val, u64)>,
    /// Whether there is a poll of which nobody knows what it took.
    lost_poll: bool,
}

impl Membership {
    fn told(&self, partition: Val) -> Option<u64> {
        let found = self.told.iter().find(|(other, _)| *other == partition);
        found.map(|(_, from)| *from)
    }
}

/// What a group did with one partition.
#[derive(Default)]
struct Share<'a> {
    /// Polls by members, each a touch and a membership.
    polls: Vec<(&'a Touch, u32)>,
    /// Commits that were acknowledged, and by whom if that is a member.
    commits: Vec<(&'a Touch, Option<u32>)>,
    /// Members that were told where to go on.
    told: Vec<(&'a Touch, u32)>,
}

struct Walk<'a> {
    memberships: Vec<Membership>,
    /// By group and partition.
    shares: BTreeMap<(Val, Val), Share<'a>>,
}

impl<'a> Walk<'a> {
    fn of(journal: &'a Journal) -> Self {
        let makers = makers(journal);
        let mut walk = Walk {
            memberships: Vec::new(),
            shares: BTreeMap::new(),
        };
        let mut current: FastMap<u64, u32> = FastMap::default();
        for touches in journal
            .touches
            .chunk_by(|one, other| one.request == other.request)
        {
            let request = journal.request(&touches[0]);
            if matches!(touches[0].kind, TouchKind::Assign | TouchKind::Subscribe) {
                current.remove(&request.process);
            }
            let join = touches.iter().find(|touch| touch.kind == TouchKind::Join);
            if let Some(join) = join.filter(|join| !makers.contains(&join.value)) {
                current.insert(request.process, walk.memberships.len() as u32);
                walk.memberships.push(membership(journal, join));
            }
            let member = current.get(&request.process).copied();
            for touch in touches {
                walk.touch(touch, request, member, &makers);
            }
        }
        walk
    }

    fn touch(&mut self, touch: &'a Touch, request: &Request, member: Option<u32>, makers: &BTreeSet<Val>) {
        let group = member.map(|member| self.memberships[member as usize].group);
        match (touch.kind, member.zip(group)) {
            (TouchKind::Dealt, Some((member, group))) if request.is_ok() && touch.at != NONE => {
                let told = &mut self.memberships[member as usize].told;
                told.push((touch.stream, touch.at));
                let share = self.shares.entry((group, touch.stream)).or_default();
                share.told.push((touch, member));
            }
            (TouchKind::Receive, Some((member, group))) if touch.at != NONE => {
                let share = self.shares.entry((group, touch.stream)).or_default();
                share.polls.push((touch, member));
            }
            (TouchKind::TakeAll, Some((member, _))) => {
                self.memberships[member as usize].lost_poll = true;
            }
            (TouchKind::Commit, _)
                if request.is_ok() && touch.at != NONE && !makers.contains(&touch.value) =>
            {
                let own = member.filter(|_| group == Some(touch.value));
                let share = self.shares.entry((touch.value, touch.stream)).or_default();
                share.commits.push((touch, own));
            }
            _ => {}
        }
    }
}

fn membership(journal: &Journal, join: &Touch) -> Membership {
    let who = journal.values.list(join.key).and_then(<[Val]>::first_chunk::<2>);
    let given = |val: Val| Some(val).filter(|val| !val.is_nil());
    let process = Val::int(journal.request(join).process).unwrap_or(Val::NONE);
    Membership {
        group: join.value,
        member: who.and_then(|&[member, _]| given(member)).unwrap_or(process),
        generation: who.and_then(|&[_, generation]| given(generation)),
        join: join.request,
        told: Vec::new(),
        lost_poll: false,
    }
}

/// By partition, what was acknowledged and lies at one offset, in their order; and who sent it.
fn acknowledged<'a>(
    journal: &'a Journal,
    by_message: &ByMessage,
    logs: &Logs,
) -> BTreeMap<Val, Vec<(u64, &'a Touch)>> {
    let mut all: BTreeMap<Val, Vec<(u64, &Touch)>> = BTreeMap::new();
    for (message, &(partition, value)) in by_message.messages.iter().enumerate() {
        let mut touches = by_message.touches(message, journal);
        let send = touches.find(|touch| touch.kind == TouchKind::Send);
        if let Some(send) = send.filter(|send| logs.committed(send))
            && let Some(offset) = logs.log(send).and_then(|log| log.only_offset(value))
        {
            all.entry(partition).or_default().push((offset, send));
        }
    }
    all.values_mut()
        .for_each(|messages| messages.sort_unstable_by_key(|(offset, _)| *offset));
    all
}

/// A group and a partition.
struct Judged<'a> {
    journal: &'a Journal,
    walk: &'a Walk<'a>,
    group: Val,
    partition: Val,
}

/// Of those up to each of them the best one, by their order.
fn best_so_far<T: Copy>(sorted: &mut [T], better: impl Fn(T, T) -> bool) {
    for at in 1..sorted.len() {
        if better(sorted[at - 1], sorted[at]) {
            sorted[at] = sorted[at - 1];
        }
    }
}

impl<'a> Judged<'a> {
    fn member(&self, member: u32) -> &'a Membership {
        &self.walk.memberships[member as usize]
    }

    fn passed_over(&self, share: &Share<'_>, messages: &[(u64, &Touch)], findings: &mut Findings) {
        let polled: BTreeSet<u64> = share.polls.iter().map(|(poll, _)| poll.at).collect();
        // By who knows all that it polled: from where, and the commit.
        let mut alone: Vec<(u64, &Touch)> = Vec::new();
        for &(commit, member) in &share.commits {
            let member = member.map(|member| self.member(member));
            let from = member.filter(|member| !member.lost_poll);
            alone.extend(from.and_then(|member| Some((member.told(self.partition)?, commit))));
        }
        alone.sort_unstable_by_key(|(from, commit)| (*from, commit.at));
        let starts: Vec<u64> = alone.iter().map(|(from, _)| *from).collect();
        best_so_far(&mut alone, |before, now| before.1.at > now.1.at);
        // By anybody: from where, and when that was certain; up to where, and when that was asked for.
        let mut told: Vec<(u64, u64)> = (share.told.iter())
            .map(|(told, _)| (told.at, self.journal.request(told).end))
            .collect();
        told.sort_unstable();
        let told_from: Vec<u64> = told.iter().map(|(from, _)| *from).collect();
        best_so_far(&mut told, |before, now| before.1 < now.1);
        let commits = share.commits.iter().map(|(commit, _)| *commit);
        let mut passed: Vec<&Touch> = commits.chain(share.told.iter().map(|(told, _)| *told)).collect();
        let asked = |touch: &Touch| self.journal.request(touch).index;
        passed.sort_unstable_by_key(|touch| (std::cmp::Reverse(touch.at), asked(touch)));
        let passed_to: Vec<u64> = passed.iter().map(|touch| touch.at).collect();
        best_so_far(&mut passed, |before, now| asked(before) > asked(now));
        let taken_from = self.taken_from();

        for &(offset, send) in messages {
            if polled.contains(&offset) {
                continue;
            }
            let up_to = |at: usize| at.checked_sub(1);
            let own = up_to(starts.partition_point(|&from| from <= offset)).map(|at| alone[at].1);
            let own = own.filter(|commit| commit.at > offset);
            let anybody = || {
                let (_, certain) = told[up_to(told_from.partition_point(|&from| from <= offset))?];
                let behind = passed[up_to(passed_to.partition_point(|&to| to > offset))?];
                let taken = taken_from.is_some_and(|from| from <= offset);
                (!taken && asked(behind) > certain).then_some(behind)
            };
            let Some(behind) = own.or_else(anybody) else {
                continue;
            };
            let sentence = format!(
                "none of {} polled {}, at offset {offset} of {}, though the group has come to offset {}",
                name(self.journal, self.group),
                name(self.journal, send.value),
                name(self.journal, self.partition),
                behind.at
            );
            self.add(Anomaly::GroupPollSkip, [send, behind], sentence, findings);
        }
    }

    /// From where on polls of unknown outcome may have taken what there is.
    fn taken_from(&self) -> Option<u64> {
        let of_group = |member: &&Membership| member.group == self.group && member.lost_poll;
        let lost = self.walk.memberships.iter().filter(of_group);
        // Who knows where it is, and has no share in this partition, takes nothing of it.
        let from = |member: &Membership| match self.journal.request_at(member.join).is_ok() {
            true => member.told(self.partition),
            false => Some(0),
        };
        lost.filter_map(from).min()
    }

    fn polled_twice(&self, share: &Share<'_>, findings: &mut Findings) {
        let mut commits: Vec<(u64, u64)> = (share.commits.iter())
            .map(|(commit, _)| (commit.at, self.journal.request(commit).settled()))
            .collect();
        commits.sort_unstable_by_key(|&(next, settled)| (std::cmp::Reverse(next), settled));
        let committed_to: Vec<u64> = commits.iter().map(|(next, _)| *next).collect();
        best_so_far(&mut commits, |before, now| before.1 < now.1);

        let known = |poll: &&(&Touch, u32)| self.journal.request(poll.0).is_ok();
        let mut polls: Vec<(&Touch, u32)> = share.polls.iter().filter(known).copied().collect();
        let order = |poll: &Touch| self.journal.request(poll).index;
        polls.sort_by_key(|(poll, _)| (poll.at, order(poll)));
        for polls in polls.chunk_by(|one, other| one.0.at == other.0.at) {
            let [(first, its), rest @ ..] = polls else {
                continue;
            };
            let offset = first.at;
            if let Some((one, other)) = self.of_one_generation(polls) {
                let what = format!(
                    "two members of {} polled {} in one generation, at offset {offset} of {}",
                    name(self.journal, self.group),
                    name(self.journal, one.value),
                    name(self.journal, self.partition)
                );
                self.add(Anomaly::GroupDuplicate, [one, other], what, findings);
                continue;
            }
            let at = committed_to.partition_point(|&next| next > offset);
            let Some((next, settled)) = at.checked_sub(1).map(|at| commits[at]) else {
                continue;
            };
            let again = rest.iter().find(|(_, member)| {
                let join = self.journal.request_at(self.member(*member).join);
                member != its && join.index > settled && self.was_sent_there(*member, offset)
            });
            if let Some((again, _)) = again {
                let what = format!(
                    "{} polled {} again, at offset {offset} of {}, after it had committed offset {next}",
                    name(self.journal, self.group),
                    name(self.journal, again.value),
                    name(self.journal, self.partition)
                );
                self.add(Anomaly::GroupDuplicate, [first, again], what, findings);
            }
        }
    }

    /// Whether the system told a member to go on at an offset or before it.
    fn was_sent_there(&self, member: u32, offset: u64) -> bool {
        let told = self.member(member).told(self.partition);
        told.is_some_and(|from| from <= offset)
    }

    /// Two of these that different members made who knew of the same deal of the partitions.
    fn of_one_generation<'t>(&self, polls: &[(&'t Touch, u32)]) -> Option<(&'t Touch, &'t Touch)> {
        let dealt = |&(poll, member): &(&'t Touch, u32)| {
            let of = self.member(member);
            let generation = of.generation.filter(|_| self.was_sent_there(member, poll.at))?;
            Some((generation, of.member, poll))
        };
        let mut dealt: Vec<(Val, Val, &Touch)> = polls.iter().filter_map(dealt).collect();
        dealt.sort_by_key(|(generation, member, _)| (*generation, *member));
        let two = |pair: &&[(Val, Val, &'t Touch)]| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1;
        dealt.windows(2).find(two).map(|pair| (pair[0].2, pair[1].2))
    }

    /// About the message of the first of the two.
    fn add(&self, anomaly: Anomaly, [one, other]: [&Touch; 2], sentence: String, findings: &mut Findings) {
        let later = self.journal.request(other);
        findings.add(Finding {
            anomaly,
            cause: match stream_cause(self.journal, Some(one), Some(later)) {
                Cause::Unknown if self.journal.changed_hands(one, Some(later)) => Cause::Rebalance,
                likely => likely,
            },
            stream: self.partition,
            value: one.value,
            requests: vec![one.request, other.request],
            sentence,
        });
    }
}

//! The touches of a journal, message by message.

use super::journal::{Journal, Touch};
use crate::history::Val;
use crate::history::values::FastMap;

/// The touches of a journal, message by message.
pub(super) struct ByMessage {
    /// Queue or partition, and value.
    pub messages: Vec<(Val, Val)>,
    starts: Vec<u32>,
    touches: Vec<u32>,
}

/// Numbers messages as they come. Small numbers, which most messages are, are looked up in a table.
#[derive(Default)]
struct Numbers {
    messages: Vec<(Val, Val)>,
    /// By value, the number of one of its messages, and one more; 0: it has none.
    table: Vec<u32>,
    others: FastMap<(Val, Val), u32>,
}

impl Numbers {
    /// The number of a message. Values from `table_max` up are not in the table.
    fn of(&mut self, message: (Val, Val), table_max: usize) -> u32 {
        let next = self.messages.len() as u32;
        let small = message.1.as_small().map(|value| value as usize);
        if let Some(value) = small.filter(|&value| value < table_max) {
            if value >= self.table.len() {
                self.table.resize((value + 1).max(self.table.len() * 2), 0);
            }
            match self.table[value] {
                0 => {
                    self.table[value] = next + 1;
                    self.messages.push(message);
                    return next;
                }
                number if self.messages[number as usize - 1] == message => return number - 1,
                // The same value in another queue or partition.
                _ => {}
            }
        }
        let number = *self.others.entry(message).or_insert(next);
        if number == next {
            self.messages.push(message);
        }
        number
    }
}

/// Of no message.
const NO_MESSAGE: u32 = u32::MAX;

impl ByMessage {
    /// Sorts them, those of one message in the order of invocation.
    pub fn of(journal: &Journal) -> ByMessage {
        let mut numbers = Numbers::default();
        let table_max = 4 * journal.touches.len();
        let mut counts: Vec<u32> = Vec::new();
        let mut of: Vec<u32> = Vec::with_capacity(journal.touches.len());
        for touch in &journal.touches {
            if !touch.kind.is_of_message() {
                of.push(NO_MESSAGE);
                continue;
            }
            let number = numbers.of((touch.stream, touch.value), table_max);
            if number as usize == counts.len() {
                counts.push(0);
            }
            counts[number as usize] += 1;
            of.push(number);
        }
        let messages = numbers.messages;
        let mut starts = Vec::with_capacity(messages.len() + 1);
        let mut sum = 0;
        for count in &counts {
            starts.push(sum);
            sum += count;
        }
        starts.push(sum);
        let mut next = counts;
        next.copy_from_slice(&starts[..messages.len()]);
        let mut touches = vec![0; sum as usize];
        journal.in_order(|position| {
            let number = of[position as usize];
            if number != NO_MESSAGE {
                let slot = &mut next[number as usize];
                touches[*slot as usize] = position;
                *slot += 1;
            }
        });
        ByMessage {
            messages,
            starts,
            touches,
        }
    }

    /// Positions in the journal of what was done to one message.
    pub fn positions(&self, message: usize) -> &[u32] {
        &self.touches[self.starts[message] as usize..self.starts[message + 1] as usize]
    }

    /// What was done to one message.
    pub fn touches<'j>(
        &self,
        message: usize,
        journal: &'j Journal,
    ) -> impl Iterator<Item = &'j Touch> + Clone {
        let positions = self.positions(message).iter();
        positions.map(|&touch| &journal.touches[touch as usize])
    }
}

//! The agent's word: JSON lines on a socket, which is the standard input of a layer.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::sync::Arc;

use fuser::{INodeNo, Notifier};
use serde_json::{Value, json};

use super::call::{Answer, Ask, Call, Rule};
use super::meet::Layer;
use super::mounts::Place;

/// The layer's end of the socket.
pub struct Control {
    reader: BufReader<File>,
    writer: Option<File>,
}

impl Control {
    /// Standard input, which is a socket and goes both ways.
    pub fn of_stdin() -> Control {
        let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map(File::from);
        let socket = socket.or_else(|_| File::open("/dev/null"));
        let socket = socket.expect("a descriptor for standard input, which a program is started with");
        Control {
            writer: socket.try_clone().ok(),
            reader: BufReader::new(socket),
        }
    }

    /// Nobody listening any more is no reason to stop.
    pub fn say(&mut self, answer: &Answer) {
        if let (Some(writer), Ok(mut line)) = (&mut self.writer, serde_json::to_vec(answer)) {
            line.push(b'\n');
            let _ = writer.write_all(&line);
        }
    }

    /// Does what is asked until nobody asks any more. Then nothing is armed, and the layer is away from where it was mounted.
    pub fn obey(mut self, layer: &Arc<Layer>, notifier: &Notifier, place: Place) {
        let mut place = Some(place);
        let mut line = String::new();
        loop {
            line.clear();
            match self.reader.read_line(&mut line) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            let answer = match serde_json::from_str(&line) {
                Ok(ask) => match obey(layer, notifier, &mut place, ask) {
                    Ok(value) => Answer::Ok(value),
                    Err(error) => Answer::Error(error.to_string()),
                },
                Err(error) => Answer::Error(format!("read a command: {error}")),
            };
            self.say(&answer);
        }
        let _ = detach(layer, &mut place);
    }
}

fn obey(layer: &Layer, notifier: &Notifier, place: &mut Option<Place>, ask: Ask) -> io::Result<Value> {
    Ok(match ask {
        Ask::Arm { rule } => {
            let reads = rule.calls.contains(&Call::Read);
            let rule: Rule = rule;
            layer.rules.arm(rule);
            if reads {
                forget_pages(layer, notifier);
            }
            Value::Null
        }
        Ask::Count { fault } => json!(layer.rules.counts(fault)),
        Ask::Disarm { fault } => json!(layer.rules.disarm(fault)),
        Ask::Detach => {
            detach(layer, place)?;
            Value::Null
        }
    })
}

/// What the page cache holds is never asked for: a fault of reads would not be met.
fn forget_pages(layer: &Layer, notifier: &Notifier) {
    for number in layer.below.inodes.numbers() {
        let _ = notifier.inval_inode(INodeNo(number), 0, 0);
    }
}

fn detach(layer: &Layer, place: &mut Option<Place>) -> io::Result<()> {
    layer.rules.disarm_all();
    if let Some(place) = place {
        place.take_away()?;
    }
    // With it goes the hold on that mount namespace.
    *place = None;
    Ok(())
}

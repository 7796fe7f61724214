//! What is promised of delivery: how often, in which order, and up to where.
//!
//! ```text
//! exactly-once                                    the promise alone
//! at-least-once:order=producer                    and the order of what one producer sent
//! exactly-once:until=acknowledged,order=key       up to the acknowledgement, in the order of each key
//! ```

/// How often each message is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// Never twice; it may be lost.
    AtMostOnce,
    /// Never lost once it was acknowledged; it may come again.
    AtLeastOnce,
    /// Neither lost nor twice.
    ExactlyOnce,
}

/// Whose messages come in the order in which they were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// What the shape is known for: of a queue nothing, of a stream the partition.
    #[default]
    Usual,
    /// Nobody's.
    None,
    /// Those with one ordering key (`ordering_key` of the send), or without any in one queue or partition.
    Key,
    /// Those of one partition; of a queue that names none, all of it.
    Partition,
    /// Those that one producer sent to one queue or partition.
    Producer,
    /// All of one queue. Offsets of two partitions can't be compared, so of a stream it is each partition.
    Global,
}

/// Up to where the promise reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Until {
    /// As far as the history shows: to the acknowledgement where there are any, else to the delivery.
    #[default]
    Shown,
    /// A consumer has it.
    Delivered,
    /// A consumer has said that it is done with it, and that was acknowledged: before, it may come again.
    Acknowledged,
    /// What it does has been done.
    Applied,
}

/// The promise without parameters, and all that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Terms {
    /// How often.
    pub promise: Promise,
    /// In which order.
    pub order: Order,
    /// Up to where.
    pub until: Until,
}

impl Promise {
    /// All of them, the strongest last.
    pub const ALL: [Promise; 3] = [Promise::AtMostOnce, Promise::AtLeastOnce, Promise::ExactlyOnce];

    /// As specs and command lines name it.
    pub fn name(self) -> &'static str {
        match self {
            Promise::AtMostOnce => "at-most-once",
            Promise::AtLeastOnce => "at-least-once",
            Promise::ExactlyOnce => "exactly-once",
        }
    }

    /// Whether no message may be lost.
    pub fn forbids_loss(self) -> bool {
        self != Promise::AtMostOnce
    }

    /// Whether no message may come twice.
    pub fn forbids_duplicates(self) -> bool {
        self != Promise::AtLeastOnce
    }
}

impl Order {
    /// All that can be asked for.
    pub const ALL: [(&'static str, Order); 5] = [
        ("none", Order::None),
        ("key", Order::Key),
        ("partition", Order::Partition),
        ("producer", Order::Producer),
        ("global", Order::Global),
    ];
}

impl Until {
    /// All that can be asked for.
    pub const ALL: [(&'static str, Until); 3] = [
        ("delivered", Until::Delivered),
        ("acknowledged", Until::Acknowledged),
        ("applied", Until::Applied),
    ];
}

impl Terms {
    /// A promise, with the usual order, as far as the history shows.
    pub fn of(promise: Promise) -> Self {
        Terms {
            promise,
            order: Order::Usual,
            until: Until::Shown,
        }
    }

    /// Every combination that can be asked for.
    pub fn all() -> impl Iterator<Item = Terms> {
        let orders = || {
            [Order::Usual]
                .into_iter()
                .chain(Order::ALL.map(|(_, order)| order))
        };
        let untils = || {
            [Until::Shown]
                .into_iter()
                .chain(Until::ALL.map(|(_, until)| until))
        };
        Promise::ALL.into_iter().flat_map(move |promise| {
            orders().flat_map(move |order| {
                untils().map(move |until| Terms {
                    promise,
                    order,
                    until,
                })
            })
        })
    }

    /// As specs and command lines write it, with what is not the default.
    pub fn name(self) -> String {
        let order = Order::ALL.iter().find(|(_, order)| *order == self.order);
        let until = Until::ALL.iter().find(|(_, until)| *until == self.until);
        let parameters: Vec<String> = (order.map(|(name, _)| format!("order={name}")).into_iter())
            .chain(until.map(|(name, _)| format!("until={name}")))
            .collect();
        match parameters.is_empty() {
            true => self.promise.name().to_owned(),
            false => format!("{}:{}", self.promise.name(), parameters.join(",")),
        }
    }

    /// With these parameters, `order=key,until=delivered`; or what is wrong with them.
    pub fn with(mut self, parameters: &str) -> Result<Terms, String> {
        for parameter in parameters.split(',') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "order" => self.order = one_of(parameter, value, &Order::ALL)?,
                "until" => self.until = one_of(parameter, value, &Until::ALL)?,
                _ => {
                    return Err(format!("there is no parameter {name:?}; use order=… or until=…"));
                }
            }
        }
        Ok(self)
    }
}

fn one_of<T: Copy>(parameter: &str, value: &str, all: &[(&'static str, T)]) -> Result<T, String> {
    let found = all.iter().find(|(name, _)| *name == value);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        format!("{parameter:?}: use one of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_read_back_as_themselves_in_any_order() {
        for terms in Terms::all() {
            let name = terms.name();
            let read = match name.split_once(':') {
                Some((_, parameters)) => Terms::of(terms.promise).with(parameters),
                None => Ok(Terms::of(terms.promise)),
            };
            assert_eq!(read, Ok(terms), "{name}");
        }
        let exactly = Terms::of(Promise::ExactlyOnce);
        assert_eq!(
            exactly.with("until=applied,order=key"),
            exactly.with("order=key,until=applied")
        );
        assert!(
            exactly
                .with("order=newest")
                .is_err_and(|said| said.contains("none, key"))
        );
        assert!(exactly.with("group=1").is_err());
    }
}

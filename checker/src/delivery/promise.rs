//! What is promised of delivery: how often, in which order, up to where, and how far transactions are apart from each other.
//!
//! ```text
//! exactly-once                                    the promise alone
//! at-least-once:order=producer                    and the order of what one producer sent
//! exactly-once:until=acknowledged,order=key       up to the acknowledgement, in the order of each key
//! exactly-once:isolation=read-committed           and no transaction in the midst of another's sends
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

/// How far transactions of a stream are isolated from each other: each forbids what those before it forbid, and cycles of more kinds of
/// dependencies. Names but `kafka` are those of Elle (Kingsbury and Alvaro, VLDB 2020, `elle.consistency-model`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isolation {
    /// What the shape is known for: of a stream that of Kafka.
    #[default]
    Usual,
    /// Not at all.
    None,
    /// As in Kafka, where a message takes its place when it is sent, long before its transaction commits: sends of transactions lie
    /// between each other, but what is polled has been committed.
    Kafka,
    /// Sends of transactions do not lie between each other either: Adya's PL-2.
    ReadCommitted,
    /// Who polled one message of a transaction does not miss another one of it: Adya's PL-2+, if polls read as far as partitions reach.
    ConsistentView,
    /// Transactions take effect one after the other: Adya's PL-3.
    Serializable,
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
    /// How far transactions are apart.
    pub isolation: Isolation,
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

impl Isolation {
    /// All that can be asked for.
    pub const ALL: [(&'static str, Isolation); 5] = [
        ("none", Isolation::None),
        ("kafka", Isolation::Kafka),
        ("read-committed", Isolation::ReadCommitted),
        ("consistent-view", Isolation::ConsistentView),
        ("serializable", Isolation::Serializable),
    ];
}

impl Terms {
    /// A promise, with the usual order and isolation, as far as the history shows.
    pub const fn of(promise: Promise) -> Self {
        Terms {
            promise,
            order: Order::Usual,
            until: Until::Shown,
            isolation: Isolation::Usual,
        }
    }

    /// Every combination that can be asked for.
    pub fn all() -> impl Iterator<Item = Terms> {
        fn each<T: Copy + Default, const N: usize>(
            named: [(&'static str, T); N],
        ) -> impl Iterator<Item = T> + Clone {
            std::iter::once(T::default()).chain(named.map(|(_, value)| value))
        }
        let (orders, untils, isolations) = (each(Order::ALL), each(Until::ALL), each(Isolation::ALL));
        let mut all = Vec::new();
        for promise in Promise::ALL {
            for order in orders.clone() {
                for until in untils.clone() {
                    all.extend(isolations.clone().map(|isolation| Terms {
                        promise,
                        order,
                        until,
                        isolation,
                    }));
                }
            }
        }
        all.into_iter()
    }

    /// As specs and command lines write it, with what is not the default.
    pub fn name(self) -> String {
        let order = name_of(self.order, &Order::ALL).map(|name| format!("order={name}"));
        let until = name_of(self.until, &Until::ALL).map(|name| format!("until={name}"));
        let isolation = name_of(self.isolation, &Isolation::ALL).map(|name| format!("isolation={name}"));
        let parameters: Vec<String> = [order, until, isolation].into_iter().flatten().collect();
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
                "isolation" => self.isolation = one_of(parameter, value, &Isolation::ALL)?,
                _ => {
                    return Err(format!(
                        "there is no parameter {name:?}; use order=…, until=… or isolation=…"
                    ));
                }
            }
        }
        Ok(self)
    }
}

fn name_of<T: Copy + PartialEq>(value: T, all: &[(&'static str, T)]) -> Option<&'static str> {
    let found = all.iter().find(|(_, other)| *other == value);
    found.map(|(name, _)| *name)
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
            exactly.with("until=applied,isolation=none,order=key"),
            exactly.with("order=key,until=applied,isolation=none")
        );
        assert!(
            exactly
                .with("order=newest")
                .is_err_and(|said| said.contains("none, key"))
        );
        assert!(exactly.with("group=1").is_err());
    }
}

//! Which connections end, and at which of their ends they are aborted. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use duress_cluster::Place;

use super::order::{At, Ended, Established};
use crate::agent::tcp::Connection;

/// With more, a look at the rules would take longer than the time between two looks.
const CONNECTIONS_MAX: usize = 1000;

/// Two nodes whose connections end.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Where they are aborted.
    pub forgets: Place,
    /// Where the other ends are.
    pub keeps: Place,
    /// By which the forgetting node knows the other.
    pub addresses: Vec<IpAddr>,
}

/// Between which nodes, the one that forgets first: a target, if one of the two is.
pub fn forgetting(links: &[(String, String)], targets: &[String]) -> Vec<(String, String)> {
    let mut seen = BTreeSet::new();
    let mut pairs = Vec::new();
    for (from, to) in links {
        if seen.insert((from.min(to), from.max(to))) {
            let from_forgets = targets.contains(from) && !targets.contains(to);
            let (forgets, keeps) = if from_forgets { (from, to) } else { (to, from) };
            pairs.push((forgets.clone(), keeps.clone()));
        }
    }
    pairs
}

/// The connections between nodes that both ends know. The error, in words: there are too many.
pub fn established_between(pairs: &[Pair], seen: &[Established]) -> Result<Vec<Ended>, String> {
    let of = |node: &str| -> &[Connection] {
        let of_node = seen.iter().find(|of_node| of_node.node == node);
        of_node.map_or(&[], |of_node| &of_node.connections)
    };
    let mut both = Vec::new();
    for pair in pairs {
        let here = of(&pair.keeps.name);
        let to_it = |there: &&Connection| pair.addresses.contains(&there.remote.ip());
        both.extend(of(&pair.forgets.name).iter().filter(to_it).filter_map(|there| {
            let here = here.iter().find(|here| here.is_other_end_of(there))?;
            Some(Ended {
                forgot: pair.forgets.name.clone(),
                there: *there,
                kept: pair.keeps.name.clone(),
                here: *here,
            })
        }));
    }
    match both.len() {
        0..=CONNECTIONS_MAX => Ok(both),
        count => Err(format!(
            "{count} connections are established, and {CONNECTIONS_MAX} can be ended at once"
        )),
    }
}

/// Each of these places, with the connections whose end there, by `node`, is theirs.
pub fn at(places: Vec<Place>, ended: &[Ended], node: impl Fn(&Ended) -> &String) -> Vec<At> {
    let of_place = |place: Place| At {
        connections: (ended.iter())
            .filter(|ended| *node(ended) == place.name)
            .cloned()
            .collect(),
        place,
    };
    places.into_iter().map(of_place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_two_nodes_are_a_pair_once_and_the_target_forgets() {
        let links = |text: &str| -> Vec<(String, String)> {
            let link = |link: &str| link.split_once('>').map(|(a, b)| (a.to_owned(), b.to_owned()));
            text.split(' ').filter_map(link).collect()
        };
        let told = |text: &str, targets: &[&str]| -> Vec<String> {
            let targets: Vec<String> = targets.iter().map(|name| (*name).to_owned()).collect();
            let pairs = forgetting(&links(text), &targets);
            pairs
                .iter()
                .map(|(forgets, keeps)| format!("{forgets}-{keeps}"))
                .collect()
        };
        assert_eq!(told("a>b b>a b>c c>b", &["b"]), ["b-a", "b-c"]);
        assert_eq!(told("a>b b>a", &["a", "b"]), ["b-a"]);
        assert_eq!(told("a>b b>a", &[]), ["b-a"]);
        assert_eq!(told("a>b", &["a"]), ["a-b"]);
    }

    #[test]
    fn what_both_ends_know_is_found_and_told_to_each() {
        let place = |name: &str, machine| Place {
            name: name.to_owned(),
            pid: 1,
            keeper: true,
            addresses: Vec::new(),
            data: None,
            group: None,
            machine,
        };
        let end = |local: &str, remote: &str, inode| Connection {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
            inode,
        };
        let pair = Pair {
            forgets: place("a", 1),
            keeps: place("b", 2),
            addresses: vec!["10.9.0.2".parse().unwrap()],
        };
        let (there, here) = (
            end("10.9.0.1:5", "10.9.0.2:80", 1),
            end("10.9.0.2:80", "10.9.0.1:5", 2),
        );
        let unknown = end("10.9.0.1:6", "10.9.0.2:80", 3);
        let elsewhere = end("10.9.0.1:7", "10.9.0.3:80", 4);
        let of = |node: &str, connections: &[Connection]| Established {
            node: node.to_owned(),
            connections: connections.to_vec(),
        };
        let seen = [of("a", &[there, unknown, elsewhere]), of("b", &[here])];
        let ended = established_between(&[pair], &seen).unwrap();
        assert_eq!(
            ended
                .iter()
                .map(|ended| (ended.there, ended.here))
                .collect::<Vec<_>>(),
            [(there, here)]
        );
        let told = at(vec![place("a", 1), place("b", 2)], &ended, |ended| &ended.kept);
        let counts: Vec<usize> = told.iter().map(|at| at.connections.len()).collect();
        assert_eq!(counts, [0, 1]);
    }
}

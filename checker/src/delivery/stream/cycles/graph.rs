//! A directed graph with edges of a few kinds: its strongly connected components, and short cycles through them.

/// How one transaction depends on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Sent before the other one.
    Ww = 1,
    /// Sent what the other one polled.
    Wr = 2,
    /// Did not poll what the other one sent.
    Rw = 4,
}

/// Some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub const fn of(kinds: &[Kind]) -> Kinds {
        let mut bits = 0;
        let mut at = 0;
        while at < kinds.len() {
            bits |= kinds[at] as u8;
            at += 1;
        }
        Kinds(bits)
    }

    pub fn has(self, kind: Kind) -> bool {
        self.0 & kind as u8 != 0
    }
}

/// From one node to another, and the two touches that show it, by their positions in the journal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub from: u32,
    pub to: u32,
    pub kind: Kind,
    pub shown_by: (u32, u32),
}

pub(super) struct Graph {
    /// Of each node the position of its first edge, and one more.
    starts: Vec<u32>,
    /// By the node that they come from.
    edges: Vec<Edge>,
}

/// Which nodes reach each other.
pub(super) struct Components {
    /// By node.
    of: Vec<u32>,
    /// Those of more than one node.
    pub circles: Vec<Vec<u32>>,
}

impl Components {
    /// The number of a node's component.
    pub fn of(&self, node: u32) -> u32 {
        self.of[node as usize]
    }

    /// Whether two nodes reach each other.
    pub fn together(&self, one: u32, other: u32) -> bool {
        self.of(one) == self.of(other)
    }
}

const UNSEEN: u32 = u32::MAX;

impl Graph {
    pub fn of(nodes: usize, mut edges: Vec<Edge>) -> Graph {
        edges.sort_by_key(|edge| edge.from);
        let mut starts = vec![0; nodes + 1];
        for edge in &edges {
            starts[edge.from as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        Graph { starts, edges }
    }

    /// The edges that leave a node.
    pub fn out(&self, node: u32) -> &[Edge] {
        let node = node as usize;
        &self.edges[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    /// The strongly connected components over edges of these kinds, in time linear in nodes and edges (Tarjan, SIAM J. Comput. 1972). The way
    /// back is kept in a list: a partition of a million messages would be too deep for calls.
    pub fn components(&self, kinds: Kinds) -> Components {
        let nodes = self.starts.len() - 1;
        let mut found = vec![UNSEEN; nodes];
        // The node found first that this one leads back to, as far as that is known.
        let mut low = vec![0; nodes];
        let mut of = vec![UNSEEN; nodes];
        let mut open: Vec<u32> = Vec::new();
        // Where the walk stands: a node, and how many of its edges have been looked at.
        let mut way: Vec<(u32, usize)> = Vec::new();
        let (mut next, mut count) = (0, 0);
        let mut circles = Vec::new();
        for root in 0..nodes as u32 {
            if found[root as usize] != UNSEEN {
                continue;
            }
            let mut entered = Some(root);
            loop {
                if let Some(node) = entered.take() {
                    (found[node as usize], low[node as usize]) = (next, next);
                    next += 1;
                    open.push(node);
                    way.push((node, 0));
                }
                let Some((node, looked_at)) = way.last_mut() else {
                    break;
                };
                let node = *node;
                if let Some(edge) = self.out(node).get(*looked_at) {
                    *looked_at += 1;
                    let to = edge.to as usize;
                    if !kinds.has(edge.kind) {
                    } else if found[to] == UNSEEN {
                        entered = Some(edge.to);
                    } else if of[to] == UNSEEN {
                        low[node as usize] = low[node as usize].min(found[to]);
                    }
                    continue;
                }
                way.pop();
                if low[node as usize] == found[node as usize] {
                    let from = open.iter().rposition(|&other| other == node).unwrap_or(0);
                    for &member in &open[from..] {
                        of[member as usize] = count;
                    }
                    count += 1;
                    let members = open.split_off(from);
                    if members.len() > 1 {
                        circles.push(members);
                    }
                }
                if let Some(&(before, _)) = way.last() {
                    low[before as usize] = low[before as usize].min(low[node as usize]);
                }
            }
        }
        Components { of, circles }
    }
}

/// Looks for short cycles, and does so much work at most.
pub(super) struct Search<'a> {
    graph: &'a Graph,
    /// By node: position of the edge by which it was reached, in the search at hand.
    reached_by: Vec<u32>,
    reached: Vec<u32>,
    /// Edges that may still be looked at.
    left: u64,
    /// Whether it gave up on a cycle that it had not found yet.
    pub gave_up: bool,
}

/// Edges that are looked at: a second, about. One edge of each component is followed whatever that takes.
const EDGES_MAX: u64 = 1 << 24;

impl<'a> Search<'a> {
    pub fn of(graph: &'a Graph) -> Self {
        Search {
            graph,
            reached_by: Vec::new(),
            reached: Vec::new(),
            left: EDGES_MAX,
            gave_up: false,
        }
    }

    /// The shortest cycle that was found inside a component whose first edge is of the one kind and whose others are of the others: the
    /// shortest there is, unless there are too many to be looked for.
    pub fn cycle(
        &mut self,
        components: &Components,
        members: &[u32],
        first: Kind,
        others: Kinds,
    ) -> Option<Vec<Edge>> {
        let mut best: Option<Vec<Edge>> = None;
        let mut followed = false;
        for &member in members {
            for edge in self.graph.out(member).iter().filter(|edge| edge.kind == first) {
                if !components.together(edge.from, edge.to) {
                    continue;
                }
                // Of a path behind this edge.
                let length_max = best.as_ref().map_or(usize::MAX, |best| best.len() - 2);
                if length_max == 0 || followed && self.left == 0 {
                    self.gave_up |= best.is_none();
                    return best;
                }
                followed = true;
                if let Some(path) = self.path(components, (edge.to, edge.from), others, length_max) {
                    best = Some(std::iter::once(*edge).chain(path).collect());
                }
            }
        }
        best
    }

    /// The shortest path between two nodes of one component, of so many edges at most.
    fn path(
        &mut self,
        components: &Components,
        (from, to): (u32, u32),
        kinds: Kinds,
        length_max: usize,
    ) -> Option<Vec<Edge>> {
        let graph = self.graph;
        self.reached_by.resize(graph.starts.len() - 1, UNSEEN);
        for node in self.reached.drain(..) {
            self.reached_by[node as usize] = UNSEEN;
        }
        self.reached.push(from);
        let (mut at, mut length, mut farther) = (0, 0, 1);
        while let Some(&node) = self.reached.get(at) {
            if at == farther {
                (length, farther) = (length + 1, self.reached.len());
            }
            if length == length_max {
                return None;
            }
            at += 1;
            let start = graph.starts[node as usize];
            self.left = self.left.saturating_sub(graph.out(node).len() as u64);
            for (position, edge) in (start..).zip(graph.out(node)) {
                let inside = kinds.has(edge.kind) && components.together(node, edge.to);
                if !inside || edge.to == from || self.reached_by[edge.to as usize] != UNSEEN {
                    continue;
                }
                self.reached_by[edge.to as usize] = position;
                self.reached.push(edge.to);
                if edge.to == to {
                    return Some(self.way_back(from, to));
                }
            }
        }
        None
    }

    fn way_back(&self, from: u32, to: u32) -> Vec<Edge> {
        let mut path = Vec::new();
        let mut node = to;
        while node != from {
            let edge = self.graph.edges[self.reached_by[node as usize] as usize];
            path.push(edge);
            node = edge.from;
        }
        path.reverse();
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Random;

    const ALL: Kinds = Kinds::of(&[Kind::Ww, Kind::Wr, Kind::Rw]);

    fn graph(nodes: usize, edges: &[(u32, u32, Kind)]) -> Graph {
        let edges = edges.iter().map(|&(from, to, kind)| Edge {
            from,
            to,
            kind,
            shown_by: (0, 0),
        });
        Graph::of(nodes, edges.collect())
    }

    /// Whether a path leads from one node to another, of any length but zero.
    fn reaches(graph: &Graph, from: u32, to: u32, kinds: Kinds) -> bool {
        let mut seen: Vec<u32> = Vec::new();
        let mut next = vec![from];
        while let Some(node) = next.pop() {
            for edge in graph.out(node).iter().filter(|edge| kinds.has(edge.kind)) {
                if !seen.contains(&edge.to) {
                    seen.push(edge.to);
                    next.push(edge.to);
                }
            }
        }
        seen.contains(&to)
    }

    #[test]
    fn nodes_are_together_that_reach_each_other() {
        for seed in 0..500 {
            let mut random = Random::new(seed);
            let nodes = 1 + random.below(12) as u32;
            let edges: Vec<(u32, u32, Kind)> = (0..random.below(2 * u64::from(nodes)))
                .map(|_| {
                    let (from, to) = (random.below(nodes.into()), random.below(nodes.into()));
                    let kind = [Kind::Ww, Kind::Wr, Kind::Rw][random.below(3) as usize];
                    (from as u32, to as u32, kind)
                })
                .filter(|(from, to, _)| from != to)
                .collect();
            let graph = graph(nodes as usize, &edges);
            for kinds in [ALL, Kinds::of(&[Kind::Ww]), Kinds::of(&[Kind::Wr, Kind::Rw])] {
                let components = graph.components(kinds);
                for (one, other) in (0..nodes).flat_map(|one| (0..one).map(move |other| (one, other))) {
                    let both = reaches(&graph, one, other, kinds) && reaches(&graph, other, one, kinds);
                    assert_eq!(
                        components.together(one, other),
                        both,
                        "seed {seed}: {one} {other}"
                    );
                }
                let members: usize = components.circles.iter().map(Vec::len).sum();
                let in_circles = (0..nodes)
                    .filter(|&node| reaches(&graph, node, node, kinds))
                    .count();
                assert_eq!(members, in_circles, "seed {seed}");
            }
        }
    }

    #[test]
    fn a_circle_of_a_million_nodes_is_no_matter() {
        let count = 1_000_000;
        let around: Vec<(u32, u32, Kind)> = (0..count)
            .map(|node| (node, (node + 1) % count, Kind::Ww))
            .collect();
        let graph = graph(count as usize, &around);
        assert_eq!(graph.components(ALL).circles.len(), 1);
        let cut = super::Graph::of(count as usize, graph.edges[1..].to_vec());
        assert!(cut.components(ALL).circles.is_empty());
    }

    #[test]
    fn the_shortest_cycle_through_an_edge_of_a_kind_is_found() {
        // 0 → 1 → 2 → 0 over ww, 2 → 3 → 2 with an rw.
        let graph = graph(
            5,
            &[
                (0, 1, Kind::Ww),
                (1, 2, Kind::Ww),
                (2, 0, Kind::Ww),
                (2, 3, Kind::Rw),
                (3, 2, Kind::Wr),
                (3, 4, Kind::Ww),
            ],
        );
        let components = graph.components(ALL);
        let [circle] = components.circles.as_slice() else {
            panic!("{:?}", components.circles)
        };
        let mut search = Search::of(&graph);
        let mut found = |first, others| {
            let cycle = search.cycle(&components, circle, first, others)?;
            Some(cycle.iter().map(|edge| edge.from).collect::<Vec<u32>>())
        };
        assert_eq!(found(Kind::Rw, ALL), Some(vec![2, 3]));
        assert_eq!(found(Kind::Rw, Kinds::of(&[Kind::Ww])), None);
        let mut around = found(Kind::Ww, Kinds::of(&[Kind::Ww])).expect("a cycle");
        around.sort_unstable();
        assert_eq!(around, [0, 1, 2]);
        assert_eq!(found(Kind::Wr, ALL), Some(vec![3, 2]));
    }
}

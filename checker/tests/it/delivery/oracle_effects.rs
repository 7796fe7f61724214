//! Effects against every choice of ambiguous requests.

use duress_checker::delivery::{Order, Until};
use duress_checker::generate::Random;

use super::{history, named};

#[test]
fn sums_are_judged_as_by_trying_every_choice() {
    let mut seen = [0; 4];
    for seed in 0..3000 {
        let mut random = Random::new(seed);
        let (least, span) = [(0, 4), (-3, 4), (-2, 5), (2, 1)][random.below(4) as usize];
        let mut text = String::new();
        let mut amounts = Vec::new();
        for process in 0..random.below(7) {
            let amount = least + random.below(span) as i64;
            let how = ["+", "+", "?", "-"][random.below(4) as usize];
            text += &format!("i{process}:{amount} {how}{process} ");
            amounts.push((amount, how));
        }
        let sum = random.below(16) as i64 - 4;
        text += &format!("r9 +9:{sum}");
        if amounts.is_empty() {
            continue;
        }
        let unknown: Vec<i64> = amounts
            .iter()
            .filter(|(_, how)| *how == "?")
            .map(|(amount, _)| *amount)
            .collect();
        let acknowledged: i64 = amounts
            .iter()
            .filter(|(_, how)| *how == "+")
            .map(|(amount, _)| amount)
            .sum();
        let sums: Vec<i64> = (0..1_u32 << unknown.len())
            .map(|choice| {
                let chosen = (0..unknown.len()).filter(|at| choice & (1 << at) != 0);
                acknowledged + chosen.map(|at| unknown[at]).sum::<i64>()
            })
            .collect();
        let (low, high) = (sums.iter().min().copied(), sums.iter().max().copied());
        let grows = amounts.iter().all(|(amount, _)| *amount >= 0);
        let shrinks = amounts.iter().all(|(amount, _)| *amount <= 0);
        let (below, above) = (Some(sum) < low, Some(sum) > high);
        let (at, wanted) = if sums.contains(&sum) {
            (0, "")
        } else if (grows && below) || (shrinks && !grows && above) {
            (1, "1 lost-effect")
        } else if (grows && above) || (shrinks && !grows && below) {
            (2, "1 duplicate-effect")
        } else {
            (3, "1 unexplained-effect")
        };
        seen[at] += 1;
        assert_eq!(
            named(&history(&text), Order::Usual, Until::Applied),
            wanted,
            "seed {seed}: {text}"
        );
    }
    assert!(seen.iter().all(|&seen| seen > 50), "{seen:?}");
}

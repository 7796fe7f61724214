//! What so many runs allow to say of a share: the interval of Clopper and Pearson.

/// Of the probability of what was seen in `k` of `n` runs, the shares that the runs allow with 95 % confidence: a smaller one would
/// give `k` or more, and a larger one `k` or fewer, with a probability of less than 2.5 %. (Clopper and Pearson 1934, *The use of
/// confidence or fiducial limits illustrated in the case of the binomial*, Biometrika 26.) It is exact, and rather too wide.
///
/// `(0.0, 1.0)` without any run.
pub fn clopper_pearson(k: usize, n: usize) -> (f64, f64) {
    const TAIL: f64 = 0.025;
    let low = match k {
        0 => 0.0,
        // The chance of k or more grows with the share.
        _ => root(|share| 1.0 - at_most(k - 1, n, share) - TAIL),
    };
    let high = match k == n {
        true => 1.0,
        false => root(|share| TAIL - at_most(k, n, share)),
    };
    (low, high)
}

/// `10 of 10 (69–100 %)`.
pub fn share(k: usize, n: usize) -> String {
    let (low, high) = clopper_pearson(k, n);
    let percent = |share: f64| {
        let percent = share * 100.0;
        match percent < 10.0 && percent > 0.0 {
            true => format!("{percent:.1}"),
            false => format!("{percent:.0}"),
        }
    };
    format!("{k} of {n} ({}–{} %)", percent(low), percent(high))
}

/// The chance of at most `k` of `n` where each has this chance.
fn at_most(k: usize, n: usize, share: f64) -> f64 {
    let (yes, no) = (share.ln(), (-share).ln_1p());
    // ln of the number of ways to choose.
    let mut ways = 0.0;
    let mut sum = 0.0;
    for i in 0..=k {
        sum += (ways + i as f64 * yes + (n - i) as f64 * no).exp();
        ways += ((n - i) as f64 / (i + 1) as f64).ln();
    }
    sum
}

/// Where a function that grows from below zero to above it, between 0 and 1, is zero.
fn root(f: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    // Halved so often that a double can't tell the ends apart.
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        match f(middle) < 0.0 {
            true => low = middle,
            false => high = middle,
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_tables() {
        // R: binom.test(k, n)$conf.int
        for (k, n, low, high) in [
            (10, 10, 0.6915029, 1.0),
            (9, 10, 0.5549839, 0.9974714),
            (0, 10, 0.0, 0.3084971),
            (0, 59, 0.0, 0.0606090),
            (5, 20, 0.0865715, 0.4910459),
            (1, 1, 0.025, 1.0),
        ] {
            let (a, b) = clopper_pearson(k, n);
            assert!(
                (a - low).abs() < 1e-4 && (b - high).abs() < 1e-4,
                "{k} of {n}: {a} to {b}"
            );
        }
        assert_eq!(clopper_pearson(0, 0), (0.0, 1.0));
    }

    #[test]
    fn few_runs_say_little_and_a_table_says_so() {
        assert_eq!(share(10, 10), "10 of 10 (69–100 %)");
        assert_eq!(share(0, 59), "0 of 59 (0–6.1 %)");
        assert_eq!(share(0, 0), "0 of 0 (0–100 %)");
    }

    #[test]
    fn many_runs_are_summed_up_in_time() {
        let (low, high) = clopper_pearson(500_000, 1_000_000);
        assert!(
            (low - 0.49902).abs() < 1e-4 && (high - 0.50098).abs() < 1e-4,
            "{low} {high}"
        );
    }
}

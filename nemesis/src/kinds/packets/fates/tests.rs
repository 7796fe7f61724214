use super::*;

fn losses(effects: Effects, seed: u64, count: usize) -> Vec<bool> {
    let mut fates = Fates::new(effects, seed);
    (0..count)
        .map(|_| fates.next(Duration::ZERO, 100) == Fate::Lost)
        .collect()
}

fn delays_us(effects: Effects) -> Vec<u64> {
    let mut fates = Fates::new(effects, 7);
    let next = |_| match fates.next(Duration::ZERO, 100) {
        Fate::Delivered(passage) => passage.delay.as_micros() as u64,
        Fate::Lost | Fate::Overflowed => unreachable!("nothing is lost"),
    };
    let mut all: Vec<u64> = (0..20_000).map(next).collect();
    all.sort_unstable();
    all
}

#[test]
fn the_stream_is_pinned_and_other_links_have_others() {
    let effects = Effects {
        loss: 0.5,
        ..Effects::default()
    };
    let text = |seed| -> String {
        let lost = losses(effects, seed, 32);
        lost.iter().map(|lost| if *lost { 'x' } else { '.' }).collect()
    };
    // Changing these changes the replay of every seed that people have written down.
    assert_eq!(text(seed_of_link(7, "n1", "n2", false)), PINNED);
    assert_ne!(text(seed_of_link(7, "n2", "n1", false)), PINNED);
    assert_ne!(text(seed_of_link(7, "n1", "n2", true)), PINNED);
    assert_ne!(text(seed_of_link(8, "n1", "n2", false)), PINNED);
}

const PINNED: &str = "........xxxxxxxx....xx.x..xxxx.x";

#[test]
fn a_delay_does_not_change_what_is_lost() {
    let effects = Effects {
        loss: 0.3,
        burst: 4.0,
        ..Effects::default()
    };
    let late = Effects {
        delay_us: 1000,
        jitter_us: 500,
        ..effects
    };
    assert_eq!(losses(effects, 3, 1000), losses(late, 3, 1000));
}

#[test]
fn as_many_are_lost_as_was_asked_for_and_in_bursts_as_long() {
    for burst in [0.0, 2.0, 10.0] {
        let effects = Effects {
            loss: 0.2,
            burst,
            ..Effects::default()
        };
        let lost = losses(effects, 11, 100_000);
        let count = lost.iter().filter(|lost| **lost).count() as f64;
        assert!((count / 100_000.0 - 0.2).abs() < 0.02, "{burst}: {count}");
        let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64;
        let wanted = if burst == 0.0 { 1.25 } else { burst };
        assert!(
            (count / bursts / wanted - 1.0).abs() < 0.1,
            "{burst}: {}",
            count / bursts
        );
    }
}

/// A loss of 0.2, of which 0.05 between bursts, in which seven of ten packets get lost.
fn in_two_states() -> Effects {
    Effects {
        loss: 0.2,
        burst: 8.0,
        spared: 0.3,
        between: 0.05,
        ..Effects::default()
    }
}

#[test]
fn both_states_lose_their_share() {
    let lost = losses(in_two_states(), 11, 200_000);
    let share = |lost: &mut dyn Iterator<Item = bool>| {
        let (mut count, mut all) = (0.0, 0.0);
        for lost in lost {
            all += 1.0;
            count += f64::from(u8::from(lost));
        }
        count / all
    };
    let all = share(&mut lost.iter().copied());
    assert!((all - 0.2).abs() < 0.01, "{all}");
    // A bad period is 3 of 13 packets, and goes on with 7 of 8.
    let (bad, goes_on) = (3.0 / 13.0, 7.0 / 8.0);
    let begins: f64 = bad / (8.0 * (1.0 - bad));
    let twice = bad * 0.7 * (goes_on * 0.7 + 0.05 / 8.0)
        + (1.0 - bad) * 0.05 * (begins * 0.7 + (1.0 - begins) * 0.05);
    let pairs = share(&mut lost.windows(2).map(|pair| pair[0] && pair[1]));
    assert!((pairs / twice - 1.0).abs() < 0.05, "{pairs} of {twice}");
}

#[test]
fn the_number_of_losses_varies_as_much_as_is_reckoned_with() {
    let in_bursts = Effects {
        loss: 0.2,
        burst: 5.0,
        ..Effects::default()
    };
    for effects in [in_bursts, in_two_states()] {
        varies_as_reckoned_with(effects);
    }
}

fn varies_as_reckoned_with(effects: Effects) {
    let counts: Vec<f64> = (0..400)
        .map(|seed| losses(effects, seed, 1000).iter().filter(|lost| **lost).count() as f64)
        .collect();
    let variance = counts.iter().map(|count| (count - 200.0).powi(2)).sum::<f64>() / 400.0;
    let ratio = variance / (1000.0 * 0.2 * 0.8 * effects.loss_dispersion());
    assert!((0.75..1.3).contains(&ratio), "{ratio}");
}

#[test]
fn delays_are_spread_as_they_say() {
    for distribution in [
        Distribution::Uniform,
        Distribution::Normal,
        Distribution::Exponential,
    ] {
        let effects = Effects {
            delay_us: 50_000,
            jitter_us: 10_000,
            distribution,
            ..Effects::default()
        };
        let all = delays_us(effects);
        let at = |quarter: usize| all[all.len() * quarter / 4];
        assert!(
            at(2).abs_diff(effects.median_us()) < 500,
            "{distribution:?}: {}",
            at(2)
        );
        let width = at(3) - at(1);
        assert!(
            width.abs_diff(effects.quartiles_us()) < 600,
            "{distribution:?}: {width}"
        );
        assert!(all[all.len() - 1] <= effects.longest_us(), "{distribution:?}");
    }
}

#[test]
fn without_jitter_each_is_as_late() {
    let effects = Effects {
        delay_us: 500,
        ..Effects::default()
    };
    assert!(delays_us(effects).iter().all(|delay| *delay == 500));
}

#[test]
fn what_comes_into_one_jam_leaves_at_once() {
    let effects = Effects {
        jam_us: 300_000,
        ..Effects::default()
    };
    let mut fates = Fates::new(effects, 1);
    for (came_ms, leaves_ms) in [
        (0, 300),
        (1, 300),
        (299, 300),
        (300, 600),
        (450, 600),
        (901, 1200),
    ] {
        let came = Duration::from_millis(came_ms);
        let Fate::Delivered(Passage { delay, .. }) = fates.next(came, 100) else {
            panic!("it is lost")
        };
        assert_eq!((came + delay).as_millis(), leaves_ms);
    }
}

/// `2` comes twice, `-` is held back, `~` is changed; anything else is `.`.
fn told(effects: Effects, seed: u64, count: usize) -> String {
    let mut fates = Fates::new(effects, seed);
    let letter = |_| match fates.next(Duration::ZERO, 100) {
        Fate::Lost | Fate::Overflowed => 'x',
        Fate::Delivered(Passage { copied: true, .. }) => '2',
        Fate::Delivered(Passage { flip: Some(_), .. }) => '~',
        Fate::Delivered(Passage { delay, .. }) if !delay.is_zero() => '-',
        Fate::Delivered(_) => '.',
    };
    (0..count).map(letter).collect()
}

#[test]
fn copies_holds_and_flips_have_streams_that_are_pinned_and_their_own() {
    let seed = seed_of_link(7, "n1", "n2", false);
    let twice = Effects {
        duplicate: 0.5,
        ..Effects::default()
    };
    let held = Effects {
        reorder: 0.4,
        reorder_us: 20_000,
        ..Effects::default()
    };
    let flipped = Effects {
        corrupt: 0.5,
        ..Effects::default()
    };
    // Changing these changes the replay of every seed that people have written down.
    let seen = [twice, held, flipped].map(|effects| told(effects, seed, 32));
    assert_eq!(seen, [TWICE, HELD, FLIPPED]);
    // Beside others each is the same.
    let all = Effects {
        loss: 0.3,
        delay_us: 7,
        jitter_us: 5,
        reorder: 0.4,
        reorder_us: 20_000,
        corrupt: 0.5,
        ..twice
    };
    let beside = told(all, seed, 32);
    let agree = |(with, alone): (char, char)| with == 'x' || (with == '2') == (alone == '2');
    assert!(beside.chars().zip(TWICE.chars()).all(agree), "{beside}");
}

const TWICE: &str = "2.2.222.2...2..2...22.222..22222";
const HELD: &str = "......-..-.-...-.----......---.-";
const FLIPPED: &str = ".~..~..~....~~~.~~~.~.~.~~...~..";

#[test]
fn shares_are_as_asked() {
    let effects = Effects {
        duplicate: 0.1,
        reorder: 0.2,
        reorder_us: 20_000,
        corrupt: 0.3,
        ..Effects::default()
    };
    let mut fates = Fates::new(effects, 5);
    let mut seen = [0u32; 3];
    let mut bits = std::collections::BTreeSet::new();
    for _ in 0..20_000 {
        let Fate::Delivered(passage) = fates.next(Duration::ZERO, 100) else {
            panic!("it is lost")
        };
        seen[0] += u32::from(passage.copied);
        seen[1] += u32::from(!passage.delay.is_zero());
        seen[2] += u32::from(passage.flip.is_some());
        bits.extend(passage.flip.map(|bit| bit % 64));
    }
    for (count, asked) in seen.into_iter().zip([2000, 4000, 6000]) {
        assert!(count.abs_diff(asked) < 300, "{seen:?}");
    }
    assert_eq!(bits.len(), 64, "each bit has its turn");
}

#[test]
fn a_line_takes_one_packet_after_another_and_drops_what_may_not_wait() {
    let effects = Effects {
        rate: 10_000,
        queue: 500,
        ..Effects::default()
    };
    let mut fates = Fates::new(effects, 1);
    let mut next = |at_ms, bytes| match fates.next(Duration::from_millis(at_ms), bytes) {
        Fate::Delivered(passage) => Some(passage.delay.as_millis()),
        Fate::Lost | Fate::Overflowed => None,
    };
    // 100 bytes take 10 ms. After five of them no more may wait.
    let waits: Vec<Option<u128>> = (0..7).map(|_| next(0, 100)).collect();
    assert_eq!(
        waits,
        [Some(10), Some(20), Some(30), Some(40), Some(50), None, None]
    );
    assert_eq!(next(10, 100), Some(50));
    assert_eq!(next(1000, 100), Some(10));
    // One that is longer than the queue passes where nobody waits.
    assert_eq!(next(2000, 1000), Some(100));
    assert_eq!(next(2000, 100), None);
}

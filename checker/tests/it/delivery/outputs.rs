//! Consume, transform, produce in a few operations: each anomaly, and a twin of it that is none.

use duress_checker::delivery::{Order, Until};
use duress_checker::history::Event;

use super::{history, named};

/// Two messages in `in`, at offsets 0 and 1, polled by process 1.
const TWO: &str = "s0:[[\"send\",\"in\",7],[\"send\",\"in\",8]] +0:[[\"send\",\"in\",[0,7]],[\"send\",\"in\",[1,8]]] \
                   p1:[[\"poll\"]] +1:[[\"poll\",{\"in\":[[0,7],[1,8]]}]]";

/// `sign process offset-out offset-in attempt epoch`: an attempt at an output, and how it ended.
fn attempts(attempts: &[(&str, u64, u64, u64, u64, u64)], polled: &str) -> Vec<Event> {
    let mut text = TWO.to_owned();
    for (sign, process, out, input, attempt, epoch) in attempts {
        let message =
            format!("{{\"input\":[\"in\",{input}],\"by\":\"t\",\"epoch\":{epoch},\"attempt\":{attempt}}}");
        text += &format!(" t{process}:[[\"send\",\"out\",{message}]]");
        text += &match *sign {
            "+" => format!(" +{process}:[[\"send\",\"out\",[{out},{message}]]]"),
            sign => format!(" {sign}{process}:[[\"send\",\"out\",{message}]]"),
        };
    }
    for polled in polled.split_whitespace() {
        let (offset, input, attempt, epoch) = match polled.split(',').collect::<Vec<_>>()[..] {
            [offset, input, attempt, epoch] => (offset, input, attempt, epoch),
            _ => panic!("{polled}"),
        };
        text += &format!(
            " A9:[\"out\"] +9 p9:[[\"poll\"]] +9:[[\"poll\",{{\"out\":[[{offset},\
             {{\"input\":[\"in\",{input}],\"by\":\"t\",\"epoch\":{epoch},\"attempt\":{attempt}}}]]}}]]"
        );
    }
    history(&text)
}

fn judged(list: &[(&str, u64, u64, u64, u64, u64)], polled: &str) -> String {
    named(&attempts(list, polled), Order::Usual, Until::Applied)
}

#[test]
fn one_output_of_each_is_fine_whatever_was_tried_again() {
    assert_eq!(
        judged(&[("+", 2, 0, 0, 1, 1), ("+", 2, 1, 1, 2, 1)], "0,0,1,1 1,1,2,1"),
        ""
    );
    assert_eq!(
        judged(&[("-", 2, 0, 0, 1, 1), ("+", 2, 0, 0, 2, 1)], "0,0,2,1"),
        ""
    );
    // The first attempt may not have happened, or its successor would see it.
    assert_eq!(
        judged(&[("?", 2, 0, 0, 1, 1), ("+", 3, 0, 0, 2, 1)], "0,0,2,1"),
        ""
    );
    // Behind the last that something was made of.
    assert_eq!(judged(&[("+", 2, 0, 0, 1, 1)], "0,0,1,1"), "");
}

#[test]
fn duplicate_output() {
    assert_eq!(
        judged(&[("+", 2, 0, 0, 1, 1), ("+", 3, 1, 0, 2, 1)], "0,0,1,1 1,0,2,1"),
        "1 duplicate-output"
    );
    // Nobody knew of the first, and somebody polls it.
    assert_eq!(
        judged(&[("?", 2, 0, 0, 1, 1), ("+", 3, 1, 0, 2, 1)], "0,0,1,1 1,0,2,1"),
        "1 duplicate-output"
    );
}

#[test]
fn missing_output() {
    assert_eq!(judged(&[("+", 2, 0, 1, 1, 1)], "0,1,1,1"), "1 missing-output");
    assert_eq!(
        judged(&[("-", 2, 0, 0, 1, 1), ("+", 2, 0, 1, 2, 1)], "0,1,2,1"),
        "1 missing-output"
    );
    assert_eq!(
        judged(&[("?", 2, 0, 0, 1, 1), ("+", 3, 0, 1, 2, 1)], "0,1,2,1"),
        ""
    );
}

#[test]
fn an_output_of_an_aborted_attempt_is_an_aborted_read() {
    assert_eq!(
        judged(&[("-", 2, 0, 0, 1, 1), ("+", 2, 1, 0, 2, 1)], "0,0,1,1 1,0,2,1"),
        "1 G1a"
    );
}

#[test]
fn output_before_input() {
    let output =
        "t2:[[\"send\",\"out\",{\"input\":[\"in\",2]}]] +2:[[\"send\",\"out\",[0,{\"input\":[\"in\",2]}]]]";
    let input = "s3:[[\"send\",\"in\",9]] +3:[[\"send\",\"in\",[2,9]]]";
    let polled =
        "p9:[[\"poll\"]] +9:[[\"poll\",{\"in\":[[0,7],[1,8],[2,9]],\"out\":[[0,{\"input\":[\"in\",2]}]]}]]";
    let both = "t2:[[\"send\",\"out\",{\"input\":[\"in\",0],\"n\":0}],[\"send\",\"out\",{\"input\":[\"in\",1]}]] \
                +2:[[\"send\",\"out\",[1,{\"input\":[\"in\",0],\"n\":0}]],[\"send\",\"out\",[2,{\"input\":[\"in\",1]}]]]";
    let rest = "p8:[[\"poll\"]] +8:[[\"poll\",{\"out\":[[1,{\"input\":[\"in\",0],\"n\":0}],[2,{\"input\":[\"in\",1]}]]}]]";
    let of = |text: &str| {
        named(
            &history(&format!("{TWO} {text} {both} {rest}")),
            Order::None,
            Until::Applied,
        )
    };
    assert_eq!(of(&format!("{output} {input} {polled}")), "1 output-before-input");
    assert_eq!(of(&format!("{input} {output} {polled}")), "");
}

#[test]
fn zombie_output() {
    assert_eq!(
        judged(&[("+", 2, 0, 0, 1, 2), ("+", 3, 1, 1, 2, 1)], "0,0,1,2 1,1,2,1"),
        "1 zombie-output"
    );
    assert_eq!(
        judged(&[("+", 2, 0, 0, 1, 1), ("+", 3, 1, 1, 2, 2)], "0,0,1,1 1,1,2,2"),
        ""
    );
    // Of the older epoch, and refused.
    assert_eq!(
        judged(
            &[("+", 2, 0, 0, 1, 2), ("-", 3, 1, 1, 2, 1), ("+", 4, 1, 1, 3, 2)],
            "0,0,1,2 1,1,3,2"
        ),
        ""
    );
}

//! What a policy makes of answers: hedges, and what is tried again at all.

use super::*;

/// A write at n1, of which nothing is heard; another node is asked after a millisecond.
async fn hedged(answers: impl IntoIterator<Item = Option<Answer>>, honours_tokens: bool) -> Completion {
    let script = Script {
        honours_tokens,
        ..Script::new(answers)
    };
    let policy = RetryPolicy {
        timeout: Duration::from_millis(200),
        attempts_max: 2,
        hedge: Some(Duration::from_millis(1)),
        ..POLICY
    };
    write(&script, &policy, None).await.0
}

#[tokio::test]
async fn another_node_is_asked_while_the_first_is_silent() {
    let completion = hedged([None, Some(Answer::Ok(json!(1)))], true).await;
    assert_eq!(completion.outcome, EventType::Ok);
    let [first, second] = completion.attempts.as_slice() else {
        panic!("{completion:?}");
    };
    assert_ne!(first.node, second.node);
    assert_eq!(completion.node.as_ref(), Some(&second.node));
    assert_eq!(
        (first.error.as_deref(), second.error.as_deref()),
        (Some("another node answered first"), None)
    );
    assert!(!first.refused, "it may be carried out");
}

#[tokio::test]
async fn what_may_not_run_twice_is_not_hedged() {
    let completion = hedged([None], false).await;
    assert_eq!(
        (completion.outcome, completion.attempts.len()),
        (EventType::Info, 1)
    );
}

#[tokio::test]
async fn a_refusal_by_the_second_node_says_nothing_of_the_first() {
    let completion = hedged([None, refused()], true).await;
    assert_eq!(
        (completion.outcome, completion.attempts.len()),
        (EventType::Info, 2)
    );
    assert_eq!(completion.error.as_deref(), Some("timeout"));
}

#[tokio::test]
async fn an_operation_is_tried_again_after_what_the_policy_names() {
    for (refused_too, unknown_too) in [(true, true), (true, false), (false, true), (false, false)] {
        let policy = RetryPolicy {
            attempts_max: 2,
            retry_on: RetryOn {
                refused: refused_too,
                unknown: unknown_too,
            },
            ..POLICY
        };
        for (answer, retried) in [(refused(), refused_too), (unknown(), unknown_too)] {
            let script = Script::new([answer, Some(Answer::Ok(json!(1)))]);
            let (completion, _) = write(&script, &policy, None).await;
            assert_eq!(completion.outcome == EventType::Ok, retried, "{policy:?}");
            assert_eq!(completion.attempts.len(), 1 + usize::from(retried));
        }
    }
}

#[tokio::test]
async fn nobody_waits_for_an_answer_to_a_client_that_crashed() {
    let script = Script::new([None]);
    let (_sender, stop) = watch::channel(false);
    let mut session = Session {
        service: &script,
        endpoints: &vec![endpoint("n1", 1)],
        policy: &POLICY,
        budget: &RetryBudget::new(1.0),
        clock: &NoClock,
        routing: Routing::Leader,
        preferred: None,
        process: 7,
        stop,
        crashes_after: Some(Duration::from_millis(5)),
    };
    let op = Op::changing("write", json!(1));
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let completion = session.perform(&op, None, &mut rng).await;
    assert_eq!(completion.outcome, EventType::Info);
    assert_eq!(completion.error.as_deref(), Some("the client crashed"));
    assert_eq!(session.crashes_after, None, "it comes back");
}

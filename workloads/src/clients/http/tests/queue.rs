//! A queue whose acks need a receipt.

use super::*;
use crate::op::Operation;

const QUEUE: &str = "
[http.enqueue]
method = 'post'
path = '/q/{key}'
body = { value = '{value}' }
answer = [{ status = 200, ok = true }, { status = 429, refused = 'full' }]

[http.dequeue]
method = 'post'
path = '/q/{key}/take?ms={lease.ms}'
answer = [
    { status = 200, ok = '/message', keep = '/receipt' },
    { status = 202, ok = 'absent' },
    { status = 404, fail = 'all-lent' },
]

[http.ack]
method = 'delete'
path = '/q/{key}/{kept}'
answer = [{ status = 200, ok = true }, { status = 410, fail = 'lease-over' }]
";

#[tokio::test]
async fn an_ack_carries_the_receipt_of_the_message_that_this_process_got() {
    let queue = client(QUEUE);
    let kind = kind_of(QUEUE).expect("it makes sense");
    assert!(kind.lacks(&[Operation::on_key("nack")]).len() == 1 && kind.workloads().is_empty());

    let dequeue = op("dequeue", Some("q1"), Value::Null);
    let ack = op("ack", Some("q1"), json!(7));
    let (answer, asked) = attempt(&*queue, &ack, vec![]).await;
    // Nothing was sent, since nothing is known to be acknowledged.
    assert!(
        matches!(answer, Answer::Refused { .. }) && asked.is_empty(),
        "{answer:?}"
    );

    let message = said(200, &json!({"message": 7, "receipt": "r/1"}));
    let (answer, asked) = attempt(&*queue, &dequeue, vec![message]).await;
    assert_eq!(answer, Answer::Ok(json!(7)));
    assert!(
        asked[0].0.starts_with("POST /q/q1/take?ms=2000 "),
        "{}",
        asked[0].0
    );
    let (answer, asked) = attempt(&*queue, &ack, vec![said(200, &json!({}))]).await;
    assert_eq!(answer, Answer::Ok(json!(7)));
    assert!(asked[0].0.starts_with("DELETE /q/q1/r%2F1 "), "{}", asked[0].0);
    let (answer, _) = attempt(&*queue, &ack, vec![said(410, &json!({}))]).await;
    assert_eq!(
        answer,
        Answer::Failed {
            error: "lease-over".to_owned()
        }
    );

    for (status, expected) in [
        (202, Answer::Ok(Value::Null)),
        (
            404,
            Answer::Failed {
                error: "all-lent".to_owned(),
            },
        ),
    ] {
        let (answer, _) = attempt(&*queue, &dequeue, vec![said(status, &Value::Null)]).await;
        assert_eq!(answer, expected);
    }
    // A message without its receipt can't be acknowledged, and nobody knows what became of it.
    let (answer, _) = attempt(&*queue, &dequeue, vec![said(200, &json!({"message": 8}))]).await;
    assert!(matches!(answer, Answer::Unknown { .. }), "{answer:?}");
}

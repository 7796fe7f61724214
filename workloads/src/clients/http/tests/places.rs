//! What places stand for.

use super::*;

#[tokio::test]
async fn the_process_is_known_without_tokens() {
    let text = "client = 'http'\n[http]\nheaders = {x-client = '{process}'}\n[http.write]\nmethod = 'put'\n\
                path = '/{key}/{process}'\nbody = {by = '{process}'}\nanswer = [{status = 200, ok = true}]";
    let kind = kind_of(text).unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!(kind.tokens, Tokens::None);
    let client = (kind.make)(options(ReadMode::Linearizable)).expect("a client");
    let (endpoint, asked) = member(vec![said(200, &json!({}))]).await;
    let answer = client
        .attempt(&endpoint, &op("write", Some("k"), json!(1)), NO_TOKEN)
        .await;
    assert_eq!(answer, Answer::Ok(json!(1)));
    let asked = asked.lock().expect("no panic").clone();
    let (head, body) = &asked[0];
    assert!(
        head.contains("PUT /k/7 ") && head.contains("x-client: 7"),
        "{head}"
    );
    assert_eq!(body, r#"{"by":7}"#);
}

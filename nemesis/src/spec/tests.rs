use super::*;

fn parse(text: &str) -> Result<FaultsSpec, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

/// For three nodes.
fn checked(text: &str) -> Result<(), String> {
    let nodes = ["n1", "n2", "n3"].map(str::to_owned);
    let checked = parse(text)?.validate(&nodes);
    checked.map_err(|error| error.to_string())
}

const FULL: &str = "pause = \"1s..3s\"\nlength = \"500ms\"\n[[mix]]\nkind = \"partition\"\nshape = \"one-way\"\n\
    targets = \"leader\"\n[[mix]]\nkind = \"kill\"\nlength = \"1s\"\nweight = 2\n[[at]]\nkind = \"pause\"\n\
    targets = [\"n1\", \"n3\"]\nat = \"5s\"\n";

#[test]
fn what_is_written_is_what_is_read() {
    let spec = parse(FULL).unwrap();
    assert_eq!(
        spec.pause,
        DurationRange {
            min_ms: 1000,
            max_ms: 3000
        }
    );
    assert_eq!(
        spec.mix[1].parts[0].fault,
        serde_json::from_str(r#"{"kind":"kill","targets":"one"}"#).unwrap()
    );
    assert_eq!((spec.mix[1].weight, spec.at[0].at_ms), (2, 5000));
    assert_eq!(parse(&toml::to_string(&spec).unwrap()).unwrap(), spec);
}

#[test]
fn mistakes_are_named_with_the_choices() {
    for (text, said) in [
        (
            "[[mix]]\nkind = \"partytion\"",
            "`partition`, `packets`, `tcp-reset`, `half-open`, `kill`, `pause`, `restart`",
        ),
        (
            "[[mix]]\nkind = \"partition\"\nshape = \"two\"",
            "`majorities-ring`",
        ),
        (
            "[[mix]]\nkind = \"partition\"",
            "needs a shape: one of one, halves",
        ),
        (
            "[[mix]]\nkind = \"kill\"\nshape = \"one\"",
            "unknown field `shape`, expected `targets`",
        ),
        (
            "[[mix]]\nkind = \"kill\"\ntargets = \"boss\"",
            "leader, follower, majority",
        ),
        (
            "[[mix]]\nkind = \"kill\"\ntarget = \"one\"",
            "unknown field `target`",
        ),
        ("[[mix]]\nkind = \"kill\"\nweight = 0", "weight of 0"),
        ("[[mix]]\nkind = \"kill\"\nat = \"1s\"", "[[faults.at]]"),
        ("[[at]]\nkind = \"kill\"", "needs at"),
        (
            "[[mix]]\nkind = \"partition\"\nshape = \"halves\"\ntargets = \"one\"",
            "draws its own",
        ),
        (
            "[[mix]]\nkind = \"partition\"\nshape = \"one\"\ntargets = \"all\"",
            "single node",
        ),
        ("pause = \"3s..1s\"", "did you mean \"1s..3s\"?"),
        ("pause = \"3 parsecs\"", "is not a duration"),
        ("paws = \"3s\"", "`pause`"),
    ] {
        let error = checked(text).unwrap_err();
        assert!(error.contains(said), "{text}\n{error}");
    }
}

#[test]
fn lengths_and_counts_have_limits() {
    let nodes = ["n1".to_owned()];
    let refused = |text: &str| parse(text).unwrap().validate(&nodes).unwrap_err();
    let error = refused("length = \"0s\"");
    assert_eq!(error.what, "a fault may last from 10ms to 1day, not 0s");
    assert_eq!(error.spot, Spot::Key("length"));
    assert_eq!(refused("pause = \"0s..300years\"").spot, Spot::Key("pause"));
    let error = refused("[[at]]\nkind = \"kill\"\nat = \"1s\"\nlength = \"1ms..2s\"");
    let spot = Spot::Entry {
        list: "at",
        index: 0,
        key: "length",
    };
    assert_eq!(error.spot, spot, "{error}");
    let many = "[[mix]]\nkind = \"kill\"\n".repeat(MIX_MAX + 1);
    assert!(refused(&many).what.contains("at most 100"));
    let twice = refused("[[mix]]\nkind = \"kill\"\ntargets = [\"n1\", \"n1\"]");
    assert!(twice.what.contains("twice"), "{twice}");
}

#[test]
fn nodes_that_do_not_exist_are_refused() {
    let nodes = |count| (1..=count).map(|number| format!("n{number}")).collect::<Vec<_>>();
    let spec = parse(FULL).unwrap();
    assert_eq!(spec.validate(&nodes(3)), Ok(()));
    assert_eq!(
        spec.validate(&nodes(2)).unwrap_err().to_string(),
        "no node \"n3\"; there are n1, n2"
    );
    let bridge = parse("[[mix]]\nkind = \"partition\"\nshape = \"bridge\"").unwrap();
    assert!(
        bridge
            .validate(&nodes(2))
            .unwrap_err()
            .to_string()
            .contains("needs 3 nodes")
    );
}

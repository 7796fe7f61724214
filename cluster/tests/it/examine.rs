//! What the machine can do.

use duress_cluster::doctor::{Capability, examine};
use duress_cluster::local::isolate;

use crate::support::{Test, interfaces};

pub fn tests() -> Vec<Test> {
    vec![
        (
            "the_doctor_finds_what_the_other_tests_use",
            the_doctor_finds_what_the_other_tests_use,
        ),
        (
            "the_doctor_says_what_is_wrong_with_a_sandbox",
            the_doctor_says_what_is_wrong_with_a_sandbox,
        ),
        (
            "the_doctor_touches_nothing_outside_its_isolation",
            the_doctor_touches_nothing_outside_its_isolation,
        ),
    ]
}

fn named<'a>(report: &'a [Capability], name: &str) -> &'a Capability {
    report.iter().find(|capability| capability.name == name).unwrap()
}

fn the_doctor_finds_what_the_other_tests_use() {
    let report = examine(&isolate(), &["/proc/self/exe".into(), "sandbox".into()]);
    for name in [
        "kernel",
        "iproute2",
        "namespaces",
        "sandbox",
        "bridge",
        "veth",
        "IPv6",
    ] {
        let capability = named(&report, name);
        assert!(
            capability.ok && !capability.detail.is_empty() && capability.fix.is_empty(),
            "{capability:?}"
        );
    }
    assert_eq!(interfaces(), ["lo"], "the probes' interfaces are gone");
}

fn the_doctor_says_what_is_wrong_with_a_sandbox() {
    let isolation = isolate();
    for exe in ["/bin/false", "/no/such/program"] {
        let report = examine(&isolation, &[exe.into()]);
        let sandbox = named(&report, "sandbox");
        assert!(
            !sandbox.ok && !sandbox.detail.is_empty() && !sandbox.fix.is_empty(),
            "{sandbox:?}"
        );
    }
}

fn the_doctor_touches_nothing_outside_its_isolation() {
    let isolation = std::thread::spawn(isolate).join().unwrap();
    assert!(isolation.is_ok());
    let before = interfaces();
    let report = examine(&isolation, &["/proc/self/exe".into(), "sandbox".into()]);
    for name in ["sandbox", "bridge", "veth"] {
        assert!(
            named(&report, name)
                .detail
                .contains("isn't in the isolated network namespace")
        );
    }
    assert_eq!(interfaces(), before);
}

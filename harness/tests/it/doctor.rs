//! `duress doctor` on the machine that the other tests run on, where everything works.

use serde_json::Value;

use crate::host::duress;

#[test]
fn every_kind_of_fault_is_told_with_what_it_needs() {
    let output = duress(["doctor".as_ref(), "--json".as_ref()] as [&std::ffi::OsStr; 2]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let report: Vec<Value> = serde_json::from_str(&said).expect(&said);
    let faults = duress(["faults".as_ref(), "--json".as_ref()] as [&std::ffi::OsStr; 2]);
    let faults: Vec<Value> = serde_json::from_slice(&faults.stdout).expect("JSON");
    assert!(!faults.is_empty());
    let named = |name: &str| {
        let entry = report.iter().find(|entry| entry["name"] == name);
        entry.unwrap_or_else(|| panic!("no {name} in {said}"))
    };
    for fault in faults {
        let name = format!("fault {}", fault["kind"].as_str().expect("a name"));
        assert_eq!(named(&name)["ok"], true, "{said}");
        assert_eq!(fault["here"]["ok"], true, "{fault}");
        assert_eq!(fault["here"]["detail"], named(&name)["detail"]);
    }
    for name in ["namespaces", "sandbox", "iptables", "ip6tables"] {
        assert_eq!(named(name)["ok"], true, "{said}");
    }
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn one_kind_can_be_asked_for() {
    let output = duress(["faults".as_ref(), "disk-slow".as_ref()] as [&std::ffi::OsStr; 2]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.starts_with("disk-slow: ") && said.contains("✓ on this machine: works with"),
        "{said}"
    );
    assert!(!said.contains("partition:"), "{said}");
    let output = duress(["faults".as_ref(), "disk-slwo".as_ref()] as [&std::ffi::OsStr; 2]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("`disk-slow`"), "{said}");
}

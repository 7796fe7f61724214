//! `docs/verdict.schema.json`: generated from the types, and true of what is written.

use std::fs;
use std::path::Path;

use duress_results::verdict_file::schema;
use serde_json::{Value, json};

use crate::sample;

#[test]
fn the_schema_in_the_docs_is_that_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/verdict.schema.json");
    if std::env::var_os("DURESS_WRITE_DOCS").is_some() {
        fs::write(&path, schema()).unwrap();
    }
    let shipped = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        shipped,
        schema(),
        "docs/verdict.schema.json is not what the types say; DURESS_WRITE_DOCS=1 cargo test -p duress-results schema writes it"
    );
}

#[test]
fn every_verdict_fits_the_schema_and_others_do_not() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let samples = [
        sample::violated(),
        sample::held(),
        sample::inconclusive(),
        sample::failure(),
        sample::hostile(),
    ];
    let broken = sample::broken::all().into_iter().map(|(_, verdict, _)| verdict);
    for verdict in samples.into_iter().chain(broken) {
        let value = serde_json::to_value(&verdict).unwrap();
        if let Err(error) = validator.validate(&value) {
            panic!("{}: {error}", verdict.name);
        }
    }
    let mut other = serde_json::to_value(sample::held()).unwrap();
    other["overall"] = json!("fine");
    assert!(validator.validate(&other).is_err());
}

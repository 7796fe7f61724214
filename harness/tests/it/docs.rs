//! The listings of the docs are what stands in the files that they name. Those without a file are doc tests of the crate.

use std::fs;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Path and text of each listing that is introduced by `<!-- path -->`.
fn listings(page: &str) -> Vec<(String, String)> {
    let parts = page.split("<!-- ").skip(1);
    parts
        .filter_map(|part| {
            let (path, rest) = part.split_once(" -->\n```")?;
            let (_, body) = rest.split_once('\n')?;
            let (body, _) = body.split_once("\n```")?;
            Some((path.to_owned(), body.to_owned()))
        })
        .collect()
}

#[test]
fn listings_are_parts_of_the_files_that_they_name() {
    let mut seen = 0;
    for page in ["docs/extending.md"] {
        let text = fs::read_to_string(Path::new(ROOT).join(page)).expect(page);
        for (path, listing) in listings(&text) {
            let file = fs::read_to_string(Path::new(ROOT).join(&path)).expect(&path);
            assert!(
                file.contains(&listing),
                "{page}: this is not in {path} any more:\n{listing}"
            );
            seen += 1;
        }
    }
    assert!(seen >= 6, "only {seen} listings");
}

#[test]
fn the_ways_through_the_code_exist() {
    let text = fs::read_to_string(Path::new(ROOT).join("docs/architecture.md")).expect("the page");
    let (_, ways) = text
        .split_once("## Two ways through the code")
        .expect("the section");
    let ways = ways.split("\n## ").next().unwrap_or_default();
    for way in ways.split("\n### ").skip(1) {
        let steps: Vec<&str> = way
            .lines()
            .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()))
            .collect();
        assert!((3..=8).contains(&steps.len()), "{} files:\n{way}", steps.len());
        for step in steps {
            // `1. [path](../path): what is there, `item`.`
            let path = step
                .split("](../")
                .nth(1)
                .and_then(|rest| rest.split(')').next())
                .expect(step);
            let file = fs::read_to_string(Path::new(ROOT).join(path)).expect(path);
            let (_, said) = step.split_once("): ").expect(step);
            for item in said.split('`').skip(1).step_by(2) {
                assert!(file.contains(item), "{path} has no {item:?}");
            }
        }
    }
}

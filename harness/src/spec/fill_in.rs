//! Lines that `duress init` guessed and nobody has confirmed yet. They carry a mark, and a run is refused as long as there is
//! one: a wrong guess could make a sound system look broken.
//!
//! ```toml
//! path = "/kv/{key}"    # fill in: the request that reads a key
//! ```

use std::path::Path;

use super::complaint::Place;
use super::read::{Source, SpecError};

/// The mark. What is to be filled in stands behind it.
pub const FILL_IN: &str = "# fill in:";

/// Refuses a spec if it, or the definition of its system in `folder`, has marked lines. Each is shown with its place.
pub(super) fn check(spec: &Source, folder: Option<&Path>) -> Result<(), SpecError> {
    let definition = folder.map(Source::of_system).transpose()?;
    let sources = definition.iter().chain([spec]);
    let places: Vec<String> = sources.flat_map(places).collect();
    if places.is_empty() {
        return Ok(());
    }
    Err(SpecError::FillIn {
        path: spec.path().to_owned(),
        count: places.len(),
        places: places.join("\n"),
    })
}

/// What each mark of a file says, with its place.
fn places(source: &Source) -> Vec<String> {
    let text = source.text();
    let mut start = 0;
    let mut found = Vec::new();
    for line in text.split_inclusive('\n') {
        // A comment of its own tells about marks, and is none.
        if let Some((value, what)) = line.split_once(FILL_IN)
            && !value.trim_start().starts_with('#')
            && !value.trim().is_empty()
        {
            let from = start + value.len() - value.trim_start().len();
            let span = from..start + value.trim_end().len();
            let place = Place::of(span, text);
            found.push(format!(
                "{}: {place}fill in: {}",
                source.path().display(),
                what.trim()
            ));
        }
        start += line.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str) -> Result<(), String> {
        let source = Source::new("s.toml".into(), text.to_owned());
        check(&source, None).map_err(|error| error.to_string())
    }

    #[test]
    fn every_mark_is_shown_with_its_place() {
        let said = check_text("a = 1\nb = [\n    { c = 2 },   # fill in: what c is\n]\nd = 3 # fill in:\n")
            .unwrap_err();
        let shown = "s.toml: line 3, column 5\n  |\n3 |     { c = 2 },   # fill in: what c is\n  |     ^^^^^^^^^^\nfill in: what c is\n";
        assert!(said.contains(shown), "{said}");
        assert!(
            said.contains("s.toml: line 5, column 1") && said.contains("2 lines"),
            "{said}"
        );
        assert_eq!(
            check_text("# a line with \"# fill in:\" is a guess\n  # x # fill in: y\n# fill in: z\na = 1"),
            Ok(())
        );
        assert_eq!(check_text(""), Ok(()));
    }
}

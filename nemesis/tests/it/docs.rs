//! `docs/faults.md` is what the table of kinds says.

use std::fmt::Write as _;
use std::path::Path;

const HEAD: &str = "# Faults\n\nEvery kind of fault, generated from the code: `duress faults` prints the same, and `duress doctor` \
says which of them this machine can do. [specs.md](specs.md) says how a spec asks for them, and [extending.md](extending.md) how a kind \
is added.\n\nA step counts only if it was seen to work, and what could not be seen is said: a run with a fault that was not proven is \
inconclusive, unless its spec says otherwise.\n\nPages of their own have [packets](packets.md) and why netem is not used, [clocks](clocks.md), and [power \
failure](power-failure.md).\n";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for entry in duress_nemesis::catalogue() {
        let about = entry.about;
        let _ = write!(page, "\n## {}\n\nIt {}.\n\n", entry.kind, about.description);
        page += "| parameter | values |\n|---|---|\n";
        for parameter in &about.parameters {
            let _ = writeln!(page, "| `{}` | {} |", parameter.name, parameter.values);
        }
        let _ = write!(page, "\nVerified by: {}.\n", about.verified_by);
    }
    page
}

#[test]
fn the_page_of_faults_is_what_the_kinds_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/faults.md");
    let page = page();
    if std::env::var_os("DURESS_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("docs/faults.md");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/faults.md is not what the kinds say; DURESS_WRITE_DOCS=1 cargo nextest run --workspace -E 'test(the_page_of_faults)' \
         writes it"
    );
}

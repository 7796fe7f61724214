//! Writes sample runs with their reports, to look at: `cargo run -p duress-results --example sample_report FOLDER`.

#[path = "../tests/it/sample/mod.rs"]
mod sample;

use std::error::Error;
use std::path::Path;

use duress_results::{RunData, RunDir, junit, report};

fn main() -> Result<(), Box<dyn Error>> {
    let root = std::env::args().nth(1).ok_or("which folder?")?;
    let root = Path::new(&root);
    let run = sample::write(root);
    for (name, verdict) in [
        ("violated", sample::violated()),
        ("held", sample::held()),
        ("inconclusive", sample::inconclusive()),
        ("hostile", sample::hostile()),
    ] {
        run.write_verdict(&verdict)?;
        report::write(&RunData::load(&run)?, &run)?;
        run.write_junit(&junit::render(&verdict))?;
        std::fs::copy(run.report(), root.join(format!("{name}.html")))?;
    }
    for (name, verdict, events) in sample::broken::all() {
        let run = sample::broken::write(root, &verdict, &events);
        report::write(&RunData::load(&run)?, &run)?;
        std::fs::copy(run.report(), root.join(format!("{name}.html")))?;
    }
    let empty = RunDir::create(root, "empty", sample::STARTED, 7)?;
    empty.write_verdict(&sample::failure())?;
    report::write(&RunData::load(&empty)?, &empty)?;
    std::fs::copy(empty.report(), root.join("failure.html"))?;
    Ok(())
}

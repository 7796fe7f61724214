//! One run in this process: everything that is made for it, from namespaces and signals to the history and its writer.

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use duress_checker::history::RunNote;
use duress_cluster::Key;
use duress_results::rundir::RunDir;
use duress_workloads::clients::behaviour;

use super::deploy::Environment;
use super::drive::Run;
use super::plan::Plan;
use crate::interrupt::{Interrupt, Interrupted};
use crate::key;
use crate::progress::Progress;
use crate::recorder::{Recorder, Writer};
use crate::watchdog::{News, Watchdog};
use crate::{client_hosts, exit};

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unprepared(String);

/// A run that is over, and not judged yet.
pub struct Finished {
    /// Where it was recorded.
    pub dir: RunDir,
    /// Asks to stop when a signal has come, or comes while the run is judged.
    pub interrupt: Interrupt,
}

/// Does what is planned and records it below `<root>/runs`. An error means that nothing was deployed; whatever goes wrong
/// later is in the history. Must be called before this process has any other threads: namespaces are entered by threads
/// one by one.
pub fn run(plan: Plan, root: &Path, quiet: bool) -> Result<Finished, Box<dyn Error>> {
    // In a user namespace this process is root, and isn't: so the key comes first.
    let kept = key::of_this_user();
    // Where it can't be raised the old limit stands, and a run that hits it says so.
    let _ = duress_cluster::raise_open_files();
    let environment = Environment::prepare(&plan.spec.cluster)?;
    environment
        .refuse(&plan.kinds(), &plan.system)
        .map_err(Unprepared)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // From here on signals end the run in order; before, there is nothing to put in order.
    let interrupt = Interrupt::listen(Interrupted::Run)?;

    let started = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let Prepared {
        dir,
        log,
        recorder,
        writer,
    } = prepare(&plan, root, &started)?;
    interrupt.run_is_in(dir.path());
    let progress = Progress::new(recorder.clone(), log, quiet);
    let watchdog = Watchdog::start(report_to(progress.clone(), dir.path().to_owned()))?;
    let watched_writer = watchdog.watch_pulse("the writer of the history", recorder.writer_pulse());
    {
        let controller = watchdog.watch("the controller");
        progress.say(&format!(
            "{} seed {}, {} faults planned",
            plan.spec.name,
            plan.seed,
            plan.schedule.faults.len()
        ));
        let key = kept.unwrap_or_else(|error| {
            progress.say(&format!(
                "`duress heal` will not be able to clean up after this run, should it be killed: {error}"
            ));
            Key::of_this_process()
        });
        runtime.block_on(async {
            let shown = tokio::spawn(progress.clone().follow());
            let run = Run {
                plan: &plan,
                environment,
                key,
                dir: &dir,
                recorder: recorder.clone(),
                progress: progress.clone(),
                interrupt: interrupt.clone(),
                watchdog: watchdog.clone(),
            };
            tokio::select! {
                () = run.drive() => {}
                // In the same task: it beats as long as that is not held up.
                never = controller.pulse.beat_for_ever() => match never {},
            }
            shown.abort();
            progress.clear();
        });
    }
    if let Err(error) = writer.finish(&recorder) {
        progress.say(&format!("harness failure: {error}"));
    }
    if plan.spec.cluster.has_client_hosts()
        && let Err(error) = client_hosts::merge_history(&dir.history())
    {
        // What was recorded stands: it orders less, and nothing that is not so.
        progress.say(&format!("merge the clocks of client hosts: {error}"));
    }
    // What checks is not watched: it has a budget of its own.
    drop((watched_writer, watchdog));
    progress.say("checking");
    // Nothing of the run is left that would have to be waited for.
    runtime.shutdown_background();
    Ok(Finished { dir, interrupt })
}

/// What is done about a part of the controller that stands still.
fn report_to(progress: Arc<Progress>, dir: PathBuf) -> impl FnMut(&'static str, News) + Send {
    move |name, news| {
        let phase = progress.phase_now();
        match news {
            News::Still(time) => progress.alarm(&format!(
                "{name} of this run has stood still for {} s (phase {phase}); a second Ctrl-C ends it",
                time.as_secs()
            )),
            News::Again(time) => progress.alarm(&format!("{name} goes on, after {} s", time.as_secs())),
            News::Dead(time) => {
                progress.alarm(&format!(
                    "{name} of this run has stood still for {} s (phase {phase}), so the run ends here. Containers and faults \
                     may be left: `duress heal {1}` removes them, and `duress report {1}` judges what was recorded",
                    time.as_secs(),
                    dir.display(),
                ));
                std::process::exit(i32::from(exit::HARNESS_FAILURE));
            }
        }
    }
}

/// Where a run is recorded.
struct Prepared {
    dir: RunDir,
    log: File,
    recorder: Arc<Recorder>,
    writer: Writer,
}

fn prepare(plan: &Plan, root: &Path, started: &str) -> Result<Prepared, Box<dyn Error>> {
    let spec = &plan.spec;
    let dir = RunDir::create(root, &spec.name, started, plan.seed)?;
    for node in spec.cluster.node_names() {
        dir.create_node(&node)?;
    }
    dir.write_spec(&toml::to_string(spec).map_err(|error| Unprepared(error.to_string()))?)?;
    dir.write_schedule(&plan.schedule)?;
    let run = RunNote {
        name: spec.name.clone(),
        seed: Some(plan.seed),
        started: started.to_owned(),
        clients: behaviour::sentences(&plan.client, Some(&spec.client.policy())),
        ..RunNote::default()
    };
    let (recorder, writer) = Recorder::create(&dir.history(), run)?;
    let log = File::create_new(dir.log())
        .map_err(|error| Unprepared(format!("create {}: {error}", dir.log().display())))?;
    Ok(Prepared {
        dir,
        log,
        recorder,
        writer,
    })
}

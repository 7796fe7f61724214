//! `duress run`: deploy, break, check, report.

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use duress_cluster::compose::{self, FileProblem};
use duress_cluster::{Key, System};
use duress_nemesis::{Schedule, plan};
use duress_results::rundir::RunDir;

use crate::cli::RunArgs;
use crate::commands::{fail, report};
use crate::deploy::Ground;
use crate::exit;
use crate::interrupt::Interrupt;
use crate::key;
use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::run::Run;
use crate::spec::{ClusterSpec, KeyPath, Source, Spec, SpecError, about_faults};
use crate::watchdog::{News, Watchdog};

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Trouble(String);

/// Does all of it.
pub fn main(args: &RunArgs) -> ExitCode {
    let Resolved {
        spec,
        seed,
        system,
        schedule,
    } = match resolve(args) {
        Ok(resolved) => resolved,
        Err(error) => return fail(&error, exit::USAGE),
    };

    let kept = key::of_this_user();

    // Where it can't be raised the old limit stands, and a run that hits it says so.
    let _ = duress_cluster::raise_open_files();
    // Namespaces are entered by threads one by one: this must come before there are any others.
    let ground = match Ground::prepare(&spec.cluster) {
        Ok(ground) => ground,
        Err(error) => return fail(&error, exit::HARNESS_FAILURE),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, exit::HARNESS_FAILURE),
    };

    // From here on signals end the run in order; before, there is nothing to put in order.
    let interrupt = match Interrupt::listen() {
        Ok(interrupt) => interrupt,
        Err(error) => return fail(&error, exit::HARNESS_FAILURE),
    };

    let started = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let (dir, log, recorder, writer) = match prepare(args, &spec, seed, &started, &schedule) {
        Ok(prepared) => prepared,
        Err(error) => return fail(&*error, exit::HARNESS_FAILURE),
    };
    interrupt.run_is_in(dir.path());
    let progress = Progress::new(recorder.clone(), log, args.quiet);
    let watchdog = match Watchdog::start(report_to(progress.clone(), dir.path().to_owned())) {
        Ok(watchdog) => watchdog,
        Err(error) => return fail(&error, exit::HARNESS_FAILURE),
    };
    let _writer = watchdog.watch_pulse("the writer of the history", recorder.writer_pulse());
    {
        let controller = watchdog.watch("the controller");
        progress.say(&format!(
            "{} seed {seed}, {} faults planned",
            spec.name,
            schedule.faults.len()
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
                spec: &spec,
                seed,
                schedule,
                system,
                ground,
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
    // What checks is not watched: it has a budget of its own.
    drop((_writer, watchdog));
    progress.say("checking");
    let code = report::judge_and_print(&dir, args.json, Some(&interrupt));
    // Nothing of the run is left that would have to be waited for.
    runtime.shutdown_background();
    code
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

/// What a run does, all of it decided.
struct Resolved {
    spec: Spec,
    seed: u64,
    system: System,
    schedule: Schedule,
}

/// The spec with everything that the command line says and everything that is drawn.
fn resolve(args: &RunArgs) -> Result<Resolved, SpecError> {
    let source = Source::read(&args.spec)?;
    let (mut spec, system) = source.resolve()?;
    let seed = args.seed.or(spec.seed).unwrap_or_else(rand::random);
    spec.seed = Some(seed);
    if let Some(time) = args.time {
        spec.time.faults = time;
    }
    if let ClusterSpec::Compose(compose) = &spec.cluster {
        let key = |key: &str| KeyPath::of(["cluster", "compose", key]);
        compose::look(&compose.file, &compose.nodes).map_err(|problem| {
            let key = match problem {
                FileProblem::File { .. } => key("file"),
                FileProblem::Node { index, .. } => key("nodes").entry(index),
            };
            source.invalid(key.complain(problem.to_string()))
        })?;
    }
    let schedule = plan(&spec.faults, &spec.cluster.node_names(), seed, spec.time.faults.0)
        .map_err(|error| source.invalid(about_faults(&error)))?;
    Ok(Resolved {
        spec,
        seed,
        system,
        schedule,
    })
}

type Prepared = (RunDir, File, Arc<Recorder>, crate::recorder::Writer);

fn prepare(
    args: &RunArgs,
    spec: &Spec,
    seed: u64,
    started: &str,
    schedule: &Schedule,
) -> Result<Prepared, Box<dyn std::error::Error>> {
    let dir = RunDir::create(&args.out, &spec.name, started, seed)?;
    for node in spec.cluster.node_names() {
        dir.create_node(&node)?;
    }
    dir.write_spec(&toml::to_string(spec).map_err(|error| Trouble(error.to_string()))?)?;
    dir.write_schedule(schedule)?;
    let (recorder, writer) = Recorder::create(&dir.history(), &spec.name, seed, started)?;
    let log = File::create_new(dir.log())
        .map_err(|error| Trouble(format!("create {}: {error}", dir.log().display())))?;
    Ok((dir, log, recorder, writer))
}

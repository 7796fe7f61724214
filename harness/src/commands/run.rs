//! `duress run`: deploy, break, check, report.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use duress_cluster::System;
use duress_nemesis::{Schedule, plan};
use duress_results::rundir::RunDir;
use tokio::sync::watch;

use crate::cli::RunArgs;
use crate::commands::{fail, report};
use crate::deploy::Ground;
use crate::exit;
use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::run::Run;
use crate::spec::{Complaint, Source, Spec, SpecError, about_faults};

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

    // Namespaces are entered by threads one by one: this must come before there are any others.
    let ground = match Ground::prepare(&spec.cluster) {
        Ok(ground) => ground,
        Err(error) => return fail(&error, exit::HARNESS_FAILURE),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, exit::HARNESS_FAILURE),
    };

    let started = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let (dir, log, recorder, writer) = match prepare(args, &spec, seed, &started, &schedule) {
        Ok(prepared) => prepared,
        Err(error) => return fail(&*error, exit::HARNESS_FAILURE),
    };
    let progress = Progress::new(recorder.clone(), log, args.quiet);
    progress.say(&format!(
        "{} seed {seed}, {} faults planned",
        spec.name,
        schedule.faults.len()
    ));
    let checking = Arc::new(AtomicBool::new(false));
    runtime.block_on(async {
        let (interrupted, interrupt) = watch::channel(false);
        tokio::spawn(await_interrupts(
            interrupted,
            checking.clone(),
            dir.path().to_owned(),
        ));
        let shown = tokio::spawn(progress.clone().follow());
        let run = Run {
            spec: &spec,
            seed,
            schedule,
            system,
            ground,
            dir: &dir,
            recorder: recorder.clone(),
            progress: progress.clone(),
            interrupt,
        };
        run.drive().await;
        shown.abort();
        progress.clear();
    });
    checking.store(true, Ordering::Relaxed);
    if let Err(error) = writer.finish(&recorder) {
        progress.say(&format!("harness failure: {error}"));
    }
    progress.say("checking");
    let code = report::judge_and_print(&dir, args.json);
    // Until here it was needed to notice Ctrl-C.
    runtime.shutdown_background();
    code
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
    let mut spec = source.parse()?;
    let seed = args.seed.or(spec.seed).unwrap_or_else(rand::random);
    spec.seed = Some(seed);
    if let Some(time) = args.time {
        spec.time.faults = time;
    }
    let system = System::named(spec.cluster.system()).map_err(|error| {
        source.invalid(Complaint::at(
            ["cluster", spec.cluster.name(), "system"],
            error.to_string(),
        ))
    })?;
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
    let log = File::create(dir.log())
        .map_err(|error| Trouble(format!("create {}: {error}", dir.log().display())))?;
    Ok((dir, log, recorder, writer))
}

/// The first Ctrl-C (or SIGTERM) ends the run in order. The second, or one while the history is being checked, ends
/// everything at once: sandboxes die with their controller, and the agent heals when its input ends.
async fn await_interrupts(interrupted: watch::Sender<bool>, checking: Arc<AtomicBool>, dir: PathBuf) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        if checking.load(Ordering::Relaxed) || interrupted.send_replace(true) {
            let _ = writeln!(
                std::io::stderr(),
                "\nduress: quit without a verdict; `duress report {}` judges what was recorded",
                dir.display()
            );
            std::process::exit(i32::from(exit::HARNESS_FAILURE));
        }
    }
}

//! A program in a container of the user's, started by the engine's exec interface.
//!
//! That interface can't end what it started. So a shell stands beside the program, as leader of its process group, and hands
//! it its input; when that ends, it kills the group:
//!
//! ```text
//! sh -c '{ cat; kill -9 -$$; } | { "$@"; …; }' sh python3 client.py
//! ```
//!
//! The engine closes the input when the connection goes away, and that goes away with the controller. So nothing goes on
//! asking that nobody listens to, whatever becomes of Duress. The image needs `sh` and `cat`.

use std::collections::BTreeMap;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

use super::engine::{Engine, engine_error};
use crate::{ClusterError, Connection, PROGRAM_ENDED, ServiceProgram};

/// Bytes on their way to or from a program; more wait in the engine.
const PIPE_BYTES_MAX: usize = 64 * 1024;

/// Hands its input to the program and kills the group when either has ended. The group is that of the shell: engines start
/// what they execute in a session of its own.
fn script() -> String {
    format!("{{ cat; kill -9 -$$; }} | {{ \"$@\"; echo \"{PROGRAM_ENDED}$?\" >&2; kill -9 -$$; }}")
}

/// Starts `argv` in this container.
pub(super) async fn start(
    engine: &Engine,
    container: &str,
    service: &str,
    argv: &[String],
    env: &BTreeMap<String, String>,
) -> Result<ServiceProgram, ClusterError> {
    let failed = |error| engine_error(format!("start {argv:?} in the service {service}"), error);
    let shell = ["sh".to_owned(), "-c".to_owned(), script(), "sh".to_owned()];
    let options = CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(shell.into_iter().chain(argv.iter().cloned()).collect()),
        env: Some(
            env.iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        ),
        ..CreateExecOptions::default()
    };
    let docker = engine.docker();
    let created = docker.create_exec(container, options).await.map_err(failed)?;
    let started = docker
        .start_exec(&created.id, None::<StartExecOptions>)
        .await
        .map_err(failed)?;
    let StartExecResults::Attached {
        output: mut from_program,
        input: mut to_program,
    } = started
    else {
        return Err(ClusterError::Unsupported {
            what: format!("start {argv:?} in the service {service}"),
            why: "the engine does not attach to what it executes".to_owned(),
        });
    };
    let (input, mut from_us) = tokio::io::duplex(PIPE_BYTES_MAX);
    let (mut to_output, output) = tokio::io::duplex(PIPE_BYTES_MAX);
    let (mut to_errors, errors) = tokio::io::duplex(PIPE_BYTES_MAX);
    let writes = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_us, &mut to_program).await;
        let _ = to_program.shutdown().await;
    });
    let reads = tokio::spawn(async move {
        while let Some(Ok(chunk)) = from_program.next().await {
            let written = match chunk {
                LogOutput::StdOut { message } => to_output.write_all(&message).await,
                other => to_errors.write_all(other.as_ref()).await,
            };
            if written.is_err() {
                return;
            }
        }
    });
    let connection = Connection([writes.abort_handle(), reads.abort_handle()]);
    Ok(ServiceProgram {
        input,
        output,
        errors,
        connection,
    })
}

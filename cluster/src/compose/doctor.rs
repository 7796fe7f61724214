//! Finds out what a container engine can do for a cluster, by doing what harms nobody there.

use std::path::Path;

use tokio::io::AsyncReadExt as _;

use super::engine::address::EngineAddress;
use super::engine::{About, Engine};
use super::helper;
use super::mark::Mark;
use super::tool::Tool;
use crate::doctor::{Capability, Found};
use crate::{ClusterError, Key};

/// What the program says of itself there, at most.
const SAID_BYTES_MAX: u64 = 4096;

/// Looks at an engine. What does not depend on its being reached is told in any case.
pub async fn examine(address: &EngineAddress, key: &Key) -> Vec<Capability> {
    let tool = Tool::find().await;
    let tool = tool.map(|tool| tool.to_string());
    let compose = Capability::new(
        "compose tool",
        tool.map_err(|error| error.to_string()),
        "install it on this machine; the engine's needs none",
    );
    let engine = match Engine::connect(address).await {
        Ok(engine) => engine,
        Err(error) => {
            let why = Err(error.to_string());
            return vec![
                Capability::new("engine", why, "see to that, or name another engine"),
                compose,
            ];
        }
    };
    let about = match engine.about().await {
        Ok(about) => about,
        Err(error) => {
            let why = Err(error.to_string());
            return vec![
                Capability::new("engine", why, "see its log: journalctl -u docker"),
                compose,
            ];
        }
    };
    vec![
        Capability::new("engine", Ok(about.to_string()), ""),
        Capability::new(
            "processor",
            processor(&about),
            "use a build of duress for that processor",
        ),
        compose,
        Capability::new(
            "agent",
            agent(&engine, key).await,
            "see that the engine takes images, and starts containers with capabilities by name (SYS_ADMIN, NET_ADMIN, SYS_PTRACE, …)",
        ),
        Capability::new("swarm", Ok(swarm(&about)), ""),
    ]
}

/// The agent is this program.
fn processor(about: &About) -> Found {
    let here = std::env::consts::ARCH;
    match about.architecture == here && about.system == "linux" {
        true => Ok(about.architecture.clone()),
        false => Err(format!(
            "it has {} {}, and this program is for linux {here}",
            about.system, about.architecture
        )),
    }
}

fn swarm(about: &About) -> String {
    match about.manages {
        true => "a manager of a Swarm: stacks can be deployed".to_owned(),
        false => "no manager of a Swarm: only `stack = true` needs one (docker swarm init)".to_owned(),
    }
}

/// Starts this program where the agent would be, with all that it may there, and lets it say its version.
async fn agent(engine: &Engine, key: &Key) -> Found {
    let mark = Mark::new(key, &format!("doctor-{}", std::process::id()), Path::new("/"));
    let began = std::time::Instant::now();
    let version = async {
        let mut started = helper::start(engine, &mark, &["--version"]).await?;
        let mut said = String::new();
        let mut output = (&mut started.output).take(SAID_BYTES_MAX);
        let _ = output.read_to_string(&mut said).await;
        let how = started.ended.await.map_err(|error| error.to_string());
        match how.and_then(|how| how) {
            Ok(0) => Ok(said),
            Ok(status) => Err(failed(format!("it ended with exit status {status}"))),
            Err(why) => Err(failed(why)),
        }
    };
    let said = version.await.map_err(|error| error.to_string())?;
    Ok(format!(
        "{} started in a container beside the nodes within {:.1} s",
        said.trim(),
        began.elapsed().as_secs_f64()
    ))
}

fn failed(why: String) -> ClusterError {
    ClusterError::Unsupported {
        what: "start the agent's container".to_owned(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_processor_is_told() {
        let about = |architecture: &str, system: &str| About {
            architecture: architecture.to_owned(),
            system: system.to_owned(),
            ..About::default()
        };
        assert!(processor(&about(std::env::consts::ARCH, "linux")).is_ok());
        for (architecture, system) in [("s390x", "linux"), (std::env::consts::ARCH, "windows")] {
            let why = processor(&about(architecture, system)).expect_err("another");
            assert!(why.contains(architecture) && why.contains(system), "{why}");
        }
    }
}

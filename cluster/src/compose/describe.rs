//! What a compose file says of its services, before anybody has decided which of them are nodes.
//!
//! The file is read as Compose resolves it, with all its profiles: `extends`, env files and variables have their effect. Where
//! an engine answers and has the images, what they say is added: ports, volumes, a health check.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::engine::Engine;
use super::engine::address::{DEFAULT_SOCKET, EngineAddress};
use super::file;
use super::plan::CONFIG_TIME_MAX;
use super::resolved::Resolved;
use super::tool::{Project, Tool};
use crate::ClusterError;

/// The variable by which Compose is told which profiles are active.
pub const PROFILES_VARIABLE: &str = "COMPOSE_PROFILES";

/// What there is to know of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// As the file calls it; of several replicas with a number: `kv-2`.
    pub name: String,
    /// What its containers are made of: `image postgres:16`, `build /home/u/db`. Members of one system are made of the same.
    pub made_of: String,
    /// Ports inside the container that it takes TCP connections at, as file and image say: published, exposed.
    pub ports: Vec<u16>,
    /// Folders inside the container that outlive it or are meant to: named volumes, anonymous ones, those of the image.
    pub volumes: Vec<String>,
    /// The health check of the file, or else of the image: `["CMD-SHELL", "curl -f http://localhost/"]`.
    pub health: Vec<String>,
    /// The words that start it.
    pub command: Vec<String>,
    /// Its variables.
    pub environment: BTreeMap<String, String>,
    /// The networks that it is on, as the file calls them.
    pub networks: BTreeSet<String>,
    /// The profiles that it is behind. Empty: it always comes up.
    pub profiles: Vec<String>,
    /// Why it can't be a node, if it can't.
    pub refused: Option<String>,
}

/// What there is to know of a compose file.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// In the order of their names.
    pub services: Vec<Service>,
    /// Why no engine was asked for images, if none was.
    pub engine_silent: Option<String>,
}

/// Reads a compose file as the Compose tool resolves it, and what the engine at this address knows of its images. Without an
/// engine it is told less. An error says what is wrong with the file, or that there is no Compose tool.
pub async fn describe(compose_file: &Path, engine: &EngineAddress) -> Result<Description, ClusterError> {
    let refuse = |why: String| ClusterError::Invalid {
        what: format!("read the compose file {}", compose_file.display()),
        why,
    };
    let profiles = file::profiles(compose_file).map_err(refuse)?;
    let project = Project {
        name: "duress-init".to_owned(),
        file: compose_file.to_owned(),
        additions: None,
        variables: match profiles.is_empty() {
            true => BTreeMap::new(),
            false => BTreeMap::from([(PROFILES_VARIABLE.to_owned(), join(&profiles))]),
        },
        // No engine is asked what a file means.
        socket: DEFAULT_SOCKET.into(),
    };
    let tool = Tool::find().await?;
    let yaml = tool.run(&project, &["config"], CONFIG_TIME_MAX).await?;
    let resolved = Resolved::parse(&yaml).map_err(refuse)?;
    resolved.check_names()?;
    let members = resolved.known();
    let mut services: Vec<Service> = members.iter().map(|name| service(&resolved, name)).collect();
    let looked = look_at_images(&mut services, &resolved, engine).await;
    Ok(Description {
        services,
        engine_silent: looked.err().map(|error| error.to_string()),
    })
}

async fn look_at_images(
    services: &mut [Service],
    resolved: &Resolved,
    engine: &EngineAddress,
) -> Result<(), ClusterError> {
    let engine = Engine::connect(engine).await?;
    for (name, image) in resolved.images() {
        let Some(config) = engine.image_config(image).await? else {
            continue;
        };
        let is_it = |member: &Service| {
            let member = resolved.member(&member.name);
            member.is_some_and(|member| member.service == name)
        };
        for service in services.iter_mut().filter(|service| is_it(service)) {
            add_image(service, config.clone());
        }
    }
    Ok(())
}

fn join(names: &BTreeSet<String>) -> String {
    names.iter().cloned().collect::<Vec<_>>().join(",")
}

fn service(resolved: &Resolved, name: &str) -> Service {
    let written = resolved.service(name);
    let build = &written["build"];
    let made_of = match (build, written["image"].as_str()) {
        (Value::Null, image) => format!("image {}", image.unwrap_or_default()),
        (Value::String(context), _) => format!("build {context}"),
        (build, _) => format!("build {}", build["context"].as_str().unwrap_or_default()),
    };
    let mut ports: Vec<u16> = list(&written["ports"])
        .chain(list(&written["expose"]))
        .filter_map(port)
        .collect();
    in_order(&mut ports);
    let mut volumes: Vec<(bool, String)> = list(&written["volumes"]).filter_map(volume).collect();
    // Named ones first.
    volumes.sort_by_key(|(named, _)| !named);
    Service {
        name: name.to_owned(),
        made_of,
        ports,
        volumes: volumes.into_iter().map(|(_, folder)| folder).collect(),
        health: match &written["healthcheck"]["test"] {
            Value::String(shell) => vec!["CMD-SHELL".to_owned(), unescaped(shell)],
            test => list(test).filter_map(word).collect(),
        },
        command: match &written["command"] {
            Value::String(line) => unescaped(line).split_whitespace().map(str::to_owned).collect(),
            words => list(words).filter_map(word).collect(),
        },
        environment: environment(&written["environment"]),
        networks: resolved
            .networks_of(name)
            .into_keys()
            .map(str::to_owned)
            .collect(),
        profiles: list(&written["profiles"]).filter_map(word).collect(),
        refused: resolved.check_node(name).err().map(|error| error.to_string()),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn word(value: &Value) -> Option<String> {
    value.as_str().map(unescaped)
}

/// `config` writes each `$` twice, so that what it prints can be read as a compose file again.
fn unescaped(text: &str) -> String {
    text.replace("$$", "$")
}

fn environment(value: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::String(text) => unescaped(text),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        other => list(other)
            .filter_map(|entry| entry.as_str()?.split_once('='))
            .map(|(name, value)| (name.to_owned(), unescaped(value)))
            .collect(),
    }
}

/// The port inside the container, of TCP only: `8080:80`, `127.0.0.1::80/tcp`, `{target: 80}`, `"80"`. Ranges are left out.
fn port(written: &Value) -> Option<u16> {
    let (target, protocol) = match written {
        Value::Object(entry) => (
            entry.get("target")?.to_string(),
            entry.get("protocol").and_then(Value::as_str).unwrap_or("tcp"),
        ),
        Value::String(text) => {
            let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
            (ports.rsplit(':').next()?.to_owned(), protocol)
        }
        number => (number.to_string(), "tcp"),
    };
    (protocol == "tcp")
        .then(|| target.trim_matches('"').parse().ok())
        .flatten()
}

/// Where a volume of the engine is mounted, and whether it has a name. Folders and files of the host are none.
fn volume(written: &Value) -> Option<(bool, String)> {
    match written {
        Value::String(text) => match text.split(':').collect::<Vec<_>>().as_slice() {
            [folder] => Some((false, (*folder).to_owned())),
            [name, ..] if name.starts_with(['/', '.', '~']) => None,
            [_, folder, rest @ ..] => (rest != ["ro"]).then(|| (true, (*folder).to_owned())),
            [] => None,
        },
        entry => {
            let is_volume = entry["type"] == "volume" && entry["read_only"] != true;
            let folder = is_volume.then(|| entry["target"].as_str()).flatten()?;
            Some((entry["source"].is_string(), folder.to_owned()))
        }
    }
}

/// What an image says, behind what the file says.
fn add_image(service: &mut Service, image: bollard::models::ImageConfig) {
    let exposed = image.exposed_ports.unwrap_or_default();
    service.ports.extend(
        exposed
            .iter()
            .filter_map(|text| port(&Value::from(text.as_str()))),
    );
    in_order(&mut service.ports);
    for folder in image.volumes.unwrap_or_default() {
        if !service.volumes.contains(&folder) {
            service.volumes.push(folder);
        }
    }
    if service.health.is_empty() {
        service.health = image.healthcheck.and_then(|check| check.test).unwrap_or_default();
    }
    if service.command.is_empty() {
        service.command = [image.entrypoint, image.cmd]
            .into_iter()
            .flatten()
            .flatten()
            .collect();
    }
}

/// Each port once, where it is named first.
fn in_order(ports: &mut Vec<u16>) {
    let mut seen = BTreeSet::new();
    ports.retain(|port| seen.insert(*port));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of what either generation of Compose prints.
    #[test]
    fn both_generations_are_understood() {
        let old = "services: {a: {image: kv, command: kv --at 0.0.0.0:9000, ports: ['8080:80', '127.0.0.1::90/udp', {published: 1, \
                   target: 7}], expose: ['70'], volumes: [/anon, '/host/f:/etc/f:ro', '/host:/x', 'd:/data:rw', {type: volume, source: \
                   e, target: /e}], healthcheck: {test: [CMD-SHELL, 'echo $$HOME']}, environment: {A: '1', B: null}}}";
        let new = "services: {a: {image: kv, command: [kv, --at, '0.0.0.0:9000'], ports: [{target: 80, published: '8080', protocol: \
                   tcp}, {target: 90, protocol: udp}, {target: 7, protocol: tcp}], expose: ['70'], volumes: [{type: volume, target: \
                   /anon}, {type: bind, source: /host/f, target: /etc/f}, {type: bind, source: /host, target: /x}, {type: volume, \
                   source: d, target: /data}, {type: volume, source: e, target: /e}], healthcheck: {test: [CMD-SHELL, 'echo $$HOME']}, \
                   environment: {A: '1', B: null}, networks: {default: null}}}";
        let understood = |yaml: &str| service(&Resolved::parse(yaml).expect("YAML"), "a");
        let a = understood(old);
        assert_eq!(a, understood(new));
        assert_eq!(a.ports, [80, 7, 70]);
        assert_eq!(a.volumes, ["/data", "/e", "/anon"]);
        assert_eq!(a.health, ["CMD-SHELL", "echo $HOME"]);
        assert_eq!(a.made_of, "image kv");
        assert_eq!(a.command, ["kv", "--at", "0.0.0.0:9000"]);
        assert_eq!((a.environment["A"].as_str(), a.refused), ("1", None));
    }

    #[test]
    fn what_the_image_says_comes_behind_what_the_file_says() {
        let image = || bollard::models::ImageConfig {
            exposed_ports: Some(vec!["53/udp".to_owned(), "9000/tcp".to_owned()]),
            volumes: Some(vec!["/data".to_owned()]),
            cmd: Some(vec!["kv".to_owned()]),
            ..Default::default()
        };
        let mut plain = Service::default();
        add_image(&mut plain, image());
        assert_eq!(
            (plain.ports, plain.volumes),
            (vec![9000], vec!["/data".to_owned()])
        );
        assert_eq!(plain.command, ["kv"]);
        let mut told = Service {
            ports: vec![80, 9000],
            volumes: vec!["/own".to_owned(), "/data".to_owned()],
            command: vec!["other".to_owned()],
            ..Service::default()
        };
        add_image(&mut told, image());
        assert_eq!((told.ports, told.volumes.len()), (vec![80, 9000], 2));
        assert_eq!(told.command, ["other"]);
    }
}

//! Contexts of the docker command: engines that have a name.
//!
//! ```text
//! ~/.docker/config.json                                {"currentContext": "shop"}
//! ~/.docker/contexts/meta/<SHA-256 of the name>/meta.json
//!                                                      {"Name": "shop", "Endpoints": {"docker": {"Host": "tcp://10.0.0.12:2376"}}}
//! ~/.docker/contexts/tls/<SHA-256 of the name>/docker/ ca.pem, cert.pem, key.pem
//! ```

use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::address::EngineAddress;

/// Where the docker command keeps its settings.
pub fn folder() -> PathBuf {
    match std::env::var_os("DOCKER_CONFIG").filter(|folder| !folder.is_empty()) {
        Some(folder) => folder.into(),
        None => PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".docker"),
    }
}

/// The context that is in use, if it is another than the default.
pub fn in_use(config: &Path) -> Option<String> {
    let text = std::fs::read_to_string(config).ok()?;
    let config: Value = serde_json::from_str(&text).ok()?;
    let name = config["currentContext"]
        .as_str()
        .filter(|name| !name.is_empty())?;
    Some(name.to_owned())
}

/// The engine that a context means.
pub fn read(folder: &Path, name: &str) -> Result<EngineAddress, String> {
    if name == "default" {
        return Ok(EngineAddress::default());
    }
    let id: String = Sha256::digest(name.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let meta = folder.join("contexts/meta").join(&id).join("meta.json");
    let text = std::fs::read_to_string(&meta).map_err(|error| {
        format!("there is no docker context {name:?} ({}: {error}); `docker context ls` lists those that there are", meta.display())
    })?;
    let wrong = |why: &str| {
        format!(
            "the docker context {name:?} is not as it should be: {why}; see {}",
            meta.display()
        )
    };
    let meta: Value = serde_json::from_str(&text).map_err(|error| wrong(&error.to_string()))?;
    let endpoint = &meta["Endpoints"]["docker"];
    let host = endpoint["Host"]
        .as_str()
        .ok_or_else(|| wrong("it names no engine"))?;
    if endpoint["SkipTLSVerify"] == true {
        return Err(wrong(
            "it takes any engine for the one that is meant, which Duress does not",
        ));
    }
    let certificates = folder.join("contexts/tls").join(&id).join("docker");
    let certificates = certificates.join("ca.pem").exists().then_some(certificates);
    EngineAddress::parse(host, certificates.as_deref()).map_err(|why| wrong(&why))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `docker context create` of the version 28 writes it.
    fn context(folder: &Path, name: &str, endpoint: &str) -> PathBuf {
        let id: String = Sha256::digest(name.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let meta = folder.join("contexts/meta").join(&id);
        std::fs::create_dir_all(&meta).unwrap();
        let text = format!(r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{endpoint}}}}}"#);
        std::fs::write(meta.join("meta.json"), text).unwrap();
        folder.join("contexts/tls").join(id).join("docker")
    }

    #[test]
    fn a_context_has_an_engine_and_its_certificates() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let certificates = context(
            folder,
            "shop",
            r#"{"Host":"tcp://10.0.0.12:2376","SkipTLSVerify":false}"#,
        );
        let plain = read(folder, "shop").unwrap();
        std::fs::create_dir_all(&certificates).unwrap();
        std::fs::write(certificates.join("ca.pem"), "").unwrap();
        let encrypted = read(folder, "shop").unwrap();
        let of = |certificates| EngineAddress::Tcp {
            host: "10.0.0.12".to_owned(),
            port: 2376,
            certificates,
        };
        assert_eq!((plain, encrypted), (of(None), of(Some(certificates))));
        assert_eq!(read(folder, "default").unwrap(), EngineAddress::default());
        let said = read(folder, "none").unwrap_err();
        assert!(said.contains("docker context ls"), "{said}");
        context(folder, "open", r#"{"Host":"tcp://db","SkipTLSVerify":true}"#);
        assert!(read(folder, "open").unwrap_err().contains("any engine"));
        context(folder, "odd", "{}");
        assert!(read(folder, "odd").unwrap_err().contains("names no engine"));
    }

    #[test]
    fn the_context_in_use_is_the_configurations() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        assert_eq!(in_use(&file), None);
        std::fs::write(&file, r#"{"currentContext":"shop"}"#).unwrap();
        assert_eq!(in_use(&file).as_deref(), Some("shop"));
        std::fs::write(&file, "{}").unwrap();
        assert_eq!(in_use(&file), None);
    }
}

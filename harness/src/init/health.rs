//! When a node is ready, by the health check that its file or image has.

use duress_cluster::Readiness;

/// What a health check says: `["CMD-SHELL", "curl -f http://localhost:8080/health || exit 1"]` is a GET that Duress can make
/// itself; anything else is run in the node as it is. `node` is the name that it may call itself by. `None`: there is no
/// check.
pub fn readiness(test: &[String], node: &str) -> Option<Readiness> {
    let (form, rest) = test.split_first()?;
    let argv: Vec<String> = match form.as_str() {
        "NONE" => return None,
        "CMD" => rest.to_vec(),
        "CMD-SHELL" => vec!["sh".to_owned(), "-c".to_owned(), rest.join(" ")],
        // Without a form in front, the list is the command.
        _ => test.to_vec(),
    };
    if argv.is_empty() {
        return None;
    }
    let said = if form == "CMD-SHELL" {
        rest.join(" ")
    } else {
        argv.join(" ")
    };
    Some(get(&said, node).unwrap_or(Readiness::Command { argv }))
}

/// What the check asks by curl or wget, if it does nothing else.
fn get(said: &str, node: &str) -> Option<Readiness> {
    let said = said.trim();
    let said = (said.strip_suffix("|| exit 1").unwrap_or(said)).trim_end();
    if said.contains(['|', ';', '&', '`', '$', '>', '<']) {
        return None;
    }
    let mut words = said.split_whitespace();
    let program = words.next()?.rsplit('/').next()?;
    let words: Vec<&str> = words.map(|word| word.trim_matches(['"', '\''])).collect();
    let changes = [
        "-X",
        "--request",
        "-d",
        "--data",
        "--post-data",
        "-H",
        "--header",
        "-u",
    ];
    if !["curl", "wget"].contains(&program) || words.iter().any(|word| changes.contains(word)) {
        return None;
    }
    let url = words.iter().find_map(|word| word.strip_prefix("http://"))?;
    let (host, path) = match url.find('/') {
        Some(slash) => url.split_at(slash),
        None => (url, "/"),
    };
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
    let is_own = ["localhost", "127.0.0.1", "0.0.0.0", "[::1]"].contains(&name) || name == node;
    is_own.then_some(Readiness::Http {
        path: path.to_owned(),
        port: port.parse().ok()?,
        true_field: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(test: &[&str]) -> Option<Readiness> {
        let test: Vec<String> = test.iter().map(|&word| word.to_owned()).collect();
        readiness(&test, "n1")
    }

    fn http(port: u16, path: &str) -> Option<Readiness> {
        Some(Readiness::Http {
            path: path.to_owned(),
            port,
            true_field: None,
        })
    }

    fn command(argv: &[&str]) -> Option<Readiness> {
        Some(Readiness::Command {
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
        })
    }

    #[test]
    fn a_get_of_the_node_itself_is_made_from_outside() {
        let shell = "curl -fsS http://localhost:8080/health || exit 1";
        assert_eq!(read(&["CMD-SHELL", shell]), http(8080, "/health"));
        let wget = ["CMD", "/usr/bin/wget", "-q", "--spider", "http://127.0.0.1/"];
        assert_eq!(read(&wget), http(80, "/"));
        assert_eq!(read(&["CMD", "curl", "http://n1:9"]), http(9, "/"));
    }

    #[test]
    fn anything_else_is_run_as_it_is() {
        for said in [
            "curl http://localhost/ | grep ok",
            "curl http://other:80/",
            "curl -X POST http://localhost/",
            "pg_isready -U x",
            "curl -u a:b http://localhost/",
        ] {
            assert_eq!(read(&["CMD-SHELL", said]), command(&["sh", "-c", said]), "{said}");
        }
        assert_eq!(
            read(&["CMD", "redis-cli", "ping"]),
            command(&["redis-cli", "ping"])
        );
        assert_eq!((read(&["NONE"]), read(&[]), read(&["CMD"])), (None, None, None));
    }
}

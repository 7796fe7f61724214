//! Reading a spec: from text to types, and what is refused because its values make no sense.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use duress_workloads::clients::ClientKind;

use super::complaint::KeyPath;
use super::system::Definition;
use super::{ClusterSpec, Complaint, FILL_IN, Marked, Spec, fill_in};

/// A spec is some dozens of lines, with a thousand faults some thousands.
const BYTES_MAX: u64 = 1 << 20;

/// Why a spec can't be used. The command line exits with code 64.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// It can't be read.
    #[error("read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no TOML, or has an unknown or missing key or a value of the wrong kind.
    #[error("{path}: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, excerpt and choices.
        source: Box<toml::de::Error>,
    },
    /// There is no such system.
    #[error("{what}")]
    Unknown {
        /// Which, and what there is.
        what: String,
    },
    /// A value doesn't make sense.
    #[error("{path}: {what}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Which, where it stands, and what would.
        what: Box<Marked>,
    },
    /// Nothing is wrong, but lines that `duress init` guessed are not confirmed.
    #[error(
        "{path} passes every check, but {count} lines are guesses that only you can confirm:\n\n{places}\n\nWrite what is true \
         of your system and delete the mark \"{FILL_IN}\" of each line. `duress try` shows what the system answers"
    )]
    FillIn {
        /// The spec.
        path: PathBuf,
        /// How many.
        count: usize,
        /// Each with its place and what it is about.
        places: String,
    },
}

/// A spec as it is written, so that whatever is wrong with it can be shown.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, SpecError> {
        let text = read_text(path).map_err(|source| SpecError::Read {
            path: path.to_owned(),
            source,
        })?;
        Ok(Source {
            path: path.to_owned(),
            text,
        })
    }

    /// What is written at this path.
    pub(super) fn new(path: PathBuf, text: String) -> Self {
        Source { path, text }
    }

    /// Where it is written.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Parses and checks it, alone and together with the system that it names and its client. Relative paths in it start from its folder.
    pub fn resolve(&self) -> Result<(Spec, Definition, ClientKind), SpecError> {
        let spec = self.parse_values()?;
        let definition = Definition::of(spec.cluster.system_ref(), self, spec.cluster.name())?;
        let client = spec.check_fit(&definition, self)?;
        spec.check_claims(Some(&client))
            .map_err(|complaint| self.invalid(complaint))?;
        Ok((spec, definition, client))
    }

    /// Parses it, and checks what can be without its system: of a run that is over, that may be gone.
    pub fn parse(&self) -> Result<Spec, SpecError> {
        let spec = self.parse_values()?;
        spec.check_claims(None)
            .map_err(|complaint| self.invalid(complaint))?;
        Ok(spec)
    }

    fn parse_values(&self) -> Result<Spec, SpecError> {
        let mut spec: Spec = self.parse_form()?;
        match &mut spec.cluster {
            ClusterSpec::Local(_) => {}
            ClusterSpec::Compose(compose) => {
                compose.file = from_spec(&self.path, &compose.file);
                let folders = compose.engines.iter_mut().map(|engine| &mut engine.certificates);
                for folder in folders.chain([&mut compose.certificates]).flatten() {
                    *folder = from_spec(&self.path, &at_home(folder));
                }
            }
            ClusterSpec::Ssh(ssh) => {
                let files = [&mut ssh.identity, &mut ssh.config, &mut ssh.known_hosts];
                for file in files.into_iter().flatten() {
                    *file = from_spec(&self.path, &at_home(file));
                }
            }
        }
        spec.cluster.system_ref_mut().start_from(&self.path);
        spec.check_values().map_err(|complaint| self.invalid(complaint))?;
        Ok(spec)
    }

    /// Reads the text as a spec. An entry of a list is read first and understood as a whole then: of what is wrong with the whole, the parser
    /// only knows in which list it stands, and the path says in which entry.
    fn parse_form(&self) -> Result<Spec, SpecError> {
        let document = self.parse_as(toml::Deserializer::parse)?;
        serde_path_to_error::deserialize(document).map_err(|error| {
            let entry = KeyPath::of_entry(error.path());
            let source = error.into_inner();
            match entry.filter(|entry| entry.is_within(source.span(), &self.text)) {
                Some(entry) => self.invalid(entry.complain(source.message())),
                None => self.misread(Box::new(source)),
            }
        })
    }

    /// Reads the text in some form; what is wrong with it is shown with its place.
    pub fn parse_as<'t, T>(
        &'t self,
        form: impl FnOnce(&'t str) -> Result<T, toml::de::Error>,
    ) -> Result<T, SpecError> {
        form(&self.text).map_err(|source| self.misread(Box::new(source)))
    }

    /// What the parser says of it.
    pub(super) fn misread(&self, source: Box<toml::de::Error>) -> SpecError {
        SpecError::Parse {
            path: self.path.clone(),
            source,
        }
    }

    /// Refuses it while it, or its system, has lines that `duress init` guessed and nobody has confirmed. `spec` is what it says.
    pub fn check_filled_in(&self, spec: &Spec) -> Result<(), SpecError> {
        fill_in::check(self, spec.cluster.system_ref().folder())
    }

    /// A complaint about it, with its place.
    pub fn invalid(&self, complaint: Complaint) -> SpecError {
        SpecError::Invalid {
            path: self.path.clone(),
            what: Box::new(Marked::new(complaint, &self.text)),
        }
    }
}

impl Spec {
    /// Reads and checks a spec alone, without its system.
    pub fn read(path: &Path) -> Result<Self, SpecError> {
        Source::read(path)?.parse()
    }
}

/// Only files are read, and not more of them than a spec has: a pipe may never end, and a device neither.
fn read_text(path: &Path) -> std::io::Result<String> {
    let refuse = |why: String| Err(std::io::Error::other(why));
    let mut options = File::options();
    // Opening a pipe that nobody writes to would wait for ever.
    options
        .read(true)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits());
    let file = options.open(path)?;
    let kind = file.metadata()?.file_type();
    if !kind.is_file() {
        let what = if kind.is_dir() {
            "a folder"
        } else {
            "not a regular file"
        };
        return refuse(format!("it is {what}; name a TOML file"));
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return refuse(format!("it is larger than {BYTES_MAX} bytes, which no spec is"));
    }
    String::from_utf8(bytes).or_else(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        refuse(format!("line {line} is not UTF-8, as TOML has to be"))
    })
}

/// A path that begins with `~/` starts from the home of whoever runs this.
fn at_home(file: &Path) -> PathBuf {
    match (file.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(below), Some(home)) => Path::new(&home).join(below),
        _ => file.to_owned(),
    }
}

/// A path in a spec starts from the spec's own folder; the resolved spec, which is kept elsewhere, has it in full.
pub(super) fn from_spec(spec: &Path, file: &Path) -> PathBuf {
    let joined = spec.parent().unwrap_or(Path::new("")).join(file);
    std::path::absolute(&joined).unwrap_or(joined)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha12Rng;

    use super::*;
    use crate::spec::KeyPath;

    const MINIMAL: &str = "name = \"t\"\n[cluster.local]\nsystem = \"specimen\"\n[workload.register]\n";

    fn parse(text: &str) -> Result<Spec, SpecError> {
        let source = Source {
            path: "t.toml".into(),
            text: text.to_owned(),
        };
        source.parse()
    }

    fn error(text: &str) -> String {
        parse(text).expect_err("a bad spec").to_string()
    }

    #[test]
    fn a_resolved_spec_reads_back_as_itself() {
        let spec = parse(MINIMAL).expect("a good spec");
        let resolved = toml::to_string(&spec).expect("TOML");
        assert_eq!(parse(&resolved).expect(&resolved), spec);
    }

    #[test]
    fn unknown_keys_and_values_name_line_and_choices() {
        let key = error(&MINIMAL.replace("system", "sistem"));
        assert!(key.contains("line 3") && key.contains("`system`"), "{key}");
        let workload = error(&MINIMAL.replace("workload.register", "workload.registre"));
        assert!(
            workload.contains("line 4") && workload.contains("`register`"),
            "{workload}"
        );
        let property = error(&format!("properties = [\"fast\"]\n{MINIMAL}"));
        assert!(
            property.contains("line 1") && property.contains("`linearizable`"),
            "{property}"
        );
        let duration = error(&format!("{MINIMAL}[time]\nfaults = \"soon\"\n"));
        assert!(
            duration.contains("line 6") && duration.contains("\"30s\""),
            "{duration}"
        );
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        for (bad, line, said) in [
            (MINIMAL.replace("\"t\"", "\"../t\""), 1, "letters"),
            (
                MINIMAL.replace("\"specimen\"\n", "\"specimen\"\nnodes = 0\n"),
                4,
                "use 1 to 200",
            ),
            (
                format!("{MINIMAL}[load.open]\nrate = 0.0\n"),
                6,
                "use 0.001 to 1000000",
            ),
            (
                format!("{MINIMAL}[load.closed]\nprocesses = 0\n"),
                6,
                "use 1 to 10000",
            ),
        ] {
            let error = error(&bad);
            assert!(error.contains(&format!("line {line}, column ")), "{error}");
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_complaint_shows_the_line_with_a_mark() {
        let bad = format!("{MINIMAL}[load.open]\nrate = 0.0\n");
        assert_eq!(
            error(&bad),
            "t.toml: TOML parse error at line 6, column 8\n  |\n6 | rate = 0.0\n  |        ^^^\nload.open.rate: 0 is out of \
             range; use 0.001 to 1000000 (one in a quarter of an hour, to more than one machine can ask)"
        );
        let entry = error(&format!(
            "{MINIMAL}[[faults.mix]]\nkind = \"kill\"\ntargets = [\"n9\"]\n"
        ));
        assert!(
            entry.contains("line 7, column 11") && entry.contains("no. 1.targets: no node \"n9\""),
            "{entry}"
        );
        // A line that goes on and on is shown from shortly before the mistake.
        let long = format!("{}nodes = 0", "a".repeat(500));
        let shown = Marked::new(KeyPath::default().complain("x"), &long).to_string();
        assert!(shown.lines().all(|line| line.len() < 200), "{shown}");
    }

    /// Pieces that make and break specs.
    const PIECES: [&str; 28] = [
        "0",
        " ",
        "\n\n",
        "# c\n",
        "name = ",
        "\"t\"",
        "\n",
        "[cluster.local]\n",
        "[[faults.mix]]\n",
        "[[faults.at]]\n",
        "kind = \"kill\"\n",
        "at = ",
        "\"1s\"",
        "\"9999999999999999999s\"",
        "9223372036854775807",
        "-1",
        "nan",
        "1e308",
        "[",
        "]",
        "{",
        "}",
        "\u{1b}",
        "\u{0}",
        "ä",
        "length = ",
        "weight = ",
        "=",
    ];

    /// Whatever is in a file: it is refused in words, or can be planned.
    #[test]
    fn no_text_makes_the_reader_panic() {
        let good = format!(
            "{MINIMAL}keys = 3\n[load.open]\nrate = 3\n[time]\nfaults = \"10s\"\n[faults]\nlength = \"1s\"\n[[faults.mix]]\n\
             kind = \"partition\"\nshape = \"halves\"\n[[faults.at]]\nkind = \"pause\"\nat = \"1s\"\ntargets = [\"n1\"]\n"
        );
        let mut rng = ChaCha12Rng::seed_from_u64(8);
        let (mut refused, mut read) = (0, 0);
        for _ in 0..5000 {
            let mut text = good.clone();
            for _ in 0..rng.random_range(1..4) {
                let from = text.floor_char_boundary(rng.random_range(0..=text.len()));
                let to = text.ceil_char_boundary((from + rng.random_range(0..3)).min(text.len()));
                text.replace_range(from..to, PIECES[rng.random_range(0..PIECES.len())]);
            }
            match parse(&text) {
                Err(error) => {
                    assert!(error.to_string().contains(" at line "), "{text}\n{error}");
                    refused += 1;
                }
                Ok(spec) => {
                    let nodes = spec.cluster.node_names();
                    // What a schedule is refused for, is said; nothing else may happen.
                    let _ = duress_nemesis::plan(&spec.faults, &nodes, 1, spec.time.faults.0);
                    read += 1;
                }
            }
        }
        assert!(refused > 1000 && read > 10, "{refused} refused, {read} read");
    }
}

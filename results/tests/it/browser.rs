//! The report in a real browser: no message on the console, and no width that makes the page scroll sideways.
//!
//! Needs Chromium (Debian's package `chromium`). Where it is missing the test fails in CI and says that it was skipped
//! elsewhere.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use duress_results::{RunData, RunDir, report};

use crate::sample;

/// How wide the page is measured: a desktop, and a telephone.
const WIDTHS: [u32; 2] = [1280, 400];

/// Measures the page in a frame of the wanted width, since a window can't be as narrow as a telephone; it asks for the
/// body as laid out, and for what would stick out of it.
fn measuring(width: u32) -> String {
    format!(
        r#"<!doctype html><title>waiting</title><body><iframe id="page" src="report.html" style="border:0;width:{width}px;height:2000px"></iframe>
<script>
addEventListener("load", () => {{
  const page = document.getElementById("page").contentDocument.documentElement;
  document.title = page.scrollWidth <= page.clientWidth ? "fits" : "needs " + page.scrollWidth + " of " + {width};
}});
</script>"#
    )
}

fn chromium() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| {
            Command::new(name)
                .arg("--version")
                .output()
                .is_ok_and(|output| output.status.success())
        })
}

fn open(browser: &str, folder: &Path, file: &str) -> Output {
    let profile = folder.join("profile");
    Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--allow-file-access-from-files",
        ])
        .args(["--enable-logging=stderr", "--v=0", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", folder.join(file).display()))
        .output()
        .expect("the browser has just told its version")
}

#[test]
#[allow(clippy::print_stderr)] // a test that looked at nothing must say so
fn reports_open_without_a_complaint_and_fit_the_screen() {
    let Some(browser) = chromium() else {
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(
            !ci,
            "chromium is missing; in CI it must be there: apt-get install chromium"
        );
        eprintln!("SKIPPED: chromium is missing, nothing was looked at; apt-get install chromium");
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let dir = sample::write(root.path());
    for verdict in [sample::violated(), sample::hostile(), sample::failure()] {
        dir.write_verdict(&verdict).unwrap();
        fits(browser, root.path(), &dir);
    }
    for (_, verdict, events) in sample::broken::all() {
        let dir = sample::broken::write(root.path(), &verdict, &events);
        fits(browser, root.path(), &dir);
    }
}

/// Opens the report of a run, and measures it at each width.
fn fits(browser: &str, root: &Path, dir: &RunDir) {
    report::write(&RunData::load(dir).unwrap(), dir).unwrap();
    fs::copy(dir.report(), root.join("report.html")).unwrap();

    let seen = open(browser, root, "report.html");
    let log = String::from_utf8_lossy(&seen.stderr);
    assert!(seen.status.success(), "{log}");
    assert!(
        String::from_utf8_lossy(&seen.stdout).contains("id=\"reproduce\""),
        "the page was not loaded: {log}"
    );
    assert!(!log.contains("CONSOLE"), "{log}");

    for width in WIDTHS {
        fs::write(root.join("measure.html"), measuring(width)).unwrap();
        let seen = open(browser, root, "measure.html");
        let dom = String::from_utf8_lossy(&seen.stdout);
        let title = dom.split("<body").next().unwrap_or_default();
        assert!(
            dom.contains("<title>fits</title>"),
            "{} at {width}: {title}",
            dir.report().display()
        );
    }
}

#[test]
fn the_console_and_the_width_are_really_watched() {
    let Some(browser) = chromium() else {
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let wide = r#"<!doctype html><body style="margin:0"><div style="width:3000px">x</div><script>console.error("seen")</script>"#;
    fs::write(root.path().join("report.html"), wide).unwrap();
    fs::write(root.path().join("measure.html"), measuring(400)).unwrap();
    let plain = open(browser, root.path(), "report.html");
    assert!(String::from_utf8_lossy(&plain.stderr).contains("CONSOLE"));
    let measured = open(browser, root.path(), "measure.html");
    assert!(String::from_utf8_lossy(&measured.stdout).contains("<title>needs 3000 of 400</title>"));
}

//! The `pftp` executable and the examples, built from this workspace.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The directory of the workspace.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Returns the `pftp` executable. The first call in a process builds it in the profile of the caller, with
/// the cargo that started the caller.
///
/// # Panics
/// If it does not build, with cargo's message.
pub fn pftp() -> &'static Path {
    static EXECUTABLE: OnceLock<PathBuf> = OnceLock::new();
    EXECUTABLE.get_or_init(|| build("pftp", "--bin", "pftp").unwrap_or_else(|error| panic!("{error:#}")))
}

/// Builds and returns an example of a package.
///
/// # Panics
/// If it does not build, with cargo's message.
pub fn example(package: &str, name: &str) -> PathBuf {
    build(package, "--example", name).unwrap_or_else(|error| panic!("{error:#}"))
}

/// Builds an executable of the package, and returns its path. Only cargo knows the path: it can be told of
/// another target directory in several ways.
fn build(package: &str, kind: &str, name: &str) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(ROOT).stdin(Stdio::null());
    command.args(["build", "--package", package, kind, name]);
    command.arg("--message-format=json-render-diagnostics");
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{name} of {package} does not build: {}\n{said}", output.status);
    }
    let mut messages = output.stdout.split(|byte| *byte == b'\n');
    let found = messages.find_map(|message| executable(message, name));
    found.with_context(|| format!("cargo built no executable {name}"))
}

/// Returns the path of the executable `name` in cargo's messages.
fn executable(message: &[u8], name: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_slice(message).ok()?;
    let of_it = message["reason"] == "compiler-artifact" && message["target"]["name"] == name;
    let path = message["executable"].as_str().filter(|_| of_it)?;
    Some(path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pftp_runs() {
        let output = Command::new(pftp()).arg("--version").output().unwrap();
        assert!(output.status.success());
        assert!(output.stdout.starts_with(b"pftp "));
    }

    #[test]
    fn message_of_cargo_is_in_the_error() {
        let error = build("no-such-package", "--bin", "x").unwrap_err().to_string();
        assert!(
            error.starts_with("x of no-such-package does not build: ") && error.contains("error: "),
            "{error}"
        );
    }
}

//! The programs under measurement, built by cargo.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::Failure;

/// Where cargo left the two programs.
#[derive(Debug)]
pub(crate) struct Binaries {
    pub(crate) raw_peer: PathBuf,
    pub(crate) measure: PathBuf,
}

impl Binaries {
    /// Builds both with the bench profile; cargo's messages say where they are.
    pub(crate) fn build() -> Result<Self, Failure> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["build", "--profile", "bench", "--package", "eventhubs-bench"])
            .args(["--bin", "raw-peer", "--bin", "measure"])
            .arg("--message-format=json-render-diagnostics")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err("cargo could not build raw-peer and measure".into());
        }
        let messages = String::from_utf8(output.stdout)?;
        Ok(Self {
            raw_peer: executable(&messages, "raw-peer")?,
            measure: executable(&messages, "measure")?,
        })
    }
}

/// Finds the executable of a binary target in cargo's messages, one JSON object per line.
///
/// The only two members read are text without escapes on the systems this runs on, so no JSON
/// parser is needed.
fn executable(messages: &str, name: &str) -> Result<PathBuf, Failure> {
    messages
        .lines()
        .filter_map(|line| member(line, "executable"))
        .map(PathBuf::from)
        .find(|path| path.file_stem().is_some_and(|stem| stem == name))
        .ok_or_else(|| format!("cargo did not say where it built {name}").into())
}

fn member<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("\"{name}\":\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_executable() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","filenames":["/t/a.rlib"],"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","executable":"/t/release/measure","fresh":true}"#,
        );
        let found = executable(messages, "measure").expect("it is there");
        assert_eq!(found, PathBuf::from("/t/release/measure"));
        assert!(executable(messages, "raw-peer").is_err());
    }
}

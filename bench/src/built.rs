//! Programs under measurement, built by cargo.

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, Stdio};

type Failure = Box<dyn Error + Send + Sync>;

/// Runs `cargo build` with `arguments` and returns its messages, one JSON object per line.
///
/// # Errors
///
/// When cargo cannot be run or the build fails.
pub fn build(arguments: &[&str]) -> Result<String, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .arg("build")
        .args(arguments)
        .arg("--message-format=json-render-diagnostics")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(format!("cargo could not build {}", arguments.join(" ")).into()),
    }
}

/// Finds the executable of a binary target in cargo's messages.
///
/// The only member read is text without escapes on the systems this runs on, so no JSON parser is
/// needed.
///
/// # Errors
///
/// When there is none of that name.
pub fn executable(messages: &str, name: &str) -> Result<PathBuf, Failure> {
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

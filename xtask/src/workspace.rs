//! Where the workspace is and what cargo knows about it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::failure::Failure;
use crate::process;

/// The folder with the root manifest.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
}

/// How a package depends on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DependencyKind {
    Normal,
    Build,
    Dev,
}

/// One line of a manifest's dependency tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: DependencyKind,
    /// The version asked for, `*` when none is.
    pub(crate) requirement: String,
    pub(crate) is_path: bool,
}

/// One member of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) rust_version: Option<String>,
    pub(crate) folder: PathBuf,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) examples: Vec<String>,
    pub(crate) binaries: Vec<String>,
}

impl Package {
    /// What the feature `default` turns on in this package, itself included.
    pub(crate) fn default_features(&self) -> BTreeSet<&str> {
        let mut on = BTreeSet::from(["default"]);
        let mut queue = vec!["default"];
        while let Some(enabled) = queue.pop().and_then(|feature| self.features.get(feature)) {
            // What has no entry is a dependency, or a feature of one.
            let ours = enabled.iter().filter(|name| self.features.contains_key(*name));
            queue.extend(ours.map(String::as_str).filter(|name| on.insert(name)));
        }
        on
    }
}

impl Workspace {
    /// The workspace this binary was built from.
    pub(crate) fn find() -> Result<Self, Failure> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().unwrap_or(here);
        if root.join("Cargo.toml").is_file() {
            Ok(Self { root: root.to_path_buf() })
        } else {
            Err(Failure::new("the workspace has moved since xtask was built: build it again"))
        }
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    pub(crate) fn read(&self, relative: &str) -> Result<String, Failure> {
        std::fs::read_to_string(self.path(relative)).map_err(|error| Failure::io(relative, &error))
    }

    /// `cargo` with this workspace as its folder. Nothing of the cargo that runs us leaks in.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new("cargo");
        command.current_dir(&self.root);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            let is_about_us = name.starts_with("CARGO_PKG_")
                || name.starts_with("CARGO_MANIFEST_")
                || name == "CARGO";
            if is_about_us {
                command.env_remove(name.as_ref());
            }
        }
        command
    }

    /// Any other program with this workspace as its folder.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// Builds the binaries and examples of the workspace and says where the one of this name is.
    ///
    /// All of them, because cargo unifies features over what it is told to build: a package built
    /// alone is compiled again with everything below it. Like this it is what the tests were built
    /// with, and after them there is nothing left to compile. `--examples` counts for that too: it
    /// turns on what dev-dependencies ask for.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf, Failure> {
        let mut command = self.cargo();
        command.args(["build", "--quiet", "--message-format=json-render-diagnostics"]);
        // This program is running and must not be replaced.
        command.args(["--workspace", "--exclude", "xtask", "--bins", "--examples"]);
        executable(&process::capture(&mut command)?, name)
            .ok_or_else(|| Failure::new(format!("`{}` built no {name}", process::shown(&command))))
    }

    /// The members of the workspace whose manifest is `manifest`, by default ours.
    pub(crate) fn packages(&self, manifest: Option<&str>) -> Result<Vec<Package>, Failure> {
        let mut command = self.cargo();
        command.args(["metadata", "--format-version", "1", "--no-deps"]);
        if let Some(manifest) = manifest {
            command.args(["--manifest-path", manifest]);
        }
        parse_metadata(&process::capture(&mut command)?)
    }

    /// The text files git knows or would add, relative to the root, with `/` between folders.
    pub(crate) fn files(&self) -> Result<Vec<String>, Failure> {
        let mut command = self.command("git");
        command.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let listed = process::capture(&mut command)?;
        let mut files: Vec<String> = listed
            .split('\0')
            .filter(|name| !name.is_empty() && self.path(name).is_file())
            .map(str::to_owned)
            .collect();
        files.sort_unstable();
        files.dedup();
        Ok(files)
    }
}

/// Where cargo says that it left the program of this name.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// Reads what `cargo metadata --no-deps` prints.
pub(crate) fn parse_metadata(text: &str) -> Result<Vec<Package>, Failure> {
    let odd = || Failure::new("cargo metadata printed something this verb does not know");
    let root: Value = serde_json::from_str(text).map_err(|_| odd())?;
    let packages = root["packages"].as_array().ok_or_else(odd)?;
    packages.iter().map(|package| parse_package(package).ok_or_else(odd)).collect()
}

fn parse_package(package: &Value) -> Option<Package> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let targets = package["targets"].as_array()?;
    let of_kind = |kind: &str| {
        let is_kind = |target: &&Value| {
            target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|have| have == kind))
        };
        targets.iter().filter(is_kind).filter_map(|target| text(&target["name"])).collect()
    };
    let mut features = BTreeMap::new();
    for (name, enables) in package["features"].as_object()? {
        features.insert(name.clone(), enables.as_array()?.iter().filter_map(text).collect());
    }
    Some(Package {
        name: text(&package["name"])?,
        version: text(&package["version"])?,
        rust_version: text(&package["rust_version"]),
        folder: Path::new(package["manifest_path"].as_str()?).parent()?.to_path_buf(),
        features,
        dependencies: package["dependencies"]
            .as_array()?
            .iter()
            .map(parse_dependency)
            .collect::<Option<_>>()?,
        examples: of_kind("example"),
        binaries: of_kind("bin"),
    })
}

fn parse_dependency(dependency: &Value) -> Option<Dependency> {
    Some(Dependency {
        name: dependency["name"].as_str()?.to_owned(),
        kind: match dependency["kind"].as_str() {
            None => DependencyKind::Normal,
            Some("build") => DependencyKind::Build,
            Some("dev") => DependencyKind::Dev,
            Some(_) => return None,
        },
        requirement: dependency["req"].as_str()?.to_owned(),
        is_path: dependency["path"].is_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_workspace() {
        let workspace = Workspace::find().expect("the tests run in the workspace");
        let packages = workspace.packages(None).expect("cargo metadata works");
        let xtask = packages.iter().find(|package| package.name == "xtask").expect("we are here");
        assert!(xtask.folder.ends_with("xtask"));
        assert_eq!(xtask.binaries, ["xtask"]);
        assert!(xtask.rust_version.is_some());
        let json = xtask.dependencies.iter().find(|one| one.name == "serde_json");
        assert!(json.is_some_and(|one| one.kind == DependencyKind::Normal && !one.is_path));
    }

    #[test]
    fn a_program_is_found_by_its_name() {
        let messages = "{\"target\": {\"name\": \"a\"}, \"executable\": null}\n\
            not a message\n\
            {\"target\": {\"name\": \"b\"}, \"executable\": \"/one/b\"}\n\
            {\"target\": {\"name\": \"a\"}, \"executable\": \"/one/a\"}\n";
        assert_eq!(executable(messages, "a"), Some(PathBuf::from("/one/a")));
        assert_eq!(executable(messages, "c"), None);
    }

    #[test]
    fn strange_metadata_is_a_failure() {
        for text in ["", "{}", r#"{"packages": [{}]}"#] {
            assert!(parse_metadata(text).is_err(), "{text}");
        }
    }
}

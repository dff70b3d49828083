//! Rules for what people read: links, commands that exist, nothing of the machine it was written on.

use super::Finding;
use crate::VERBS;
use crate::workspace::Package;

/// The two commands a newcomer types first. The README shows them as they are.
const FIRST_COMMANDS: &[&str] = &["cargo run --release --example hello_world", "cargo xtask test"];

/// Where a path of somebody's machine starts. Joined from halves, so that this file passes.
const MACHINE_FOLDERS: &[&str] =
    &[concat!("/wo", "rk"), concat!("/ro", "ot"), concat!("/ho", "me"), concat!("/tm", "p")];

/// Marks of work that was left.
const MARKS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];

pub(super) fn machine_paths(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, content) in text.lines().enumerate() {
        for folder in MACHINE_FOLDERS {
            let is_path = content.match_indices(folder).any(|(at, _)| {
                let before = content[..at].chars().next_back();
                let after = content[at + folder.len()..].chars().next();
                let starts = !before.is_some_and(|c| c.is_alphanumeric() || "._-/{}*)".contains(c));
                starts && !after.is_some_and(|c| c.is_alphanumeric() || "_-".contains(c))
            });
            if is_path {
                findings.push(Finding::at(
                    path,
                    line,
                    format!("{folder} is a path of one machine"),
                ));
            }
        }
    }
    findings
}

/// Marks of unfinished work, in every kind of file. Between backticks the word is only quoted.
pub(super) fn unfinished(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, content) in text.lines().enumerate() {
        for mark in MARKS {
            let quoted = content.contains(&format!("`{mark}`"));
            if content.contains(mark) && !quoted {
                let text = format!("{mark}: finish it, or write down in the docs what is left");
                findings.push(Finding::at(path, line, text));
            }
        }
    }
    findings
}

/// Links to files that are not there.
pub(super) fn links(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    for (line, content) in text.lines().enumerate() {
        for (at, _) in content.match_indices("](") {
            let target = content[at + 2..].split(')').next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            if !exists(&resolve(folder, file)) {
                findings.push(Finding::at(path, line, format!("the link to {file} leads nowhere")));
            }
        }
    }
    findings
}

fn resolve(folder: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Verbs, examples and binaries that a text tells people to run and that do not exist.
pub(super) fn commands(path: &str, text: &str, packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, content) in text.lines().enumerate() {
        let mut missing = |what: &str, prefix: &str, is_there: &dyn Fn(&str) -> bool| {
            for name in words_after(content, prefix) {
                if !is_there(name) {
                    findings.push(Finding::at(path, line, format!("there is no {what} '{name}'")));
                }
            }
        };
        missing("verb", "cargo xtask ", &|name| VERBS.iter().any(|verb| verb.name == name));
        missing("example", "--example ", &|name| {
            packages.iter().any(|package| package.examples.iter().any(|have| have == name))
        });
        missing("binary", "--bin ", &|name| {
            packages.iter().any(|package| package.binaries.iter().any(|have| have == name))
        });
    }
    findings
}

fn words_after<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.match_indices(prefix)
        .map(move |(at, _)| {
            let rest = &text[at + prefix.len()..];
            &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())]
        })
        .filter(|name| !name.is_empty())
}

/// What the README must say: the first commands, every crate, the right compiler.
pub(super) fn readme(text: &str, packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for command in FIRST_COMMANDS {
        if !text.lines().any(|line| line.trim() == *command) {
            findings.push(Finding::whole("README.md", format!("`{command}` is not shown")));
        }
    }
    for package in packages.iter().filter(|package| package.name.starts_with("eventhubs-")) {
        let folder = package.folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !text.contains(&package.name) && !text.contains(&format!("{folder}/")) {
            findings.push(Finding::whole("README.md", format!("{} is not named", package.name)));
        }
    }
    if let Some(version) = packages.iter().find_map(|package| package.rust_version.as_deref()) {
        let short = version.strip_suffix(".0").unwrap_or(version);
        let right = format!("Rust {short}");
        for (line, content) in text.lines().enumerate() {
            let is_wrong = content.match_indices("Rust 1.").any(|(at, _)| {
                !content[at..].starts_with(&right)
                    || content[at + right.len()..].starts_with(|c: char| c.is_ascii_digit())
            });
            if is_wrong {
                let text = format!("the workspace says rust-version {version}");
                findings.push(Finding::at("README.md", line, text));
            }
        }
        if !text.contains(&right) {
            findings.push(Finding::whole("README.md", format!("'{right}' is not named")));
        }
    }
    findings
}

/// Every verb is explained in CONTRIBUTING.md.
pub(super) fn verbs_explained(text: &str) -> Vec<Finding> {
    VERBS
        .iter()
        .filter(|verb| !text.contains(&format!("`{}", verb.name)))
        .map(|verb| Finding::whole("CONTRIBUTING.md", format!("`{}` is not explained", verb.name)))
        .collect()
}

/// Every package has a place in the code map of ARCHITECTURE.md.
pub(super) fn code_map(text: &str, packages: &[Package]) -> Vec<Finding> {
    packages
        .iter()
        .filter_map(|package| {
            let folder = package.folder.file_name()?.to_str()?;
            let in_crates =
                package.folder.parent().is_some_and(|parent| parent.ends_with("crates"));
            let place = if in_crates { format!("crates/{folder}") } else { format!("{folder}/") };
            (!text.contains(&place))
                .then(|| Finding::whole("ARCHITECTURE.md", format!("{place} is not on the map")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn package() -> Package {
        Package {
            name: "eventhubs-amqp".to_owned(),
            version: "0.1.0".to_owned(),
            rust_version: Some("1.95".to_owned()),
            folder: PathBuf::from("crates/amqp"),
            features: std::collections::BTreeMap::new(),
            dependencies: Vec::new(),
            examples: vec!["hello_world".to_owned()],
            binaries: vec!["report".to_owned()],
        }
    }

    #[test]
    fn a_path_of_a_machine_is_found() {
        let work = concat!("/wo", "rk");
        for text in [format!("cd {work}/main"), format!("\"{work}\""), format!("a={work}/x")] {
            assert_eq!(machine_paths("a.md", &text).len(), 1, "{text}");
        }
        for text in ["examples/worker", "crates/x/home/y", "https://a.example/home", "a/tmp/b"] {
            assert_eq!(machine_paths("a.md", text).len(), 0, "{text}");
        }
    }

    #[test]
    fn a_mark_of_unfinished_work_is_found() {
        let mark = MARKS[0];
        assert_eq!(unfinished("run.py", &format!("# {mark} later")).len(), 1);
        assert_eq!(unfinished("a.md", &format!("the word `{mark}` is banned")).len(), 0);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let exists = |path: &str| path == "docs/wire.md" || path == "README.md";
        let good = "[a](wire.md#names) [b](../README.md) [c](https://a.example) [d](#here)";
        assert!(links("docs/faults.md", good, exists).is_empty());
        assert_eq!(links("docs/faults.md", "[a](gone.md)", exists).len(), 1);
    }

    #[test]
    fn a_command_that_does_not_exist_is_found() {
        let packages = [package()];
        let check = |text: &str| commands("README.md", text, &packages).len();
        assert_eq!(check("`cargo xtask test` and `cargo run --example hello_world`"), 0);
        assert_eq!(check("cargo xtask deploy"), 1);
        assert_eq!(check("cargo run --example goodbye"), 1);
        assert_eq!(check("cargo run --bin nothing"), 1);
    }

    #[test]
    fn a_readme_that_is_out_of_date_is_found() {
        let packages = [package()];
        let good = format!("{}\neventhubs-amqp, Rust 1.95", FIRST_COMMANDS.join("\n"));
        assert_eq!(readme(&good, &packages), Vec::new());
        assert_eq!(readme(&good.replace("1.95", "1.94"), &packages).len(), 2);
        assert_eq!(readme(&good.replace("--release ", ""), &packages).len(), 1);
        assert_eq!(readme(&good.replace("eventhubs-amqp", ""), &packages).len(), 1);
    }

    #[test]
    fn a_verb_nobody_explains_is_found() {
        let all: String = VERBS.iter().map(|verb| format!("`{}`\n", verb.name)).collect();
        assert_eq!(verbs_explained(&all), Vec::new());
        assert_eq!(verbs_explained(&all.replace("`drill`", "")).len(), 1);
    }

    #[test]
    fn a_crate_missing_from_the_map_is_found() {
        let packages = [package()];
        assert_eq!(code_map("crates/amqp is AMQP", &packages), Vec::new());
        assert_eq!(code_map("nothing", &packages).len(), 1);
    }
}

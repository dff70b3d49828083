//! `cargo xtask layers`: which crate may depend on which.
//!
//! `rules.rs` holds the allowed edges and what no tree may contain; this file asks cargo for the
//! facts. A rule is a function over plain values, so its test breaks it on purpose.

mod rules;

use crate::failure::Failure;
use crate::tally::Tally;
use crate::workspace::{Package, Workspace};
use crate::{process, terminal};

pub(crate) fn run(workspace: &Workspace, _: &[String]) -> Result<Tally, Failure> {
    let packages = workspace.packages(None)?;
    let mut broken = rules::edges(&packages);
    broken.extend(rules::folders(&packages));
    for (package, features, forbidden) in rules::LIGHT_TREES {
        if packages.iter().any(|have| have.name == *package) {
            let arguments = [&["--package", package, "--edges", "normal"], *features].concat();
            let tree = tree(workspace, &arguments)?;
            let whose = [&[*package], *features].concat().join(" ");
            broken.extend(rules::forbidden(&whose, &tree, forbidden));
        }
    }
    let everything = tree(workspace, &["--workspace", "--all-features", "--target", "all"])?;
    broken.extend(rules::forbidden("the workspace", &everything, rules::NOWHERE));
    for problem in &broken {
        terminal::line(format_args!("layers: {problem}"));
    }
    if broken.is_empty() {
        terminal::line(format_args!("layers: {} packages, every edge allowed", packages.len()));
        Ok(Tally::default())
    } else {
        Err(Failure::new(format!("{} rules broken", broken.len())))
    }
}

/// The names of the packages in a dependency tree.
fn tree(workspace: &Workspace, arguments: &[&str]) -> Result<Vec<String>, Failure> {
    let mut command = workspace.cargo();
    command.args(["tree", "--quiet", "--prefix", "none", "--format", "{p}"]).args(arguments);
    let text = process::capture(&mut command)?;
    let mut names: Vec<String> =
        text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Whether a package is one of the published crates.
fn is_crate(package: &Package) -> bool {
    package.folder.parent().is_some_and(|parent| parent.ends_with("crates"))
}

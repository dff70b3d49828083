//! Rules for Cargo manifests: one place for versions and lints, names that do not collide.

use std::collections::BTreeMap;

use super::Finding;
use crate::workspace::Package;

/// Keys that every member takes from the root.
const FROM_THE_ROOT: &[&str] = &["version", "edition", "rust-version", "license"];

/// Whether a manifest is its own workspace, with its own lock file and versions. The root is one.
pub(super) fn stands_alone(text: &str) -> bool {
    text.lines().any(|line| line.trim() == "[workspace]")
}

/// A member names no version of a dependency, except the workspace's own beside a path: that is how
/// one of ours is taken without its default features.
pub(super) fn member(path: &str, text: &str, root: &str) -> Vec<Finding> {
    let own = root.lines().find(|line| line.trim().starts_with("version = ")).unwrap_or_default();
    let mut findings = Vec::new();
    let mut section = "";
    for (line, content) in text.lines().enumerate() {
        let content = content.trim();
        if let Some(name) = content.strip_prefix('[') {
            section = name.trim_matches(['[', ']']);
        } else if section.ends_with("dependencies") && names_a_version(content, own.trim()) {
            let text = "versions are in the root manifest: use workspace = true";
            findings.push(Finding::at(path, line, text));
        }
    }
    for key in FROM_THE_ROOT {
        if !text.lines().any(|line| line.trim() == format!("{key}.workspace = true")) {
            findings.push(Finding::whole(path, format!("`{key}.workspace = true` is missing")));
        }
    }
    findings
}

/// A member takes its lints from the root. One that is never published may repeat them in full in
/// order to expect `unsafe` somewhere, which a forbidden lint does not allow.
pub(super) fn lints(path: &str, text: &str, root: &str) -> Vec<Finding> {
    let own = text.split_once("[lints]").map_or("", |(_, rest)| rest);
    if own.trim_start().starts_with("workspace = true") {
        return Vec::new();
    }
    let wanted = lint_lines(root, "[workspace.lints.");
    let have = lint_lines(text, "[lints.");
    let is_unsafe = |line: &String| line.contains("unsafe_code = ");
    let equal = wanted
        .iter()
        .filter(|line| !is_unsafe(line))
        .eq(have.iter().filter(|line| !is_unsafe(line)));
    let denied = have.iter().any(|line| line.ends_with("unsafe_code = \"deny\""));
    if equal && denied && text.contains("publish = false") {
        return Vec::new();
    }
    vec![Finding::whole(path, "the lints are those of the root: `[lints] workspace = true`")]
}

/// The lines of the lint tables, each with the name of its table before it.
fn lint_lines(text: &str, prefix: &str) -> Vec<String> {
    let mut table = None;
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            table = line.strip_prefix(prefix);
        } else if let Some(table) = table.filter(|_| !line.is_empty() && !line.starts_with('#')) {
            lines.push(format!("{table} {line}"));
        }
    }
    lines
}

fn names_a_version(line: &str, own: &str) -> bool {
    let Some((_, value)) = line.split_once('=') else {
        return false;
    };
    if !own.is_empty() && value.contains("path = ") && value.contains(own) {
        return false;
    }
    !line.starts_with('#') && (value.trim_start().starts_with('"') || value.contains("version"))
}

/// The root builds every member by default, so that examples run from it.
pub(super) fn root(text: &str) -> Vec<Finding> {
    text.lines()
        .enumerate()
        .filter(|(_, content)| content.trim().starts_with("default-members"))
        .map(|(line, _)| {
            let text = "default-members would hide the examples from `cargo run --example`";
            Finding::at("Cargo.toml", line, text)
        })
        .collect()
}

/// Members that do not agree on the version or on the minimum compiler.
pub(super) fn agree(packages: &[Package]) -> Vec<Finding> {
    let Some(first) = packages.first() else {
        return Vec::new();
    };
    let differs = |one: &&Package| {
        one.version != first.version
            || one.rust_version != first.rust_version
            || one.rust_version.is_none()
    };
    packages
        .iter()
        .filter(differs)
        .map(|one| {
            let text = format!("{}: version or rust-version is not the workspace's", one.name);
            Finding::whole("Cargo.toml", text)
        })
        .collect()
}

/// Two examples of one name cannot both be run from the root.
pub(super) fn example_names(packages: &[Package]) -> Vec<Finding> {
    let mut owners: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        for example in &package.examples {
            owners.entry(example).or_default().push(&package.name);
        }
    }
    owners
        .into_iter()
        .filter(|(_, owners)| owners.len() > 1)
        .map(|(example, owners)| {
            let text = format!("the example '{example}' is in {}", owners.join(" and in "));
            Finding::whole("Cargo.toml", text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const MEMBER: &str = "[package]\nname = \"a\"\nversion.workspace = true\n\
        edition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\n\n\
        [dependencies]\n# version\nbytes.workspace = true\n\
        tokio = { workspace = true, features = [\"rt\"] }\n\n\
        [dev-dependencies]\nb = { path = \"../b\" }\n\n[lints]\nworkspace = true\n";

    const ROOT: &str = "[workspace.package]\nversion = \"0.1.0\"\n";

    fn package(name: &str, version: &str, examples: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            rust_version: Some("1.95".to_owned()),
            folder: PathBuf::new(),
            features: BTreeMap::new(),
            dependencies: Vec::new(),
            examples: examples.iter().map(|&name| name.to_owned()).collect(),
            binaries: Vec::new(),
        }
    }

    #[test]
    fn a_version_in_a_member_is_found() {
        assert_eq!(member("a/Cargo.toml", MEMBER, ROOT), Vec::new());
        let ours = "bytes = { path = \"../b\", version = \"0.1.0\", default-features = false }";
        let text = MEMBER.replace("bytes.workspace = true", ours);
        assert_eq!(member("a/Cargo.toml", &text, ROOT), Vec::new());
        let other = ours.replace("0.1.0", "0.2.0");
        for planted in ["bytes = \"1\"", "bytes = { version = \"1\" }", &other] {
            let text = MEMBER.replace("bytes.workspace = true", planted);
            assert_eq!(member("a/Cargo.toml", &text, ROOT).len(), 1, "{planted}");
        }
    }

    #[test]
    fn a_member_with_its_own_rules_is_found() {
        let own_edition = MEMBER.replace("edition.workspace = true", "edition = \"2021\"");
        assert_eq!(member("a/Cargo.toml", &own_edition, ROOT).len(), 1);
    }

    #[test]
    fn a_member_with_lints_of_its_own_is_found() {
        let root = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\nmissing_docs = \"deny\"\n";
        assert_eq!(lints("a/Cargo.toml", MEMBER, root), Vec::new());
        let without = MEMBER.replace("[lints]\nworkspace = true", "");
        assert_eq!(lints("a/Cargo.toml", &without, root).len(), 1);
        let repeated = "publish = false\n[lints.rust]\n# why\nunsafe_code = \"deny\"\n\
            missing_docs = \"deny\"\n";
        assert_eq!(lints("a/Cargo.toml", repeated, root), Vec::new());
        for planted in ["missing_docs = \"deny\"\n", "publish = false\n"] {
            assert_eq!(lints("a/Cargo.toml", &repeated.replace(planted, ""), root).len(), 1);
        }
        let allowed = repeated.replace("unsafe_code = \"deny\"", "unsafe_code = \"allow\"");
        assert_eq!(lints("a/Cargo.toml", &allowed, root).len(), 1);
    }

    #[test]
    fn default_members_are_found() {
        assert_eq!(root("[workspace]\nmembers = []\n"), Vec::new());
        assert_eq!(root("[workspace]\ndefault-members = [\"a\"]\n").len(), 1);
    }

    #[test]
    fn members_that_do_not_agree_are_found() {
        let mut packages = vec![package("a", "0.1.0", &[]), package("b", "0.1.0", &[])];
        assert_eq!(agree(&packages), Vec::new());
        packages[1].version = "0.2.0".to_owned();
        assert_eq!(agree(&packages).len(), 1);
        packages[1] = package("b", "0.1.0", &[]);
        packages[1].rust_version = Some("1.94".to_owned());
        assert_eq!(agree(&packages).len(), 1);
    }

    #[test]
    fn an_example_in_two_packages_is_found() {
        let packages = [package("a", "0.1.0", &["x", "y"]), package("b", "0.1.0", &["x"])];
        let found = example_names(&packages);
        assert!(found.len() == 1 && found[0].text.contains("'x' is in a and in b"), "{found:?}");
    }
}

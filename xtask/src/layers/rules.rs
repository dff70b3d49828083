//! The allowed edges, and the crates no user of a light tree should have to build.

use std::collections::BTreeSet;

use super::is_crate;
use crate::workspace::{DependencyKind, Package};

/// What each crate may depend on among ours. Everything points down:
/// `amqp <- protocol <- auth <- client`, and the emulator stands on `amqp` alone.
const ALLOWED: &[(&str, &[&str])] = &[
    ("eventhubs-amqp", &[]),
    ("eventhubs-protocol", &["eventhubs-amqp"]),
    ("eventhubs-auth", &["eventhubs-protocol"]),
    ("eventhubs-client", &["eventhubs-auth", "eventhubs-protocol", "eventhubs-amqp"]),
    ("eventhubs-eph", &["eventhubs-client", "eventhubs-auth", "eventhubs-protocol"]),
    ("eventhubs-emulator", &["eventhubs-amqp"]),
    ("xtask", &[]),
];

/// What the tests of each crate may use beyond that. The client and the emulator test each other,
/// which is a cycle only on paper, because these lines name a path and no version.
const ALLOWED_IN_TESTS: &[(&str, &[&str])] = &[
    ("eventhubs-client", &["eventhubs-emulator"]),
    ("eventhubs-emulator", &["eventhubs-client"]),
    ("eventhubs-eph", &["eventhubs-emulator"]),
];

/// Packages that put crates together and are never published.
const FREE: &[&str] = &[
    "eventhubs-examples",
    "eventhubs-worker-examples",
    "eventhubs-bench",
    "eventhubs-chaos",
    "eventhubs-interop",
    "eventhubs-sim",
];

/// A user with a connection string builds no Azure SDK and no HTTP client.
const NO_AZURE_NO_HTTP: &[&str] =
    &["azure_*", "typespec*", "reqwest", "hyper", "hyper-util", "ureq", "isahc", "curl", "h2"];

/// Entra ID adds the trait of its credentials and what that stands on, but no HTTP client: that
/// comes with the credential the user chooses.
const NO_HTTP: &[&str] = &[
    "azure_identity",
    "azure_storage_*",
    "reqwest",
    "hyper",
    "hyper-util",
    "ureq",
    "isahc",
    "curl",
    "h2",
];

/// Packages whose tree stays light, the features it is taken with, and what must not be in it.
pub(super) const LIGHT_TREES: &[(&str, &[&str], &[&str])] = &[
    ("eventhubs-amqp", &[], NO_AZURE_NO_HTTP),
    ("eventhubs-auth", &[], NO_AZURE_NO_HTTP),
    ("eventhubs-auth", &["--features", "entra"], NO_HTTP),
    ("eventhubs-client", &[], NO_AZURE_NO_HTTP),
    ("eventhubs-client", &["--features", "entra"], NO_HTTP),
    ("eventhubs-eph", &[], NO_AZURE_NO_HTTP),
    // The binary has an HTTP port; tests that embed the library do without.
    ("eventhubs-emulator", &["--no-default-features"], NO_AZURE_NO_HTTP),
];

/// TLS is rustls. These are in no tree, with any feature, on any platform, tests included.
pub(super) const NOWHERE: &[&str] =
    &["openssl-sys", "openssl", "native-tls", "azure_storage_blobs", "azure_core_amqp"];

/// Edges between our packages that the lists above do not allow.
pub(super) fn edges(packages: &[Package]) -> Vec<String> {
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut broken = Vec::new();
    for package in packages {
        let name = package.name.as_str();
        if FREE.contains(&name) {
            continue;
        }
        let Some(allowed) = listed(ALLOWED, name) else {
            broken.push(format!("{name} is not in the list of allowed edges"));
            continue;
        };
        let in_tests = listed(ALLOWED_IN_TESTS, name).unwrap_or(&[]);
        for dependency in package.dependencies.iter().filter(|one| ours.contains(&*one.name)) {
            let target = dependency.name.as_str();
            let is_test_only = dependency.kind == DependencyKind::Dev;
            let is_allowed =
                allowed.contains(&target) || (is_test_only && in_tests.contains(&target));
            if !is_allowed {
                let tests = if is_test_only { "the tests of " } else { "" };
                broken.push(format!("{tests}{name} may not depend on {target}"));
            } else if is_test_only && (dependency.requirement != "*" || !dependency.is_path) {
                broken.push(format!(
                    "{name}: the dev-dependency on {target} must be a path without a version"
                ));
            }
        }
    }
    broken
}

/// Crates whose package name is not `eventhubs-<folder>`.
pub(super) fn folders(packages: &[Package]) -> Vec<String> {
    packages
        .iter()
        .filter(|package| is_crate(package))
        .filter_map(|package| {
            let folder = package.folder.file_name()?.to_str()?;
            let expected = format!("eventhubs-{folder}");
            (package.name != expected)
                .then(|| format!("crates/{folder} holds {}, not {expected}", package.name))
        })
        .collect()
}

/// Names of `tree` that match a pattern; a pattern ends in `*` or is a whole name.
pub(super) fn forbidden(whose: &str, tree: &[String], patterns: &[&str]) -> Vec<String> {
    let matches = |name: &str, pattern: &str| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    };
    tree.iter()
        .filter(|name| patterns.iter().any(|pattern| matches(name, pattern)))
        .map(|name| format!("{name} is in the tree of {whose}"))
        .collect()
}

fn listed<'a>(list: &[(&str, &'a [&'a str])], name: &str) -> Option<&'a [&'a str]> {
    list.iter().find(|(have, _)| *have == name).map(|(_, allowed)| *allowed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, dependencies: &[Dependency]) -> Package {
        let folder = name.trim_start_matches("eventhubs-");
        Package {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            rust_version: None,
            folder: if folder == name { folder.into() } else { Path::new("crates").join(folder) },
            features: BTreeMap::new(),
            dependencies: dependencies.to_vec(),
            examples: Vec::new(),
            binaries: Vec::new(),
        }
    }

    fn on(name: &str, kind: DependencyKind, requirement: &str) -> Dependency {
        let requirement = requirement.to_owned();
        Dependency { name: name.to_owned(), kind, requirement, is_path: true }
    }

    /// The five crates with the dependencies they should have.
    fn sound() -> Vec<Package> {
        use DependencyKind::{Dev, Normal};
        vec![
            package("eventhubs-amqp", &[]),
            package("eventhubs-protocol", &[on("eventhubs-amqp", Normal, "^0.1.0")]),
            package("eventhubs-auth", &[on("eventhubs-protocol", Normal, "^0.1.0")]),
            package(
                "eventhubs-client",
                &[
                    on("eventhubs-auth", Normal, "^0.1.0"),
                    on("eventhubs-protocol", Normal, "^0.1.0"),
                    on("eventhubs-amqp", Normal, "^0.1.0"),
                    on("eventhubs-emulator", Dev, "*"),
                ],
            ),
            package(
                "eventhubs-emulator",
                &[on("eventhubs-amqp", Normal, "^0.1.0"), on("eventhubs-client", Dev, "*")],
            ),
            package("xtask", &[]),
            package("eventhubs-examples", &[on("eventhubs-client", Dev, "^0.1.0")]),
        ]
    }

    /// `sound` with one more dependency.
    fn with(name: &str, dependency: Dependency) -> Vec<String> {
        let mut packages = sound();
        let package = packages.iter_mut().find(|one| one.name == name).expect("it is there");
        package.dependencies.push(dependency);
        edges(&packages)
    }

    #[test]
    fn the_intended_edges_are_allowed() {
        assert_eq!(edges(&sound()), Vec::<String>::new());
    }

    #[test]
    fn an_edge_upwards_is_found() {
        use DependencyKind::{Build, Dev, Normal};
        let planted = [
            ("eventhubs-amqp", "eventhubs-protocol", Normal),
            ("eventhubs-protocol", "eventhubs-auth", Normal),
            ("eventhubs-auth", "eventhubs-amqp", Normal),
            ("eventhubs-client", "eventhubs-emulator", Normal),
            ("eventhubs-emulator", "eventhubs-protocol", Normal),
            ("eventhubs-emulator", "eventhubs-protocol", Dev),
            ("eventhubs-client", "eventhubs-emulator", Build),
            ("xtask", "eventhubs-amqp", Normal),
        ];
        for (from, to, kind) in planted {
            let broken = with(from, on(to, kind, "*"));
            assert_eq!(broken.len(), 1, "{from} -> {to}");
            assert!(broken[0].contains(from) && broken[0].contains(to), "{broken:?}");
        }
    }

    #[test]
    fn a_dev_dependency_with_a_version_is_found() {
        let mut packages = sound();
        let client = packages.iter_mut().find(|one| one.name == "eventhubs-client");
        let emulator = client.and_then(|one| one.dependencies.last_mut()).expect("it is there");
        emulator.requirement = "^0.1.0".to_owned();
        let broken = edges(&packages);
        assert!(broken.len() == 1 && broken[0].contains("without a version"), "{broken:?}");
    }

    #[test]
    fn a_package_nobody_listed_is_found() {
        let mut packages = sound();
        packages.push(package("eventhubs-extra", &[]));
        assert!(edges(&packages)[0].contains("eventhubs-extra"));
    }

    #[test]
    fn a_package_in_the_wrong_folder_is_found() {
        let mut packages = sound();
        assert_eq!(folders(&packages), Vec::<String>::new());
        packages[0].folder = PathBuf::from("crates/wire");
        assert_eq!(folders(&packages).len(), 1);
    }

    #[test]
    fn forbidden_crates_are_found_by_name_and_by_prefix() {
        let tree = ["bytes", "azure_core", "hyper", "hyperbole"].map(str::to_owned);
        let broken = forbidden("eventhubs-client", &tree, NO_AZURE_NO_HTTP);
        assert_eq!(broken.len(), 2, "{broken:?}");
        assert!(broken[0].contains("azure_core") && broken[1].contains("hyper "), "{broken:?}");
    }
}

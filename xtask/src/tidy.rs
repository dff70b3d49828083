//! `cargo xtask tidy`: the house rules that no compiler checks.
//!
//! Each rule is a function over text in one of the files beside this one, and has a test that
//! breaks it. This file only reads the tree and hands the texts over.

mod cancel;
mod faults;
mod kinds;
mod manifests;
mod parity;
mod prose;
mod rust;
mod wire;

use std::fmt;

use crate::failure::Failure;
use crate::rust_source::RustSource;
use crate::tally::Tally;
use crate::terminal;
use crate::workspace::Workspace;

/// A broken rule: where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    file: String,
    /// Counted from 1; 0 means the file as a whole.
    line: usize,
    text: String,
}

impl Finding {
    /// A finding at a line counted from 0, as the rules count.
    fn at(file: &str, line: usize, text: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: line + 1, text: text.into() }
    }

    fn whole(file: &str, text: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: 0, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.text),
            line => write!(f, "{}:{line}: {}", self.file, self.text),
        }
    }
}

/// A file with its path relative to the root.
#[derive(Debug)]
struct TextFile {
    path: String,
    text: String,
}

pub(crate) fn run(workspace: &Workspace, _: &[String]) -> Result<Tally, Failure> {
    let files = read_all(workspace)?;
    let packages = workspace.packages(None)?;
    let find = |path: &str| files.iter().find(|file| file.path == path);
    let root = find("Cargo.toml").map_or("", |file| &file.text);
    let tests: Vec<String> = files
        .iter()
        .filter(|file| file.path.ends_with(".rs"))
        .flat_map(|file| rust::declared_tests(&file.path, &RustSource::split(&file.text)))
        .collect();
    let mut findings = Vec::new();
    for file in &files {
        findings.extend(prose::machine_paths(&file.path, &file.text));
        findings.extend(prose::unfinished(&file.path, &file.text));
        if file.path.ends_with(".rs") {
            let source = RustSource::split(&file.text);
            let is_test = rust::is_test_file(&file.path, &tests);
            findings.extend(rust::check(&file.path, &file.text, &source, is_test));
            if file.path.starts_with(cancel::PLACE) {
                findings.extend(cancel::check(&file.path, &file.text));
            }
        }
        if file.path.ends_with(".md") {
            let exists = |path: &str| workspace.path(path).exists();
            findings.extend(prose::links(&file.path, &file.text, exists));
            findings.extend(prose::commands(&file.path, &file.text, &packages));
        }
        if file.path.ends_with("Cargo.toml") && !manifests::stands_alone(&file.text) {
            findings.extend(manifests::member(&file.path, &file.text, root));
            findings.extend(manifests::lints(&file.path, &file.text, root));
        }
    }
    let readme = find("README.md").map_or("", |file| &file.text);
    findings.extend(prose::readme(readme, &packages));
    let contributing = find("CONTRIBUTING.md").map_or("", |file| &file.text);
    findings.extend(prose::verbs_explained(contributing));
    let architecture = find("ARCHITECTURE.md").map_or("", |file| &file.text);
    findings.extend(prose::code_map(architecture, &packages));
    findings.extend(manifests::root(find("Cargo.toml").map_or("", |file| &file.text)));
    findings.extend(manifests::agree(&packages));
    findings.extend(manifests::example_names(&packages));
    findings.extend(wire::check(
        find("docs/wire.md").map_or("", |file| &file.text),
        &wire::NAME_FILES.map(|(by, path)| (by, path, find(path).map_or("", |file| &*file.text))),
    ));
    let sources = files.iter().filter(|file| file.path.ends_with(".rs"));
    findings.extend(faults::check(
        find(faults::DOC).map_or("", |file| &file.text),
        sources.map(|file| (file.path.as_str(), file.text.as_str())),
        find("drills.toml").map_or("", |file| &file.text),
    ));
    findings.extend(kinds::check(
        find(kinds::DOC).map_or("", |file| &file.text),
        find(kinds::SOURCE).map_or("", |file| &file.text),
    ));
    findings.extend(parity::check(find(parity::DOC).map_or("", |file| &file.text), |path| {
        find(path).map(|file| &*file.text)
    }));
    report(&findings, files.len())
}

fn report(findings: &[Finding], files: usize) -> Result<Tally, Failure> {
    for finding in findings {
        terminal::line(format_args!("tidy: {finding}"));
    }
    if findings.is_empty() {
        terminal::line(format_args!("tidy: {files} files, every rule kept"));
        Ok(Tally::default())
    } else {
        Err(Failure::new(format!("{} rules broken", findings.len())))
    }
}

/// Every text file of the tree, but the lock files, which cargo writes.
fn read_all(workspace: &Workspace) -> Result<Vec<TextFile>, Failure> {
    let mut files = Vec::new();
    for path in workspace.files()? {
        if path.ends_with(".lock") || path.ends_with("package-lock.json") {
            continue;
        }
        // What is not text (fuzz seeds, certificates in DER) has no rules here.
        if let Ok(text) = std::fs::read_to_string(workspace.path(&path)) {
            files.push(TextFile { path, text });
        }
    }
    if files.is_empty() {
        return Err(Failure::new("git lists no files: tidy needs the repository"));
    }
    Ok(files)
}

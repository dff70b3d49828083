//! `docs/troubleshooting.md` against the kinds of errors: each has an entry that says its cause, how
//! to see it and what to do, and no entry is about anything else.

use std::collections::BTreeSet;

use super::Finding;

pub(super) const DOC: &str = "docs/troubleshooting.md";
/// Where the kinds are declared.
pub(super) const SOURCE: &str = "crates/client/src/error.rs";

/// What an entry has to say.
const PARTS: [&str; 3] = ["**Cause.**", "**See.**", "**Do.**"];

/// Checks the entries against the variants of `ErrorKind` in `source`.
pub(super) fn check(doc: &str, source: &str) -> Vec<Finding> {
    let mut missing = kinds(source);
    let mut findings = Vec::new();
    if missing.is_empty() {
        findings.push(Finding::whole(SOURCE, "there is no enum ErrorKind to compare with"));
    }
    let mut entry: Option<(usize, &str, Vec<&str>)> = None;
    let headings = doc.lines().enumerate().chain(std::iter::once((0, "## ")));
    for (line, text) in headings {
        let Some(kind) = text.strip_prefix("## ") else {
            if let Some((_, _, parts)) = &mut entry {
                parts.retain(|part| !text.starts_with(*part));
            }
            continue;
        };
        if let Some((line, kind, parts)) = entry.take() {
            let said = |part| Finding::at(DOC, line, format!("{kind} does not say {part}"));
            findings.extend(parts.into_iter().map(said));
        }
        if kind.is_empty() {
            break;
        }
        if !missing.remove(kind) {
            let text = format!("{kind} is no kind of error, or has two entries");
            findings.push(Finding::at(DOC, line, text));
        }
        entry = Some((line, kind, PARTS.to_vec()));
    }
    let absent = |kind| Finding::whole(DOC, format!("the kind {kind} has no entry"));
    findings.extend(missing.into_iter().map(absent));
    findings
}

/// The variants of `pub enum ErrorKind`.
fn kinds(source: &str) -> BTreeSet<&str> {
    let body = source.split_once("pub enum ErrorKind {").map_or("", |(_, rest)| rest);
    let body = body.split_once("\n}").map_or("", |(body, _)| body);
    body.lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(char::is_uppercase))
        .map(|line| line.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: &str = "/// Kinds.\npub enum ErrorKind {\n    /// One.\n    Lost,\n    #[x]\n    \
        Gap {\n        /// First.\n        from: u64,\n    },\n}\n";

    fn document() -> String {
        let entry = |kind| format!("## {kind}\n\n**Cause.** a\n\n**See.** b\n\n**Do.** c\n\n");
        format!("# Title\n\n{}{}", entry("Lost"), entry("Gap"))
    }

    fn findings(doc: &str, source: &str) -> Vec<String> {
        check(doc, source).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_entry_for_each_kind_is_sound() {
        assert_eq!(findings(&document(), KINDS), Vec::<String>::new());
    }

    #[test]
    fn kinds_and_entries_without_each_other_are_found() {
        let added = KINDS.replace("    Lost,\n", "    Lost,\n    New,\n");
        let doc = "docs/troubleshooting.md";
        assert_eq!(findings(&document(), &added), [format!("{doc}: the kind New has no entry")]);
        let gone = KINDS.replace("    Lost,\n", "");
        let found = [format!("{doc}:3: Lost is no kind of error, or has two entries")];
        assert_eq!(findings(&document(), &gone), found);
        let twice = format!("{}{}", document(), &document()[document().find("## Gap").unwrap()..]);
        assert!(findings(&twice, KINDS)[0].contains("Gap is no kind of error, or has two"));
        assert!(findings("", "").iter().any(|one| one.contains("no enum ErrorKind")));
    }

    #[test]
    fn an_entry_that_leaves_something_out_is_found() {
        for part in PARTS {
            let doc = document().replacen(part, "", 1);
            let found = [format!("docs/troubleshooting.md:3: Lost does not say {part}")];
            assert_eq!(findings(&doc, KINDS), found);
            let last = document().rfind(part).unwrap();
            let doc = format!("{}{}", &document()[..last], &document()[last + part.len()..]);
            assert_eq!(findings(&doc, KINDS).len(), 1, "of the last entry too");
        }
    }
}

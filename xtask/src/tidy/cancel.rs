//! Every public future of the client says what dropping it does.

use super::Finding;

/// The sources this is about.
pub(super) const PLACE: &str = "crates/client/src/";

/// The section that says it.
const SECTION: &str = "# Cancel safety";

/// Checks one file: its public async functions, and its public types that are futures.
pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let lines: Vec<&str> = text.lines().collect();
    let mut findings = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let line = line.trim_start();
        let name = line.strip_prefix("pub async fn ").or_else(|| {
            let name = line.strip_prefix("pub struct ")?;
            let name = name.split(|c: char| !c.is_alphanumeric()).next()?;
            let is_future = text.contains(&format!("impl Future for {name} {{"));
            is_future.then_some(name)
        });
        let Some(name) = name else { continue };
        let name = name.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(name);
        let above = lines[..at].iter().rev().map(|line| line.trim_start());
        let mut above = above.take_while(|line| line.starts_with("///") || line.starts_with("#["));
        if !above.any(|line| line.trim_start_matches('/').trim() == SECTION) {
            let text = format!("{name} is a future: say under \"{SECTION}\" what dropping it does");
            findings.push(Finding::at(path, at, text));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "/// Sends.\n///\n/// # Cancel safety\n///\n/// Safe.\n#[inline]\n\
        pub async fn send(&self) {}\n\n    pub(crate) async fn inner() {}\n\npub fn enqueue() {}\n\n\
        /// A send.\n///\n/// # Cancel safety\n///\n/// Safe.\npub struct Sending {}\n\
        impl Future for Sending {\n}\n\npub struct Options;\n";

    fn findings(text: &str) -> Vec<String> {
        check("a.rs", text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn futures_that_say_it_are_sound() {
        assert_eq!(findings(SOUND), Vec::<String>::new());
    }

    #[test]
    fn futures_that_do_not_are_found() {
        let first = SOUND.replacen("/// # Cancel safety", "/// # Panics", 1);
        assert!(findings(&first)[0].starts_with("a.rs:7: send is a future"), "{first}");
        let second = first.replacen("/// # Cancel safety", "/// # Panics", 1);
        assert!(findings(&second)[1].starts_with("a.rs:18: Sending is a future"));
        let bare = "pub async fn close(&self) {}\n";
        assert_eq!(findings(bare).len(), 1);
    }
}

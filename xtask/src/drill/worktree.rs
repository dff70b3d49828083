//! A scratch copy of HEAD, so that a planted bug never touches the files a person is editing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::drill::recipe::Recipe;
use crate::failure::Failure;
use crate::process;
use crate::workspace::Workspace;

const FOLDER: &str = "target/drills";

/// The scratch worktree. It is kept between runs, because its builds are.
#[derive(Debug)]
pub(crate) struct Worktree {
    root: PathBuf,
}

impl Worktree {
    /// Makes the worktree, or brings an old one to HEAD.
    pub(crate) fn at_head(workspace: &Workspace) -> Result<Self, Failure> {
        let root = workspace.path(FOLDER);
        let head = process::capture(workspace.command("git").args(["rev-parse", "HEAD"]))?;
        let head = head.trim();
        if !root.join("Cargo.toml").is_file() {
            let _ = fs::remove_dir_all(&root);
            process::run(workspace.command("git").args(["worktree", "prune"]))?;
            let mut add = workspace.command("git");
            add.args(["worktree", "add", "--quiet", "--force", "--detach", FOLDER, head]);
            process::run(&mut add)?;
        }
        let worktree = Self { root };
        worktree.git(&["checkout", "--quiet", "--force", "--detach", head])?;
        worktree.git(&["clean", "--quiet", "--force", "-d"])?;
        Ok(worktree)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Puts the bug of `recipe` in. Dropping what this returns takes it out again.
    pub(crate) fn plant(&self, recipe: &Recipe) -> Result<Planted, Failure> {
        let path = self.root.join(&recipe.file);
        let original =
            fs::read_to_string(&path).map_err(|error| Failure::io(&recipe.file, &error))?;
        let broken = replace_once(&original, &recipe.replace, &recipe.with)
            .map_err(|problem| Failure::new(format!("{}: {problem}", recipe.file)))?;
        fs::write(&path, broken).map_err(|error| Failure::io(&recipe.file, &error))?;
        Ok(Planted { path, original })
    }

    fn git(&self, arguments: &[&str]) -> Result<(), Failure> {
        let mut command = Command::new("git");
        process::run(command.current_dir(&self.root).args(arguments))
    }
}

/// A file with a bug in it.
#[derive(Debug)]
pub(crate) struct Planted {
    path: PathBuf,
    original: String,
}

impl Drop for Planted {
    fn drop(&mut self) {
        // If this fails, the next run's checkout restores the file.
        let _ = fs::write(&self.path, &self.original);
    }
}

/// Replaces `old` where it stands exactly once.
fn replace_once(text: &str, old: &str, new: &str) -> Result<String, String> {
    match text.matches(old).count() {
        1 => Ok(text.replacen(old, new, 1)),
        0 => Err("the text to replace is not there any more".into()),
        count => Err(format!("the text to replace stands there {count} times")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_must_stand_there_exactly_once() {
        assert_eq!(replace_once("a b c", "b", "x").as_deref(), Ok("a x c"));
        assert!(replace_once("a c", "b", "x").is_err_and(|text| text.contains("not there")));
        assert!(replace_once("a b b", "b", "x").is_err_and(|text| text.contains("2 times")));
    }
}

//! Packages of other languages, installed as lock files say, again when those change.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::process;
use crate::workspace::Workspace;

/// Installs what `package-lock.json` of `folder` names. `what` needs it, for the message when there
/// is no npm.
pub(crate) fn npm(workspace: &Workspace, folder: &str, what: &str) -> Result<(), Failure> {
    let stamp = workspace.path(&format!("{folder}/node_modules/.lock-as-installed"));
    let wanted = workspace.read(&format!("{folder}/package-lock.json"))?;
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    let mut install = workspace.command("npm");
    install.args(["ci", "--silent", "--no-audit", "--no-fund", "--prefix", folder]);
    process::run(&mut install).map_err(|failure| {
        let hint = "Node.js 20.15 or later with npm (https://nodejs.org)";
        Failure::new(format!("{failure}; {what} needs {hint}"))
    })?;
    std::fs::write(&stamp, wanted).map_err(|error| Failure::io(stamp.display(), &error))
}

/// The Python of an environment under `target` that holds exactly the packages of a list, and of
/// the lists that one includes.
pub(crate) fn python(
    workspace: &Workspace,
    environment: &str,
    list: &str,
    what: &str,
) -> Result<PathBuf, Failure> {
    let folder = workspace.path(&format!("target/{environment}"));
    let python = folder.join("bin/python");
    let stamp = folder.join("requirements.txt");
    let wanted = whole_list(workspace, list)?;
    if python.exists() && std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(python);
    }
    let mut make = workspace.command("python3");
    make.args(["-m", "venv", "--clear"]).arg(&folder);
    process::run(&mut make).map_err(|failure| {
        Failure::new(format!(
            "{failure}; {what} needs Python 3.9 or later with venv \
             (Debian and Ubuntu: apt-get install python3 python3-venv)"
        ))
    })?;
    let mut install = workspace.command(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    install.args(["--requirement", list]);
    process::run(&mut install)?;
    std::fs::write(&stamp, wanted).map_err(|error| Failure::io(stamp.display(), &error))?;
    Ok(python)
}

/// A list of packages with the lists it includes by `-r FILE`, which stand in the same folder.
fn whole_list(workspace: &Workspace, list: &str) -> Result<String, Failure> {
    let folder = list.rsplit_once('/').map_or("", |(folder, _)| folder);
    let own = workspace.read(list)?;
    let mut whole = own.clone();
    for included in own.lines().filter_map(|line| line.strip_prefix("-r ")) {
        whole.push_str(&workspace.read(&format!("{folder}/{included}"))?);
    }
    Ok(whole)
}

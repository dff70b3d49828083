//! Headless Chromium, one process for each page.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::Failure;

/// What it is called, in the order in which it is looked for.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
/// Time for one page; a cold start on a busy machine takes some seconds.
const DEADLINE: Duration = Duration::from_secs(50);

pub(crate) struct Browser {
    program: PathBuf,
}

impl Browser {
    /// The browser on the path.
    pub(crate) fn find() -> Result<Self, Failure> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let all = std::env::split_paths(&path);
        let found = all.flat_map(|folder| NAMES.map(|name| folder.join(name)));
        let program = found.into_iter().find(|program| program.is_file()).ok_or(
            "there is no Chromium on this machine (Debian and Ubuntu: apt-get install chromium)",
        )?;
        Ok(Self { program })
    }

    /// The document as the browser has it after loading.
    pub(crate) async fn load(&self, url: &str) -> Result<String, Failure> {
        let page = self.run(&["--dump-dom".into(), url.into()]).await?;
        match page.contains("</html>") {
            true => Ok(page),
            false => Err(format!("the browser gave no page: {page:?}").into()),
        }
    }

    /// Takes a picture.
    pub(crate) async fn photograph(&self, url: &str, file: &Path) -> Result<(), Failure> {
        let screenshot = format!("--screenshot={}", file.display());
        self.run(&[screenshot, "--window-size=1100,1700".into(), url.into()]).await?;
        Ok(())
    }

    /// Runs the browser with a profile of its own, which goes with it.
    async fn run(&self, arguments: &[String]) -> Result<String, Failure> {
        // Removed at the end. A browser that is still ending may hold files; they are temporary.
        let profile = tempfile::Builder::new().prefix("eventhubs-page-").tempdir()?;
        let mut command = Command::new(&self.program);
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--disable-dev-shm-usage", "--hide-scrollbars", "--no-proxy-server"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-sync"])
            .args(["--disable-component-update", "--disable-extensions"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let output = timeout(DEADLINE, command.output())
            .await
            .map_err(|_| format!("the browser took more than {} s", DEADLINE.as_secs()))??;
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout)?),
            false => Err(format!("the browser ended with {}", output.status).into()),
        }
    }
}

//! The emulator as a child process, which ends with this one.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Failure;

/// Partitions of the hub that everything goes to.
pub(crate) const PARTITIONS: u16 = 8;
/// Its name.
pub(crate) const HUB: &str = "hub";

/// A running emulator.
#[derive(Debug)]
pub(crate) struct Emulator {
    child: Child,
    input: Option<ChildStdin>,
    authority: PathBuf,
    /// Time from the call that started it to the line that says it accepts.
    pub(crate) ready_after: Duration,
    plain: String,
    tls: String,
}

impl Emulator {
    /// Starts `program` with a listener for plaintext and one for TLS, or the former only.
    #[expect(clippy::disallowed_methods, reason = "measuring time is what this program is for")]
    pub(crate) fn start(program: &Path, with_tls: bool) -> Result<Self, Failure> {
        let name = format!("eventhubs-bench-{}.pem", std::process::id());
        let authority = std::env::temp_dir().join(name);
        let mut command = Command::new(program);
        command.args(["--amqp", "127.0.0.1:0", "--hub", &format!("{HUB}:{PARTITIONS}")]);
        if with_tls {
            command.args(["--amqps", "127.0.0.1:0", "--ca-out"]).arg(&authority);
        }
        let began = Instant::now();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let ready = lines.next().ok_or("the emulator has ended")??;
        let ready_after = began.elapsed();
        let plain = lines.next().ok_or("the emulator has ended")??;
        let tls = ready.split_whitespace().find_map(|word| word.strip_prefix("amqps="));
        let login = plain.split(';').filter(|field| field.starts_with("SharedAccessKey"));
        let login = login.collect::<Vec<_>>().join(";");
        let tls = tls.map_or_else(String::new, |at| format!("Endpoint=sb://{at};{login}"));
        Ok(Self { child, input, authority, ready_after, plain, tls })
    }

    pub(crate) fn plain(&self) -> &str {
        &self.plain
    }

    pub(crate) fn tls(&self) -> &str {
        &self.tls
    }

    /// The authority to trust, in DER.
    pub(crate) fn authority(&self) -> Result<Vec<u8>, Failure> {
        let text = std::fs::read_to_string(&self.authority)?;
        let lines = text.lines().filter(|line| !line.starts_with("-----"));
        Ok(STANDARD.decode(lines.collect::<String>())?)
    }

    /// Bytes of memory that the process holds, as the kernel counts them.
    pub(crate) fn resident(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
        let kibibytes: u64 = kibibytes.ok_or("the kernel does not tell")?.trim().parse()?;
        Ok(kibibytes << 10)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // The end of its input would end it too; not waiting for that keeps this short.
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.authority);
    }
}

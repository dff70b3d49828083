//! Running other programs: with their output shown, captured, watched line by line, or under a
//! time limit.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::failure::Failure;

/// Most bytes kept of one stream of a program that runs under a time limit.
const KEPT_OUTPUT: u64 = 4 << 20;

/// A command line as a person would type it, for messages.
pub(crate) fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// Runs a program with its output on ours; anything but success is a failure.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|error| Failure::io(shown(command), &error))?;
    if status.success() { Ok(()) } else { Err(ended(command, status)) }
}

/// Runs a program and returns what it wrote to standard output; its errors go to ours.
pub(crate) fn capture(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::io(shown(command), &error))?;
    if !output.status.success() {
        return Err(ended(command, output.status));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| Failure::new(format!("{}: its output is not UTF-8", shown(command))))
}

/// Runs a program and passes each line of its standard output on.
pub(crate) fn watch(
    command: &mut Command,
    mut line: impl FnMut(&str),
) -> Result<ExitStatus, Failure> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::io(shown(command), &error))?;
    if let Some(stdout) = child.stdout.take() {
        for text in BufReader::new(stdout).split(b'\n') {
            let text = text.map_err(|error| Failure::io(shown(command), &error))?;
            line(&String::from_utf8_lossy(&text));
        }
    }
    child.wait().map_err(|error| Failure::io(shown(command), &error))
}

/// The same command, to run with whatever processor time nothing else wants.
pub(crate) fn behind(command: &Command) -> Command {
    let mut nice = Command::new("nice");
    nice.args(["-n", "19"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => nice.env(name, value),
            None => nice.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        nice.current_dir(folder);
    }
    nice
}

/// How a program under a time limit ended.
#[derive(Debug)]
pub(crate) enum Ending {
    Exited(ExitStatus),
    /// It was still running at the limit and was killed.
    TimedOut,
}

/// Runs a program without input for at most `limit` and returns its ending and its standard
/// output. Only the program itself is killed at the limit, so start it directly and not through
/// another program.
pub(crate) fn limited(command: &mut Command, limit: Duration) -> Result<(Ending, String), Failure> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::io(shown(command), &error))?;
    let (send, receive) = mpsc::channel();
    drain(child.stderr.take(), mpsc::channel().0);
    drain(child.stdout.take(), send);
    let output = receive.recv_timeout(limit);
    let ending = if output.is_ok() {
        // It closed its output, which a test binary does by ending.
        Ending::Exited(child.wait().map_err(|error| Failure::io(shown(command), &error))?)
    } else {
        stop(&mut child);
        Ending::TimedOut
    };
    Ok((ending, output.unwrap_or_default()))
}

/// Reads a stream to its end on a thread of its own, so that the program never waits for us.
fn drain(stream: Option<impl Read + Send + 'static>, done: mpsc::Sender<String>) {
    let Some(mut stream) = stream else { return };
    thread::spawn(move || {
        let mut kept = Vec::new();
        let _ = (&mut stream).take(KEPT_OUTPUT).read_to_end(&mut kept);
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
        let _ = done.send(String::from_utf8_lossy(&kept).into_owned());
    });
}

fn stop(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn ended(command: &Command, status: ExitStatus) -> Failure {
    Failure::new(format!("`{}` ended with {status}", shown(command)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_that_ends_returns_its_output() {
        let (ending, output) =
            limited(&mut shell("echo one; exit 3"), Duration::from_secs(30)).expect("sh runs");
        assert!(matches!(ending, Ending::Exited(status) if status.code() == Some(3)));
        assert_eq!(output, "one\n");
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let mut command = Command::new("tail");
        command.args(["-f", "/dev/null"]);
        let (ending, _) = limited(&mut command, Duration::from_millis(50)).expect("tail runs");
        assert!(matches!(ending, Ending::TimedOut));
    }

    #[test]
    fn what_runs_behind_is_the_same_command_and_nice() {
        let mut command = shell("nice; pwd; echo \"$GIVEN ${PATH_INFO-gone}\"");
        command.env("GIVEN", "given").env_remove("PATH_INFO").current_dir("/");
        let output = capture(&mut behind(&command)).expect("sh runs");
        assert_eq!(output, "19\n/\ngiven gone\n");
    }

    #[test]
    fn a_failing_program_is_a_failure_that_names_it() {
        let failure = run(&mut shell("exit 7")).expect_err("exit 7 is no success");
        assert!(failure.to_string().contains("exit 7"));
    }

    #[test]
    fn lines_are_passed_on() {
        let mut lines = Vec::new();
        let status = watch(&mut shell("echo a; echo b"), |line| lines.push(line.to_owned()));
        assert!(status.expect("sh runs").success());
        assert_eq!(lines, ["a", "b"]);
    }
}

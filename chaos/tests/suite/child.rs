//! The process of a host ends with its parent.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use eventhubs_chaos::run::CHILD;

fn spawn() -> Child {
    Command::new(env!("CARGO_BIN_EXE_chaos"))
        .arg(CHILD)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it begins")
}

#[test]
fn a_process_that_is_told_nothing_says_so_and_ends() {
    let mut child = spawn();
    drop(child.stdin.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(!output.status.success());
    assert!(!output.stderr.is_empty(), "the parent finds why");
}

/// A process at work: a host whose hub nobody serves, which goes on trying.
#[test]
fn a_process_at_work_ends_when_its_parent_is_gone() {
    let folder = tempfile::tempdir().expect("there is room");
    let mut child = spawn();
    let mut input = child.stdin.take().expect("it is a pipe");
    let mut said = BufReader::new(child.stdout.take().expect("it is a pipe"));
    let connection = "Endpoint=sb://localhost:1;SharedAccessKeyName=k;SharedAccessKey=c2VjcmV0;\
         UseDevelopmentEmulator=true;EntityPath=hub";
    let folder = folder.path().display();
    writeln!(input, "0 0 each 1 1 1\n{folder}\n{connection}").expect("it reads");
    let mut line = String::new();
    loop {
        line.clear();
        assert!(said.read_line(&mut line).expect("it is text") > 0, "it ended too early");
        if line.trim() == "clock" {
            writeln!(input, "1000").expect("it reads");
        }
        // The last thing before it does what it is told.
        if line.contains("owner") {
            break;
        }
    }
    drop(input);
    assert!(child.wait().expect("it ends").success());
}

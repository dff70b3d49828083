//! The binary: what it prints, and when it ends.
#![cfg(feature = "bin")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

struct Started {
    child: Child,
    ready: String,
    connection_string: String,
}

fn start(arguments: &[&str]) -> Started {
    let mut child = Command::new(env!("CARGO_BIN_EXE_eventhubs-emulator"))
        .args(["--amqp", "127.0.0.1:0"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut line = || lines.next().expect("a line").expect("text");
    let ready = line();
    let connection_string = line();
    Started { child, ready, connection_string }
}

/// Asks for SASL and reads the header that answers.
fn greet(address: &str) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(b"AMQP\x03\x01\x00\x00").expect("it reads");
    let mut header = [0; 8];
    stream.read_exact(&mut header).expect("it answers");
    assert_eq!(&header, b"AMQP\x03\x01\x00\x00");
}

#[test]
fn it_says_where_it_is_and_ends_with_its_parent() {
    let arguments = ["--amqp", "127.0.0.1:0", "--hub", "a:2", "--sas", "name:k:ey="];
    let mut started = start(&arguments);
    let addresses: Vec<_> = started
        .ready
        .strip_prefix("ready ")
        .unwrap()
        .split(' ')
        .map(|listener| listener.strip_prefix("amqp=").unwrap())
        .collect();
    assert_eq!(addresses.len(), 2);
    assert_eq!(
        started.connection_string,
        format!(
            "Endpoint=sb://{};SharedAccessKeyName=name;SharedAccessKey=k:ey=;\
             UseDevelopmentEmulator=true",
            addresses[0]
        )
    );
    for address in addresses {
        greet(address);
    }
    drop(started.child.stdin.take());
    assert!(started.child.wait().unwrap().success());
}

#[test]
fn bad_arguments_are_named() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_eventhubs-emulator"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!output.status.success());
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(run(&["--hub", "nopartitions"]).contains("NAME:PARTITIONS"));
    assert!(run(&["--hub", "a:0"]).contains("hub 'a' has 0 partitions"));
    assert!(run(&["--amqp", "nowhere"]).contains("--amqp nowhere"));
    let secret = run(&["--sas", "name:topsecret", "--sas", "name:topsecret"]);
    assert!(secret.contains("key 'name' is configured twice") && !secret.contains("topsecret"));
}

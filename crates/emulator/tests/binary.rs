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

/// The kinds and addresses of a ready line, in its order.
fn listeners(ready: &str) -> impl Iterator<Item = (&str, &str)> {
    let all = ready.strip_prefix("ready ").expect("the first line").split(' ');
    all.map(|listener| listener.split_once('=').expect("kind and address"))
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
    let arguments = ["--amqp", "127.0.0.1:0", "--amqp", "localhost:0"];
    let mut started = start(&[&arguments[..], &["--hub", "a:2", "--sas", "name:k:ey="]].concat());
    let addresses: Vec<_> = listeners(&started.ready)
        .map(|(kind, address)| {
            assert_eq!(kind, "amqp");
            address
        })
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
fn it_names_every_listener_and_writes_its_authority() {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    let arguments = [
        "--wss",
        "localhost:0",
        "--ws",
        "127.0.0.1:0",
        "--amqps",
        "localhost:0",
        "--amqps",
        "127.0.0.1:0",
        "--ca-out",
        ca.to_str().unwrap(),
    ];
    let mut started = start(&arguments);
    let (kinds, addresses): (Vec<_>, Vec<_>) = listeners(&started.ready).unzip();
    assert_eq!(kinds, ["amqps", "amqps", "ws", "wss"], "no plaintext AMQP that nobody asked for");
    for address in &addresses {
        assert!(address.starts_with("127.0.0.1:") && !address.ends_with(":0"), "{address}");
        TcpStream::connect(address).expect("it listens");
    }
    let endpoint = format!("Endpoint=sb://{};", addresses[0]);
    assert!(started.connection_string.starts_with(&endpoint), "{}", started.connection_string);
    assert!(!started.connection_string.contains("Development"), "that would mean plaintext");
    let pem = std::fs::read_to_string(ca).unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----\n") && !pem.contains("PRIVATE"));
    drop(started.child.stdin.take());
    assert!(started.child.wait().unwrap().success());
}

#[test]
fn it_warns_of_what_other_machines_can_reach() {
    let complaint = |arguments: &[&str]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_eventhubs-emulator"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary was built");
        drop(child.stdin.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let wide = complaint(&["--amqp", "0.0.0.0:0"]);
    assert!(wide.contains("warning: amqp=0.0.0.0:"), "{wide}");
    assert_eq!(complaint(&["--amqp", "localhost:0", "--ws", "[::1]:0"]), "");
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
    assert!(run(&["--amqp", "127.0.0.1:0", "--ca-out", "x"]).contains("--ca-out"));
    let files = ["--amqps", "127.0.0.1:0", "--cert", "no-chain.pem", "--key", "no-key.pem"];
    assert!(run(&files).contains("no-chain.pem"));
    let secret = run(&["--sas", "name:topsecret", "--sas", "name:topsecret"]);
    assert!(secret.contains("key 'name' is configured twice") && !secret.contains("topsecret"));
}

#[test]
fn the_hubs_of_a_vendors_file_are_served() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/config/Config.json");
    let mut started = start(&["--amqp", "127.0.0.1:0", "--config", golden, "--hub", "more:1"]);
    drop(started.child.stdin.take());
    assert!(started.child.wait().unwrap().success());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("Config.json");
    let complaint = |text: &str, hub: &str| {
        std::fs::write(&path, text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_eventhubs-emulator"))
            .args(["--amqp", "127.0.0.1:0", "--hub", hub, "--config"])
            .arg(&path)
            .stdin(Stdio::piped())
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let text = std::fs::read_to_string(golden).unwrap();
    let twice = complaint(&text, "ORDERS:1");
    assert!(!twice.0 && twice.1.contains("hub 'ORDERS' is configured twice"), "{twice:?}");
    let two = text.replace("\"PartitionCount\": 4", "\"PartitionCount\": 40");
    let (success, said) = complaint(&two.replace("File,Console", "None"), "more:1");
    let lines: Vec<_> = said.lines().collect();
    assert!(!success && lines.len() == 2, "{said}");
    assert!(lines[0].contains("Config.json: $.UserConfig.LoggingConfig.Type: use File"), "{said}");
    assert!(lines[1].contains(".Entities[0].PartitionCount: use a number from 1 to 32"), "{said}");
    let (success, said) = complaint(&text.replace("emulatorNs1", "mine"), "more:1");
    assert!(success && said.contains("warning: ") && said.contains("'mine' is not used"), "{said}");
}

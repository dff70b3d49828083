//! `Hub::from_environment`. Variables belong to a process, so each case is a process of its own:
//! this test binary again, running the one test that prints what it finds.

use std::process::Command;

use eventhubs_client::Hub;

use crate::support::CANARY;

const CHILD: &str = "EVENTHUBS_TEST_CHILD";
const VARIABLES: [&str; 6] = [
    "EVENTHUB_CONNECTION_STRING",
    "EVENTHUB_NAMESPACE",
    "EVENTHUB_NAME",
    "EVENTHUB_KEY_NAME",
    "EVENTHUB_KEY_VALUE",
    "AZURE_ENVIRONMENT",
];

/// Prints the hub of its environment when it runs as a child, and does nothing otherwise.
#[test]
fn the_child() {
    if std::env::var_os(CHILD).is_some() {
        match Hub::from_environment() {
            Ok(hub) => println!("\nhub={}/{}", hub.host(), hub.name()),
            Err(error) => println!("\nerror={error} {error:?}"),
        }
    }
}

/// What a process with these variables prints.
fn found(variables: &[(&str, &str)]) -> String {
    let program = std::env::current_exe().expect("this test runs from a file");
    let mut child = Command::new(program);
    child.args(["--exact", "environment::the_child", "--nocapture"]).env(CHILD, "1");
    for variable in VARIABLES {
        child.env_remove(variable);
    }
    let output = child.envs(variables.iter().copied()).output().expect("it starts");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let line = text.lines().find(|line| line.starts_with("hub=") || line.starts_with("error="));
    line.expect("it printed what it found").to_owned()
}

#[test]
fn the_environment_names_a_hub() {
    let string = "Endpoint=sb://h.example/;SharedAccessKeyName=n;SharedAccessKey=k";
    let with_path = format!("{string};EntityPath=path");
    let key = [("EVENTHUB_KEY_NAME", "n"), ("EVENTHUB_KEY_VALUE", CANARY)];
    let whole = "EVENTHUB_CONNECTION_STRING";
    assert_eq!(found(&[(whole, &with_path)]), "hub=h.example/path");
    assert_eq!(found(&[(whole, string), ("EVENTHUB_NAME", "named")]), "hub=h.example/named");
    assert_eq!(found(&[(whole, &with_path), ("EVENTHUB_NAME", "other")]), "hub=h.example/path");
    let place = [("EVENTHUB_NAMESPACE", "ns"), ("EVENTHUB_NAME", "hub")];
    let all = [place, key].concat();
    assert_eq!(found(&all), "hub=ns.servicebus.windows.net/hub");
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let bare = format!("Endpoint=sb://h.example/;SharedAccessKeyName=n;SharedAccessKey={CANARY}");
    let broken = format!("Endpoint=sb://h.example/;SharedAccessKey={CANARY}");
    let place = [("EVENTHUB_NAMESPACE", "ns"), ("EVENTHUB_NAME", "hub")];
    let table: [(Vec<(&str, &str)>, &str); 7] = [
        (vec![], "EVENTHUB_CONNECTION_STRING"),
        (vec![("EVENTHUB_CONNECTION_STRING", &bare)], "no hub"),
        (vec![("EVENTHUB_CONNECTION_STRING", &broken)], "EVENTHUB_CONNECTION_STRING"),
        (vec![("EVENTHUB_NAMESPACE", "ns")], "EVENTHUB_NAME"),
        (place.to_vec(), "EVENTHUB_KEY_NAME"),
        ([&place[..], &[("EVENTHUB_KEY_VALUE", CANARY)]].concat(), "EVENTHUB_KEY_NAME"),
        ([&place[..], &[("EVENTHUB_KEY_NAME", "n")]].concat(), "EVENTHUB_KEY_VALUE"),
    ];
    for (variables, about) in table {
        let text = found(&variables);
        assert!(text.starts_with("error=") && text.contains(about), "{about}: {text}");
        assert!(text.contains("InvalidInput"), "{text}");
        assert!(!text.to_ascii_lowercase().contains("canary"), "{text}");
    }
}

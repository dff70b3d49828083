//! Configuration by environment variables.

use eventhubs_auth::{Cloud, Credential, Environment, Error, Problem};
use std::collections::HashMap;

fn read(variables: &[(&str, &str)]) -> Result<Environment, Error> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    Environment::read(|name| variables.get(name).map(|value| (*value).to_owned()))
}

#[test]
fn nothing_set() {
    let environment = read(&[]).expect("all optional");
    assert!(environment.connection_string.is_none() && environment.host.is_none());
    assert!(environment.credential().is_none());
    assert_eq!(environment.cloud, Cloud::Public);
    let blank = read(&[("EVENTHUB_CONNECTION_STRING", " "), ("EVENTHUB_KEY_NAME", "")]);
    assert!(blank.expect("as if unset").credential().is_none());
}

#[test]
fn everything_set() {
    let environment = read(&[
        ("EVENTHUB_CONNECTION_STRING", "Endpoint=sb://h;SharedAccessKeyName=a;SharedAccessKey=b"),
        ("EVENTHUB_NAMESPACE", "NS"),
        ("EVENTHUB_NAME", "hub"),
        ("EVENTHUB_KEY_NAME", "name"),
        ("EVENTHUB_KEY_VALUE", "value"),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_CLIENT_SECRET", "secret"),
        ("AZURE_CERTIFICATE_PATH", "/cert"),
        ("AZURE_CERTIFICATE_PASSWORD", "password"),
        ("AZURE_ENVIRONMENT", "azurechinacloud"),
    ])
    .expect("all usable");
    assert_eq!(environment.host.as_deref(), Some("ns.servicebus.chinacloudapi.cn"));
    assert_eq!(environment.hub.as_ref().map(|hub| hub.as_str()), Some("hub"));
    assert_eq!(environment.tenant_id.as_deref(), Some("tenant"));
    assert_eq!(environment.client_id.as_deref(), Some("client"));
    assert_eq!(environment.client_secret.as_ref().map(|s| s.expose()), Some("secret"));
    assert_eq!(environment.certificate_password.as_ref().map(|s| s.expose()), Some("password"));
    assert!(environment.certificate_path.is_some());
    // The connection string goes before the key.
    let Some(Credential::Key(key)) = environment.credential() else { panic!("a key") };
    assert_eq!(key.name(), "a");
}

#[test]
fn the_key_is_the_second_choice() {
    let environment = read(&[("EVENTHUB_KEY_NAME", "name"), ("EVENTHUB_KEY_VALUE", "value")]);
    let credential = environment.expect("both set").credential();
    assert!(matches!(credential, Some(Credential::Key(key)) if key.name() == "name"));
}

#[test]
fn namespaces_and_hosts() {
    for (given, host) in [
        ("ns", "ns.servicebus.windows.net"),
        ("ns.servicebus.windows.net", "ns.servicebus.windows.net"),
        ("localhost", "localhost"),
        ("[::1]", "[::1]"),
    ] {
        let environment = read(&[("EVENTHUB_NAMESPACE", given)]).expect(given);
        assert_eq!(environment.host.as_deref(), Some(host));
    }
}

#[test]
fn what_cannot_be_used_is_named() {
    for (variables, name) in [
        (&[("EVENTHUB_KEY_NAME", "CANARY")][..], "EVENTHUB_KEY_VALUE"),
        (&[("EVENTHUB_KEY_VALUE", "CANARY")], "EVENTHUB_KEY_NAME"),
        (&[("EVENTHUB_NAME", "CANARY/")], "EVENTHUB_NAME"),
        (&[("EVENTHUB_NAMESPACE", "CANARY/")], "EVENTHUB_NAMESPACE"),
        (&[("EVENTHUB_CONNECTION_STRING", "CANARY")], "EVENTHUB_CONNECTION_STRING"),
        (&[("AZURE_ENVIRONMENT", "CANARY")], "AZURE_ENVIRONMENT"),
    ] {
        let error = read(variables).expect_err(name);
        let shown = format!("{error} {error:?}");
        assert!(error.to_string().contains(name), "{shown}");
        assert!(!shown.contains("CANARY"), "{shown}");
    }
    let missing = read(&[("EVENTHUB_KEY_NAME", "n")]).expect_err("no value");
    assert!(matches!(missing, Error::Environment { problem: Problem::Missing, .. }));
}

//! Clouds by name and by host.

use eventhubs_auth::{Cloud, Error};

#[test]
fn names_in_any_letter_case() {
    for (name, cloud, suffix) in [
        ("AzureCloud", Cloud::Public, "servicebus.windows.net"),
        ("AZUREPUBLICCLOUD", Cloud::Public, "servicebus.windows.net"),
        ("azurechinacloud", Cloud::China, "servicebus.chinacloudapi.cn"),
        ("AzureUSGovernment", Cloud::UsGovernment, "servicebus.usgovcloudapi.net"),
        (" AzureUSGovernmentCloud ", Cloud::UsGovernment, "servicebus.usgovcloudapi.net"),
        ("AzureGermanCloud", Cloud::Germany, "servicebus.cloudapi.de"),
    ] {
        let parsed: Cloud = name.parse().expect(name);
        assert_eq!(parsed, cloud);
        assert_eq!(parsed.host("ns"), format!("ns.{suffix}"));
    }
    for name in ["", "AzureStackCloud", "Azure"] {
        let error = name.parse::<Cloud>().expect_err("unknown");
        assert!(matches!(error, Error::UnknownCloud));
        assert!(error.to_string().contains("AzurePublicCloud"), "{error}");
    }
}

#[test]
fn the_other_endpoints() {
    let public = Cloud::default();
    assert_eq!(public.storage_suffix(), "core.windows.net");
    assert_eq!(public.authority(), "https://login.microsoftonline.com/");
    assert_eq!(public.resource_manager(), "https://management.azure.com/");
    assert_eq!(Cloud::China.storage_suffix(), "core.chinacloudapi.cn");
    assert_eq!(Cloud::UsGovernment.authority(), "https://login.microsoftonline.us/");
    assert_eq!(Cloud::Germany.resource_manager(), "https://management.microsoftazure.de/");
}

#[test]
fn hosts() {
    for (host, cloud) in [
        ("ns.servicebus.windows.net", Some(Cloud::Public)),
        ("NS.ServiceBus.Windows.Net", Some(Cloud::Public)),
        ("ns.servicebus.windows.net.", Some(Cloud::Public)),
        ("servicebus.windows.net", Some(Cloud::Public)),
        ("a.b.servicebus.chinacloudapi.cn", Some(Cloud::China)),
        ("ns.servicebus.usgovcloudapi.net", Some(Cloud::UsGovernment)),
        ("ns.servicebus.cloudapi.de", Some(Cloud::Germany)),
        ("evilservicebus.windows.net", None),
        ("servicebus.windows.net.example", None),
        ("localhost", None),
        ("é.net", None),
        ("", None),
    ] {
        assert_eq!(Cloud::of_host(host), cloud, "{host}");
    }
}

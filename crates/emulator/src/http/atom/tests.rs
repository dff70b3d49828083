use hyper::header::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::config::{Config, Rights, SasKey};
use crate::http::tests::{office, request, text};
use crate::rules::token::sign;

/// Far in the future, in seconds since 1970.
const LATER: i64 = 4_000_000_000;
const NS: &str = "http://ns.example:8080";

fn shop() -> Office {
    let config = Config::default()
        .with_hub_config(HubConfig::new("Orders", 2).with_consumer_group("billing"))
        .with_sas_key(SasKey::new("root", "k1"))
        .with_sas_key(SasKey::new("reader", "k2").with_rights(Rights::LISTEN));
    office(&config).0
}

/// One request with a token for its whole URL, as the Go library makes them.
fn call(office: &Office, method: &str, target: &str, body: &str, update: bool) -> Response {
    let mut request = request(method, target, body.to_owned());
    let token = sign(&format!("{NS}{target}"), "root", "k1", LATER);
    let headers = request.headers_mut();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&token).unwrap());
    if update {
        headers.insert(header::IF_MATCH, HeaderValue::from_static("*"));
    }
    answer(office, "http", &request)
}

fn hub_body(fields: &str) -> String {
    format!(
        "<entry xmlns='http://www.w3.org/2005/Atom'><content type='application/xml'>\
         <EventHubDescription xmlns='{}'>{fields}</EventHubDescription></content></entry>",
        atom::SERVICE_SCHEMA
    )
}

fn group_body() -> &'static str {
    "<entry><content><ConsumerGroupDescription/></content></entry>"
}

/// What stands in the only element of this name.
#[track_caller]
fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    assert_eq!(xml.matches(&open).count(), 1, "{name} in {xml}");
    xml.split_once(&open).unwrap().1.split_once(&close).unwrap().0
}

/// The document is well-formed and its root has this name.
#[track_caller]
fn assert_xml(xml: &str, root: &str) {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(xml);
    let (mut depth, mut first) = (0, None);
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error} in {xml}")) {
            Event::Start(start) => {
                depth += 1;
                first.get_or_insert_with(|| start.name().as_ref().to_vec());
            }
            Event::End(_) => depth -= 1,
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0, "{xml}");
    assert_eq!(first.as_deref(), Some(root.as_bytes()), "{xml}");
}

#[test]
fn the_hub_managers_round() {
    let office = shop();
    let version = "?api-version=2017-04";
    let body = hub_body(
        "<MessageRetentionInDays>3</MessageRetentionInDays><PartitionCount>8</PartitionCount>",
    );
    let created = call(&office, "PUT", &format!("/new{version}"), &body, false);
    assert_eq!(created.status(), 201);
    assert_eq!(created.headers()[header::CONTENT_TYPE], ENTRY);
    let read = call(&office, "GET", &format!("/new{version}"), "", false);
    assert_eq!(read.status(), 200);
    for xml in [text(&created), text(&read)] {
        assert_xml(&xml, "entry");
        assert!(xml.contains("<title type=\"text\">new</title>"), "{xml}");
        assert!(xml.contains(&format!("<id>{NS}/new?api-version=2017-04</id>")), "{xml}");
        assert!(xml.contains("<author><name>ns</name></author>"), "{xml}");
        assert_eq!(element(&xml, "MessageRetentionInDays"), "3");
        assert_eq!(element(&xml, "SizeInBytes"), "0");
        assert_eq!(element(&xml, "Status"), "Active");
        assert_eq!(element(&xml, "PartitionCount"), "8");
        assert_eq!(element(&xml, "EntityAvailabilityStatus"), "Available");
        assert!(xml.contains("<a:string>7</a:string></PartitionIds>"), "{xml}");
        assert!(element(&xml, "CreatedAt").ends_with('Z'), "Go fails on times without a zone");
    }
    let list = call(&office, "GET", &format!("/$Resources/EventHubs{version}"), "", false);
    let list = text(&list);
    assert_xml(&list, "feed");
    assert!(list.contains("<title type=\"text\">EventHubs</title>"), "{list}");
    assert_eq!(list.matches("<entry ").count(), 2);
    assert!(list.contains("<title type=\"text\">Orders</title>"), "{list}");
    let deleted = call(&office, "DELETE", &format!("/new{version}"), "", false);
    assert_eq!(deleted.status(), 200);
    let missing = call(&office, "GET", &format!("/new{version}"), "", false);
    assert_eq!(missing.status(), 200, "so the service does it");
    let missing = text(&missing);
    assert_xml(&missing, "feed");
    assert!(missing.contains("<title type=\"text\">Publicly Listed Services</title>"));
    assert!(!missing.contains("<entry"));
}

#[test]
fn an_existing_hub_is_changed_only_when_meant() {
    let office = shop();
    let body = hub_body("<Status>SendDisabled</Status><PartitionCount>4</PartitionCount>");
    let refused = call(&office, "PUT", "/orders", &body, false);
    assert_eq!(refused.status(), 409);
    assert!(text(&refused).starts_with("<Error><Code>409</Code><Detail>SubCode=40900."));
    let changed = call(&office, "PUT", "/orders", &body, true);
    assert_eq!(changed.status(), 200);
    let changed = text(&changed);
    assert_eq!(element(&changed, "Status"), "SendDisabled");
    assert_eq!(element(&changed, "PartitionCount"), "4");
    assert_eq!(element(&changed, "MessageRetentionInDays"), "7", "not said, not changed");
    let missing = call(&office, "PUT", "/no", &body, true);
    assert_eq!(missing.status(), 404);
}

#[test]
fn what_cannot_be_done_has_a_status() {
    let office = shop();
    let status = |method, target, body: &str| {
        let response = call(&office, method, target, body, false);
        assert_xml(&text(&response), "Error");
        assert_eq!(element(&text(&response), "Code"), response.status().as_str());
        response.status().as_u16()
    };
    assert_eq!(status("PUT", "/new", ""), 400);
    assert_eq!(status("PUT", "/new", "<entry>"), 400);
    assert_eq!(status("PUT", "/new", group_body()), 400);
    assert_eq!(status("PUT", "/new", &hub_body("<PartitionCount>0</PartitionCount>")), 400);
    assert_eq!(status("PUT", "/new", &hub_body("<Status>Odd</Status>")), 400);
    assert_eq!(status("PUT", "/-new", &hub_body("")), 400);
    assert_eq!(status("DELETE", "/new", ""), 404);
    assert_eq!(status("POST", "/orders", ""), 405);
    assert_eq!(status("GET", "/orders/Elsewhere/x", ""), 404);
    assert_eq!(status("GET", "/orders/ConsumerGroups/no", ""), 404);
    assert_eq!(status("GET", "/no/ConsumerGroups", ""), 404);
    assert_eq!(status("DELETE", "/orders/ConsumerGroups/no", ""), 404);
    assert_eq!(status("DELETE", "/orders/ConsumerGroups/$Default", ""), 400);
    assert_eq!(status("PUT", "/orders/ConsumerGroups/g", &hub_body("")), 400);
    assert_eq!(status("PUT", "/orders/ConsumerGroups/Billing", group_body()), 409);
    assert_eq!(status("GET", "/$Resources/EventHubs?$top=x", ""), 400);
}

#[test]
fn consumer_groups_are_managed() {
    let office = shop();
    let created = call(&office, "PUT", "/orders/consumergroups/g1", group_body(), false);
    assert_eq!(created.status(), 201);
    let created = text(&created);
    assert_xml(&created, "entry");
    assert!(created.contains("<ConsumerGroupDescription "), "{created}");
    assert!(created.contains("<title type=\"text\">g1</title>"), "{created}");
    let list = text(&call(&office, "GET", "/orders/ConsumerGroups", "", false));
    assert_xml(&list, "feed");
    for group in ["$Default", "billing", "g1"] {
        assert!(list.contains(&format!("<title type=\"text\">{group}</title>")), "{list}");
        assert!(list.contains(&format!("/Orders/ConsumerGroups/{group}</id>")), "{list}");
    }
    let read = call(&office, "GET", "/Orders/ConsumerGroups/$default", "", false);
    assert!(text(&read).contains("<title type=\"text\">$Default</title>"));
    assert_eq!(call(&office, "PUT", "/orders/consumergroups/g1", group_body(), true).status(), 200);
    assert_eq!(call(&office, "DELETE", "/orders/ConsumerGroups/g1", "", false).status(), 200);
    assert_eq!(call(&office, "GET", "/orders/ConsumerGroups/g1", "", false).status(), 404);
}

#[test]
fn lists_come_in_pages() {
    let office = shop();
    for number in 0..250 {
        office.namespace.create_hub(HubConfig::new(format!("hub{number:03}"), 1)).unwrap();
    }
    let base = "/$Resources/EventHubs?api-version=2017-04";
    let mut seen = Vec::new();
    let mut query = String::new();
    let titles = |xml: &str| {
        let after = |part: &str| part.split_once("</title>").map(|(title, _)| title.to_owned());
        xml.split("<title type=\"text\">").skip(2).filter_map(after).collect::<Vec<_>>()
    };
    for _ in 0..10 {
        let page = text(&call(&office, "GET", &format!("{base}{query}"), "", false));
        assert_xml(&page, "feed");
        assert!(titles(&page).len() <= 100);
        seen.extend(titles(&page));
        let Some((_, next)) = page.split_once("<link rel=\"next\" href=\"") else { break };
        let url = next.split_once('"').unwrap().0.replace("&amp;", "&");
        query = url.split_once("api-version=2017-04").unwrap().1.to_owned();
    }
    assert_eq!(seen.len(), 251);
    seen.dedup();
    assert_eq!(seen.len(), 251);
    let two = text(&call(&office, "GET", &format!("{base}&$skip=10&$top=2"), "", false));
    assert_eq!(titles(&two), ["hub010", "hub011"]);
    let none = text(&call(&office, "GET", &format!("{base}&$skip=9999"), "", false));
    assert_eq!(titles(&none).len(), 0);
}

#[test]
fn only_those_who_may_manage() {
    let office = shop();
    let status = |token: Option<&str>, target: &str| {
        let mut request = request("GET", target, "");
        if let Some(token) = token {
            let value = HeaderValue::from_str(token).unwrap();
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        let response = answer(&office, "http", &request);
        (response.status().as_u16(), text(&response))
    };
    let (code, body) = status(None, "/orders");
    assert!(code == 401 && body.contains("MalformedToken"), "{body}");
    let whole = sign(NS, "root", "k1", LATER);
    assert_eq!(status(Some(&whole), "/orders").0, 200);
    assert_eq!(status(Some(&whole), "/$Resources/EventHubs").0, 200);
    let bare = sign("ns.example", "root", "k1", LATER);
    assert_eq!(status(Some(&bare), "/orders").0, 200, "as the documentation's examples have it");
    let hub = sign(&format!("{NS}/ORDERS"), "root", "k1", LATER);
    assert_eq!(status(Some(&hub), "/orders/ConsumerGroups/billing").0, 200);
    let (code, body) = status(Some(&hub), "/other");
    assert!(code == 401 && body.contains("InvalidAudience"), "{body}");
    assert_eq!(status(Some(&sign("http://else.where", "root", "k1", LATER)), "/orders").0, 401);
    let (code, body) = status(Some(&sign(NS, "reader", "k2", LATER)), "/orders");
    assert!(code == 401 && body.contains("&#39;Manage&#39; claim(s)"), "{body}");
    let (code, body) = status(Some(&sign(NS, "root", "wrong", LATER)), "/orders");
    assert!(code == 401 && body.contains("InvalidSignature"), "{body}");
    let (code, body) = status(Some(&sign(NS, "root", "k1", 1)), "/orders");
    assert!(code == 401 && body.contains("ExpiredToken"), "{body}");
    assert_eq!(status(Some("nonsense"), "/orders").0, 401);
}

#[test]
fn tokens_of_entra_id_are_taken_when_they_are_wanted() {
    let token = crate::rules::jwt::tests::token(
        r#"{"aud":"https://eventhubs.azure.net","exp":4000000000}"#,
    );
    let status = |config: &Config, authorization: &str| {
        let mut request = request("GET", "/hub", "");
        let value = HeaderValue::from_str(authorization).unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, value);
        answer(&office(config).0, "https", &request).status().as_u16()
    };
    let wanted = Config { jwt: true, ..Config::default() };
    for authorization in [token.clone(), format!("Bearer {token}"), format!("bearer  {token}")] {
        assert_eq!(status(&wanted, &authorization), 200, "{authorization}");
        assert_eq!(status(&Config::default(), &authorization), 401);
    }
    assert_eq!(status(&wanted, "Bearer a.b.c"), 401);
    let old = crate::rules::jwt::tests::token(r#"{"aud":"https://eventhubs.azure.net","exp":1}"#);
    assert_eq!(status(&wanted, &old), 401);
}

#[test]
fn the_root_lists_nothing() {
    let office = shop();
    let root = call(&office, "GET", "/?api-version=2017-04", "", false);
    assert_eq!(root.status(), 200);
    assert!(text(&root).contains("Publicly Listed Services"));
}

proptest! {
    #[test]
    fn whatever_is_asked_the_answer_is_xml(
        method in "GET|PUT|DELETE|POST",
        segments in prop::collection::vec("[a-zA-Z$%<>&'\" é-]{0,12}", 0..4),
        body in "\\PC{0,60}",
    ) {
        let office = shop();
        let encode = |part: &String| {
            percent_encoding::utf8_percent_encode(part, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let path = segments.iter().map(encode).collect::<Vec<_>>().join("/");
        let mut request = request(&method, &format!("/{path}"), body);
        let token = HeaderValue::from_str(&sign(NS, "root", "k1", LATER)).unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, token);
        let response = answer(&office, "http", &request);
        let xml = text(&response);
        if !xml.is_empty() {
            let root = xml.trim_start_matches('<').split([' ', '>']).next().unwrap().to_owned();
            prop_assert!(["entry", "feed", "Error"].contains(&root.as_str()), "{}", xml);
            assert_xml(&xml, &root);
        }
    }
}

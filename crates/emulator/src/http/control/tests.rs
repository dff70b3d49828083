use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::config::Config;
use crate::config::hub_config::HubConfig;
use crate::http::tests::{office, request, text};
use crate::wire::Wire;

/// One request after the other to one office.
struct Api {
    office: Office,
}

impl Api {
    fn new() -> Self {
        let config = Config::default()
            .with_hub_config(HubConfig::new("Orders", 2).with_consumer_group("billing"));
        Self { office: office(&config).0 }
    }

    /// Status and body.
    async fn call(&self, method: &str, target: &str, body: &str) -> (u16, Json) {
        let response = answer(&self.office, request(method, target, body.to_owned())).await;
        (response.status().as_u16(), serde_json::from_str(&text(&response)).unwrap())
    }

    #[track_caller]
    fn refusal((status, body): (u16, Json)) -> (u16, String) {
        assert!(body["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
        (status, body["error"]["code"].as_str().unwrap().to_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn faults_are_injected_listed_and_lifted() {
    let api = Api::new();
    let fault = r#"{"scope":{"hub":"orders"},"at":"attach","times":2,"effect":"ignore"}"#;
    assert_eq!(api.call("POST", "/faults", fault).await, (201, json!({ "id": 1 })));
    let (_, list) = api.call("GET", "/faults", "").await;
    assert_eq!(list["faults"][0]["id"], 1);
    assert_eq!(list["faults"][0]["hits"], 0);
    assert_eq!(list["faults"][0]["fault"]["at"], "attach");
    assert_eq!(api.call("GET", "/faults/1", "").await.1, list["faults"][0]);
    assert_eq!(api.call("DELETE", "/faults/1", "").await, (200, json!({})));
    let gone = (404, "not-found".to_owned());
    assert_eq!(Api::refusal(api.call("DELETE", "/faults/1", "").await), gone);
    assert_eq!(Api::refusal(api.call("GET", "/faults/1", "").await), gone);
    api.call("POST", "/faults", fault).await;
    assert_eq!(api.call("DELETE", "/faults", "").await.0, 200);
    assert_eq!(api.call("GET", "/faults", "").await.1, json!({ "faults": [] }));
    let never = r#"{"at":"open","effect":"duplicate"}"#;
    assert_eq!(Api::refusal(api.call("POST", "/faults", never).await), (400, "invalid".to_owned()));
    let network = r#"{"at":"resolve","effect":"ignore"}"#;
    assert_eq!(Api::refusal(api.call("POST", "/faults", network).await).0, 400);
}

#[tokio::test(start_paused = true)]
async fn a_strike_can_be_waited_for() {
    let api = Api::new();
    let fault = r#"{"at":"attach","effect":"ignore"}"#;
    api.call("POST", "/faults", fault).await;
    let begun = tokio::time::Instant::now();
    let late = api.call("GET", "/faults/1?hits=1&wait-ms=700", "").await;
    assert_eq!(Api::refusal(late), (409, "not-struck".to_owned()));
    assert_eq!(begun.elapsed(), Duration::from_millis(700));
    let (found, ()) = tokio::join!(api.call("GET", "/faults/1?hits=2", ""), async {
        tokio::task::yield_now().await;
        api.office.namespace.faults.count(FaultId(1), 2);
    });
    assert_eq!((found.0, &found.1["hits"]), (200, &json!(2)));
    let (gone, ()) = tokio::join!(api.call("GET", "/faults/1?hits=3", ""), async {
        tokio::task::yield_now().await;
        api.office.namespace.lift(FaultId(1));
    });
    assert_eq!(Api::refusal(gone).0, 404);
}

#[tokio::test(start_paused = true)]
async fn the_clock_is_moved() {
    let api = Api::new();
    let (_, before) = api.call("GET", "/clock", "").await;
    let (status, after) = api.call("POST", "/clock", r#"{"advance-ms":3600000}"#).await;
    let moved = after["now-ms"].as_i64().unwrap() - before["now-ms"].as_i64().unwrap();
    assert!(status == 200 && (3_600_000..3_660_000).contains(&moved), "{moved}");
}

#[tokio::test(start_paused = true)]
async fn hubs_and_groups_come_change_and_go() {
    let api = Api::new();
    let (status, hub) = api.call("POST", "/hubs", r#"{"name":"New","retention-ms":5000}"#).await;
    assert_eq!((status, &hub["name"], &hub["retention-ms"]), (201, &json!("New"), &json!(5000)));
    assert_eq!(hub["partitions"].as_array().unwrap().len(), 4);
    let (_, hubs) = api.call("GET", "/hubs", "").await;
    assert_eq!(hubs["hubs"].as_array().unwrap().len(), 2);
    let (_, hub) = api.call("PATCH", "/hubs/new", r#"{"partitions":6,"status":"disabled"}"#).await;
    assert_eq!(hub["partitions"].as_array().unwrap().len(), 6);
    assert_eq!(hub["status"], "disabled");
    assert_eq!(api.call("PUT", "/hubs/new/consumer-groups/g", "").await.0, 201);
    let (_, hub) = api.call("GET", "/hubs/NEW", "").await;
    assert_eq!(hub["consumer-groups"], json!(["$Default", "g"]));
    assert_eq!(api.call("DELETE", "/hubs/new/consumer-groups/g", "").await.0, 200);
    assert_eq!(api.call("DELETE", "/hubs/new", "").await, (200, json!({})));
    let refusal = |answer| Api::refusal(answer);
    let expect = |status, code: &str| (status, code.to_owned());
    assert_eq!(refusal(api.call("GET", "/hubs/new", "").await), expect(404, "not-found"));
    assert_eq!(refusal(api.call("DELETE", "/hubs/new", "").await), expect(404, "not-found"));
    let twice = api.call("POST", "/hubs", r#"{"name":"ORDERS"}"#).await;
    assert_eq!(refusal(twice), expect(409, "exists"));
    let fewer = api.call("PATCH", "/hubs/orders", r#"{"partitions":1}"#).await;
    assert_eq!(refusal(fewer), expect(409, "conflict"));
    let bad = api.call("POST", "/hubs", r#"{"name":"-"}"#).await;
    assert_eq!(refusal(bad), expect(400, "invalid"));
    let group = api.call("PUT", "/hubs/orders/consumer-groups/BILLING", "").await;
    assert_eq!(refusal(group), expect(409, "exists"));
    let default = api.call("DELETE", "/hubs/orders/consumer-groups/$Default", "").await;
    assert_eq!(refusal(default), expect(409, "conflict"));
    let unknown = api.call("DELETE", "/hubs/orders/consumer-groups/no", "").await;
    assert_eq!(refusal(unknown), expect(404, "not-found"));
}

#[tokio::test(start_paused = true)]
async fn events_are_stored_told_and_trimmed() {
    let api = Api::new();
    for sequence in 0..5 {
        // A data section of two bytes.
        let body = Bytes::from(vec![0, 0x53, 0x75, 0xa0, 2, b'e', b'0' + sequence]);
        let call = hyper::Request::post("/hubs/orders/partitions/1/events").body(body).unwrap();
        let response = answer(&api.office, call).await;
        assert_eq!(response.status(), 201);
        assert_eq!(text(&response), format!("{{\"sequence-number\":{sequence}}}"));
    }
    let events = "/hubs/orders/partitions/1/events";
    let (_, told) = api.call("GET", &format!("{events}?from=1&count=2"), "").await;
    let told = told["events"].as_array().unwrap();
    assert_eq!(told.len(), 2);
    assert_eq!((&told[0]["sequence-number"], &told[0]["body-text"]), (&json!(1), &json!("e1")));
    let trim = r#"{"before-sequence-number":3}"#;
    let (_, trimmed) = api.call("POST", "/hubs/orders/partitions/1/trim", trim).await;
    assert_eq!(trimmed, json!({ "first-sequence-number": 3 }));
    let (_, told) = api.call("GET", events, "").await;
    assert_eq!(told["events"].as_array().unwrap().len(), 2);
    let poison = api.call("POST", events, "not a message").await;
    assert_eq!(poison, (201, json!({ "sequence-number": 5 })));
    let (_, told) = api.call("GET", &format!("{events}?from=5"), "").await;
    assert_eq!(told["events"][0]["body-text"], Json::Null);
    let missing = api.call("GET", "/hubs/orders/partitions/2/events", "").await;
    assert_eq!(Api::refusal(missing), (404, "not-found".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn the_state_has_every_hub() {
    let api = Api::new();
    let (status, state) = api.call("GET", "/state", "").await;
    assert_eq!(status, 200);
    assert_eq!(state["hubs"][0]["name"], "Orders");
    assert_eq!(state["hubs"][0]["partitions"][1]["id"], "1");
    assert_eq!(state["hubs"][0]["partitions"][1]["last-sequence-number"], -1);
    assert_eq!(state["connections"], json!([]));
    assert_eq!(state["silent-connections"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_answer_is_counted() {
    let api = Api::new();
    // Nobody gives this broker a turn.
    let _wire = Wire::new(&Arc::clone(&api.office.namespace));
    let begun = tokio::time::Instant::now();
    let (_, state) = api.call("GET", "/state", "").await;
    assert_eq!(state["silent-connections"], 1);
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn the_record_is_switched_and_cleared() {
    let api = Api::new();
    let empty = |on| json!({ "recording": on, "connections": [] });
    assert_eq!(api.call("GET", "/wire", "").await, (200, empty(false)));
    let on = api.call("POST", "/wire", r#"{"record":true}"#).await;
    assert_eq!(on, (200, json!({ "recording": true })));
    assert_eq!(api.call("GET", "/wire", "").await, (200, empty(true)));
    let _page = api.office.namespace.record.begin(7, None).unwrap();
    let (_, wire) = api.call("GET", "/wire?connection=7", "").await;
    assert_eq!(wire["connections"][0]["number"], 7);
    assert_eq!(api.call("GET", "/wire?connection=8", "").await, (200, empty(true)));
    assert_eq!(api.call("DELETE", "/wire", "").await, (200, json!({})));
    assert_eq!(api.call("GET", "/wire", "").await, (200, empty(true)));
}

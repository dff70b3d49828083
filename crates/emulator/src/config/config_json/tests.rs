use super::*;
use proptest::prelude::*;
use serde_json::json;

const GOLDEN: &str = include_str!("../../../tests/config/Config.json");

/// A valid file with one change.
fn changed(pointer: &str, value: Value) -> String {
    let mut file: Value = serde_json::from_str(GOLDEN).unwrap();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = file.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(fields), Value::Null) => drop(fields.remove(field).unwrap()),
        (parent, value) if parent.is_array() => parent[field.parse::<usize>().unwrap()] = value,
        (parent, value) => parent[field] = value,
    }
    file.to_string()
}

/// What is told about a file: violations, or else remarks.
fn told(text: &str) -> Vec<String> {
    let all = match Config::from_json(text) {
        Ok(read) => read.remarks,
        Err(JsonError::Violations(violations)) => violations,
        Err(other) => panic!("{other}"),
    };
    all.iter().map(ToString::to_string).collect()
}

fn refused(pointer: &str, value: Value) -> Vec<String> {
    let text = changed(pointer, value);
    assert!(Config::from_json(&text).is_err(), "{text}");
    told(&text)
}

fn entity(name: &str) -> Value {
    json!({"Name": name, "PartitionCount": 1})
}

const NAMESPACE_PATH: &str = "/UserConfig/NamespaceConfig/0";
const FIRST: &str = "$.UserConfig.NamespaceConfig[0].Entities[0]";

#[test]
fn a_valid_file_is_served_as_it_says() {
    let JsonConfig { config, remarks } = Config::from_json(GOLDEN).unwrap();
    assert_eq!(remarks, []);
    let hub = |name, partitions| HubConfig::new(name, partitions).with_retention(RETENTION);
    let orders = hub("orders", 4).with_consumer_group("billing").with_consumer_group("shipping-2");
    assert_eq!(config.hubs, [orders, hub("Telemetry.raw", 32), hub("x", 1)]);
    assert_eq!(Config { hubs: Vec::new(), ..config.clone() }, Config::default());
    assert_eq!(config.validate(), Ok(()));
    let marked = format!("\u{feff}{GOLDEN}");
    assert_eq!(Config::from_json(&marked).unwrap().config, config, "as editors on Windows save it");
}

#[test]
fn names_of_fields_and_types_are_read_in_any_case() {
    let lower = GOLDEN.replace("EventHub", "eventhub").replace("emulatorNs1", "EMULATORNS1");
    let fields = ["UserConfig", "NamespaceConfig", "Entities", "PartitionCount", "LoggingConfig"];
    let lower = fields.iter().fold(lower, |text, name| text.replace(name, &name.to_lowercase()));
    assert_eq!(Config::from_json(&lower).unwrap(), Config::from_json(GOLDEN).unwrap());
}

#[test]
fn each_limit_is_named_by_its_place() {
    let entities = format!("{NAMESPACE_PATH}/Entities");
    let table = [
        ("/UserConfig", Value::Null, "$.UserConfig: missing"),
        ("/UserConfig", json!([]), "$.UserConfig: use an object"),
        (
            "/UserConfig/NamespaceConfig",
            json!([]),
            "$.UserConfig.NamespaceConfig: 0 namespaces: use exactly 1",
        ),
        (
            "/UserConfig/NamespaceConfig",
            json!([{"Entities": [entity("a")]}, {}]),
            "$.UserConfig.NamespaceConfig: 2 namespaces: use exactly 1",
        ),
        ("/UserConfig/NamespaceConfig", json!({}), "$.UserConfig.NamespaceConfig: use an array"),
        (
            &format!("{NAMESPACE_PATH}/Type"),
            json!("ServiceBus"),
            "$.UserConfig.NamespaceConfig[0].Type: 'ServiceBus' is not served: use EventHub",
        ),
        (&entities, json!([]), "$.UserConfig.NamespaceConfig[0].Entities: 0 hubs: use 1 to 10"),
        (&entities, Value::Null, "$.UserConfig.NamespaceConfig[0].Entities: missing"),
        ("/UserConfig/LoggingConfig", Value::Null, "$.UserConfig.LoggingConfig: missing"),
        (
            "/UserConfig/LoggingConfig/Type",
            json!("Syslog"),
            "$.UserConfig.LoggingConfig.Type: use File, Console, or both with a comma between",
        ),
        ("/UserConfig/LoggingConfig/Type", json!(1), "$.UserConfig.LoggingConfig.Type: use a text"),
    ];
    for (pointer, value, expected) in table {
        assert!(refused(pointer, value).contains(&expected.to_owned()), "{expected}");
    }
    let many = |count: usize| {
        Value::from((0..count).map(|n| entity(&format!("h{n}"))).collect::<Vec<_>>())
    };
    assert_eq!(told(&changed(&entities, many(10))), Vec::<String>::new());
    let expected = "$.UserConfig.NamespaceConfig[0].Entities: 11 hubs: use 1 to 10";
    assert_eq!(refused(&entities, many(11)), [expected]);
}

#[test]
fn each_rule_for_a_hub_is_named_by_its_place() {
    let first = format!("{NAMESPACE_PATH}/Entities/0");
    let count = format!("{first}/PartitionCount");
    for good in [json!(1), json!(32), json!("7"), json!(" 7 ")] {
        assert_eq!(told(&changed(&count, good)), Vec::<String>::new());
    }
    let expected = format!("{FIRST}.PartitionCount: use a number from 1 to 32");
    for bad in [json!(0), json!(33), json!(-1), json!(1.5), json!("x"), json!(""), json!([2])] {
        assert_eq!(refused(&count, bad), [expected.as_str()]);
    }
    let name = |name: &str| refused(&format!("{first}/Name"), json!(name)).remove(0);
    for bad in ["", "-a", "a b", "a/b", &"x".repeat(257)] {
        assert!(name(bad).starts_with(&format!("{FIRST}.Name: hub name '")), "{bad}");
        assert!(name(bad).len() < 300);
    }
    let twice = "$.UserConfig.NamespaceConfig[0].Entities[2].Name: 'ORDERS' is there twice";
    assert_eq!(refused(&format!("{NAMESPACE_PATH}/Entities/2/Name"), json!("ORDERS")), [twice]);
    let groups = format!("{first}/ConsumerGroups");
    let group = |name: &str| json!({"Name": name});
    for name in ["$default", "$Default"] {
        let path = format!("{FIRST}.ConsumerGroups[1].Name");
        let text = "every hub has this group: it must not be declared";
        assert_eq!(refused(&groups, json!([group("a"), group(name)])), [format!("{path}: {text}")]);
    }
    let twice = format!("{FIRST}.ConsumerGroups[1].Name: 'A' is there twice");
    assert_eq!(refused(&groups, json!([group("a"), group("A")])), [twice]);
    let many =
        |count: usize| Value::from((0..count).map(|n| group(&format!("g{n}"))).collect::<Vec<_>>());
    assert_eq!(told(&changed(&groups, many(20))), Vec::<String>::new());
    let expected = format!("{FIRST}.ConsumerGroups: 21 consumer groups: use at most 20");
    assert_eq!(refused(&groups, many(21)), [expected]);
    assert_eq!(refused(&groups, json!([1])), [format!("{FIRST}.ConsumerGroups[0]: use an object")]);
    assert!(refused(&groups, json!([group("-")])).remove(0).contains("consumer group name '-'"));
}

#[test]
fn what_does_no_harm_is_remarked_on() {
    let name = changed(&format!("{NAMESPACE_PATH}/Name"), json!("ns-1"));
    let expected =
        "$.UserConfig.NamespaceConfig[0].Name: 'ns-1' is not used: the namespace is emulatorNs1";
    assert_eq!(told(&name), [expected]);
    let unknown = changed("/UserConfig/LoggingConfig/Level", json!("Debug"));
    assert_eq!(told(&unknown), ["$.UserConfig.LoggingConfig.Level: unknown, and not used"]);
    let odd = changed("/a\nb", json!(1));
    assert_eq!(told(&odd), ["$.a\\nb: unknown, and not used"], "on one line");
    for optional in ["Type", "Name"] {
        let without = changed(&format!("{NAMESPACE_PATH}/{optional}"), Value::Null);
        assert_eq!(told(&without), Vec::<String>::new());
    }
}

#[test]
fn text_that_is_no_json_is_named_by_line_and_column() {
    let error = Config::from_json("{\n  \"UserConfig\": x\n}").unwrap_err();
    assert_eq!(error.to_string(), "line 2, column 17: expected value");
    let nested = "[".repeat(100_000);
    assert!(matches!(Config::from_json(&nested), Err(JsonError::Syntax { .. })), "and no overflow");
}

#[test]
fn the_first_hundred_are_told() {
    let entity = json!({"ConsumerGroups": (0..20).map(|_| json!(1)).collect::<Vec<_>>()});
    let entities: Vec<_> = (0..10).map(|_| entity.clone()).collect();
    let all = refused(&format!("{NAMESPACE_PATH}/Entities"), Value::from(entities));
    assert!(all.len() <= MAX_REMARKS);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0u32..40).prop_map(Value::from),
        "[a-zA-Z0-9$./-]{0,12}".prop_map(Value::from),
        Just(json!("File")),
    ];
    let field = prop::sample::select(vec![
        "UserConfig",
        "NamespaceConfig",
        "LoggingConfig",
        "Type",
        "Name",
        "Entities",
        "PartitionCount",
        "ConsumerGroups",
        "other",
    ]);
    leaf.prop_recursive(8, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((field.clone(), inner), 0..5).prop_map(|fields| {
                Value::Object(
                    fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
                )
            }),
        ]
    })
}

proptest! {
    /// Whatever a file holds, it is refused or makes a configuration that can be served.
    #[test]
    fn any_json_is_refused_or_valid(value in value()) {
        if let Ok(read) = Config::from_json(&value.to_string()) {
            prop_assert_eq!(read.config.validate(), Ok(()));
        }
    }

    #[test]
    fn any_entities_are_refused_or_valid(value in value()) {
        let text = changed(&format!("{NAMESPACE_PATH}/Entities/0"), json!([value, 1]));
        prop_assert!(Config::from_json(&text).is_err());
        if !value.is_null() {
            let text = changed(&format!("{NAMESPACE_PATH}/Entities"), value);
            if let Ok(read) = Config::from_json(&text) {
                prop_assert_eq!(read.config.validate(), Ok(()));
            }
        }
    }

    #[test]
    fn any_text_is_refused(text in "\\PC{0,100}") {
        prop_assert!(Config::from_json(&text).is_err());
    }
}

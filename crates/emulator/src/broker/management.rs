//! Runtime information of hubs and partitions, as `$management` tells it.

use eventhubs_amqp::codec::{Map, Symbol, Value, condition};

use super::cbs::{Grants, Need};
use super::request::{Answer, Request};
use crate::names::{self, info, request};
use crate::namespace::Namespace;
use crate::namespace::hub::Hub;
use crate::rules::geo;
use crate::rules::jwt;
use crate::rules::sas;

/// Enqueued time of the last event of a partition that never had one: year 1 in milliseconds.
const NO_TIME: i64 = -62_135_596_800_000;
/// Epoch of sequence numbers on a namespace without geo-replication.
const NO_EPOCH: i64 = -1;

/// Answers a request on `$management`. `geo` says that the client can take offsets that are no
/// numbers.
pub(crate) fn answer(
    namespace: &Namespace,
    request: &Request,
    (grants, geo): (&Grants, bool),
    now: i64,
) -> Answer {
    read(namespace, request, (grants, geo), now).unwrap_or_else(|refusal| refusal)
}

fn read(
    namespace: &Namespace,
    request: &Request,
    (grants, geo): (&Grants, bool),
    now: i64,
) -> Result<Answer, Answer> {
    if request.text(request::OPERATION) != Some(request::READ) {
        let text = "The operation is not supported: use 'READ'.";
        return Err(Answer::refused(501, condition::NOT_IMPLEMENTED, text));
    }
    namespace.throttle.request(now)?;
    let name = request.text(request::NAME).unwrap_or_default();
    authorize(namespace, request, grants, name, now)?;
    let hub = namespace.hub(name).ok_or_else(|| {
        let text = format!("The messaging entity '{name}' could not be found.");
        Answer::refused(404, condition::NOT_FOUND, text)
    })?;
    match request.text(request::TYPE) {
        Some(request::EVENT_HUB) => Ok(Answer::ok(hub_info(&hub, namespace.geo))),
        Some(request::EVENT_HUB_PARTITION) => {
            let id = request.text(request::PARTITION).unwrap_or_default();
            partition_info(&hub, id, (namespace.geo, geo), now).map(Answer::ok)
        }
        _ => Err(argument_error("The property 'type' is not one that can be read.")),
    }
}

/// Either the request brings a token, or the connection holds one.
fn authorize(
    namespace: &Namespace,
    request: &Request,
    grants: &Grants,
    hub: &str,
    now: i64,
) -> Result<(), Answer> {
    let granted = grants.allow(hub, Need::Read, now)
        || grants.allow(&format!("{hub}/{}", names::MANAGEMENT_NODE), Need::Read, now)
        || grants.allow(names::MANAGEMENT_NODE, Need::Read, now);
    let Some(token) = request.text(request::SECURITY_TOKEN) else {
        return match granted {
            true => Ok(()),
            false => Err(unauthorized("Unauthorized access: no token covers the hub.")),
        };
    };
    if namespace.jwt && !sas::is_signature(token) {
        return match jwt::check(token, None, now) {
            Ok(_) => Ok(()),
            Err(jwt::JwtError::Malformed(_)) if granted => Ok(()),
            Err(error) => Err(unauthorized(&error.to_string())),
        };
    }
    match sas::check(token, &namespace.keys, now) {
        Ok(grant) if grant.scope.hub().is_none_or(|scope| scope.eq_ignore_ascii_case(hub)) => {
            Ok(())
        }
        Ok(_) if granted => Ok(()),
        Ok(_) => Err(unauthorized("InvalidAudience: the token was not issued for the hub.")),
        // A token of another kind is no proof; one on the connection still is.
        Err(sas::SasError::Malformed(_)) if granted => Ok(()),
        Err(error) => Err(unauthorized(&error.to_string())),
    }
}

fn hub_info(hub: &Hub, replicated: bool) -> Map {
    let count = hub.partition_count();
    let ids = (0..count).map(|number| Value::from(number.to_string())).collect();
    let mut map = Map::default();
    map.insert(info::NAME, Value::from(hub.name.clone()));
    map.insert(info::TYPE, Value::from(request::EVENT_HUB.to_owned()));
    map.insert(info::CREATED_AT, Value::Timestamp(hub.created));
    map.insert(info::PARTITION_COUNT, Value::Int(i32::try_from(count).unwrap_or(i32::MAX)));
    map.insert(info::PARTITION_IDS, Value::Array(ids));
    let factor = if replicated { geo::FACTOR } else { 1 };
    map.insert(info::GEOREPLICATION_FACTOR, Value::Int(factor));
    map
}

fn partition_info(
    hub: &Hub,
    id: &str,
    (replicated, geo): (bool, bool),
    now: i64,
) -> Result<Map, Answer> {
    let partition = hub.partition_number(id).and_then(|number| hub.partition(number));
    let log = partition.ok_or_else(|| unknown_partition(hub))?.info(now);
    let epoch = if replicated { i64::from(geo::EPOCH) } else { NO_EPOCH };
    let offset = if geo { geo::rewrite(log.last_offset) } else { log.last_offset };
    let mut map = Map::default();
    map.insert(info::NAME, Value::from(hub.name.clone()));
    map.insert(info::TYPE, Value::from(request::EVENT_HUB_PARTITION.to_owned()));
    map.insert(info::PARTITION, Value::from(id.to_owned()));
    map.insert(info::BEGIN_SEQUENCE_NUMBER, Value::Long(log.begin_sequence));
    map.insert(info::BEGIN_SEQUENCE_NUMBER_EPOCH, Value::Long(epoch));
    map.insert(info::LAST_SEQUENCE_NUMBER, Value::Long(log.last_sequence));
    map.insert(info::LAST_SEQUENCE_NUMBER_EPOCH, Value::Long(epoch));
    map.insert(info::LAST_OFFSET, Value::from(offset));
    map.insert(info::LAST_TIME, Value::Timestamp(log.last_enqueued.unwrap_or(NO_TIME)));
    map.insert(info::IS_EMPTY, Value::Bool(log.is_empty));
    Ok(map)
}

fn unknown_partition(hub: &Hub) -> Answer {
    let condition = Symbol::from_static(names::condition::ARGUMENT_OUT_OF_RANGE);
    Answer::refused(400, condition, unknown_partition_text(hub))
}

/// The service's words for a partition id that a hub does not have.
pub(crate) fn unknown_partition_text(hub: &Hub) -> String {
    format!(
        "The specified partition is invalid for an EventHub partition sender or receiver. It \
         should be between 0 and {}.",
        hub.partition_count().saturating_sub(1)
    )
}

fn argument_error(text: &str) -> Answer {
    Answer::refused(400, Symbol::from_static(names::condition::ARGUMENT_ERROR), text)
}

fn unauthorized(text: &str) -> Answer {
    Answer::refused(401, condition::UNAUTHORIZED_ACCESS, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Rights};
    use crate::rules::token::sign;

    const NOW: i64 = 1_000_000;

    fn ask(properties: &[(&str, &str)], grants: &Grants) -> Answer {
        let config = Config::default().with_key("all", "k1");
        let request = Answer::request(properties, None);
        answer(&Namespace::new(&config), &request, (grants, false), NOW)
    }

    fn allowed() -> Grants {
        let mut grants = Grants::default();
        grants.put_namespace(Rights::ALL);
        grants
    }

    #[test]
    fn a_hub_tells_its_partitions() {
        let properties =
            [("operation", "READ"), ("type", "com.microsoft:eventhub"), ("name", "HUB")];
        let answer = ask(&properties, &allowed());
        assert_eq!(answer.status(), 200);
        let Value::Map(map) = answer.body() else { panic!("{answer:?}") };
        assert_eq!(map.get("name").and_then(Value::as_str), Some("hub"));
        assert_eq!(map.get("partition_count"), Some(&Value::Int(4)));
        let Some(Value::Array(ids)) = map.get("partition_ids") else { panic!("{map:?}") };
        assert_eq!(ids.iter().filter_map(Value::as_str).collect::<Vec<_>>(), ["0", "1", "2", "3"]);
        assert!(matches!(map.get("created_at"), Some(Value::Timestamp(_))));
    }

    #[test]
    fn an_empty_partition_says_so() {
        let base = [("operation", "READ"), ("type", "com.microsoft:partition"), ("name", "hub")];
        let good = [&base[..], &[("partition", "3")]].concat();
        let answer = ask(&good, &allowed());
        let Value::Map(map) = answer.body() else { panic!("{answer:?}") };
        assert_eq!(map.get("last_enqueued_sequence_number"), Some(&Value::Long(-1)));
        assert_eq!(map.get("last_enqueued_offset").and_then(Value::as_str), Some("-1"));
        assert_eq!(map.get("is_partition_empty"), Some(&Value::Bool(true)));
        assert_eq!(map.get("last_enqueued_time_utc"), Some(&Value::Timestamp(NO_TIME)));
        let bad = [&base[..], &[("partition", "4")]].concat();
        let answer = ask(&bad, &allowed());
        assert_eq!(answer.status(), 400);
        assert_eq!(
            answer.condition().map(|c| c.as_str()),
            Some("com.microsoft:argument-out-of-range")
        );
    }

    #[test]
    fn refusals_have_the_services_codes() {
        let status = |operation, kind, name| {
            ask(&[("operation", operation), ("type", kind), ("name", name)], &allowed()).status()
        };
        assert_eq!(status("READ", "com.microsoft:eventhub", "nohub"), 404);
        assert_eq!(status("WRITE", "com.microsoft:eventhub", "hub"), 501);
        assert_eq!(status("READ", "com.microsoft:unknown", "hub"), 400);
    }

    #[test]
    fn either_token_will_do_and_a_wrong_one_will_not() {
        let base = [("operation", "READ"), ("type", "com.microsoft:eventhub"), ("name", "hub")];
        let with = |token: &str, grants: &Grants| {
            ask(&[&base[..], &[("security_token", token)]].concat(), grants).status()
        };
        let none = Grants::default();
        assert_eq!(ask(&base, &none).status(), 401);
        assert_eq!(with(&sign("sb://h/hub", "all", "k1", 2000), &none), 200);
        assert_eq!(with(&sign("sb://h/other", "all", "k1", 2000), &none), 401);
        assert_eq!(with(&sign("sb://h/hub", "all", "wrong", 2000), &allowed()), 401);
        assert_eq!(with("a.jwt.token", &allowed()), 200);
        assert_eq!(with("a.jwt.token", &none), 401);
    }
}

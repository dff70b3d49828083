//! Questions about a hub and its partitions, and their answers.

use crate::names;
use crate::rpc::{self, Answer, AnswerError, RequestId};
use crate::types::{HubName, Offset, PartitionId, SequenceNumber, Timestamp};
use bytes::Bytes;
use eventhubs_amqp::codec::{Map, Value};

/// Partitions an answer may list. The service allows 2 000 at most.
pub const MAX_PARTITIONS: usize = 65_536;

/// What the service says of a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubProperties {
    /// Its name, as the service spells it.
    pub name: String,
    /// When it was created, when the service says so.
    pub created_at: Option<Timestamp>,
    /// Its partitions, in the service's order, which is the order [`hash`](crate::hash) counts in.
    pub partition_ids: Vec<PartitionId>,
    /// Above 1 the namespace is geo-replicated; 0 when the service does not say.
    pub georeplication_factor: i64,
}

/// What the service says of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionProperties {
    /// Name of the hub, as the service spells it.
    pub hub: String,
    /// Which partition.
    pub partition_id: PartitionId,
    /// Oldest event still kept, when there is one.
    pub begin_sequence_number: SequenceNumber,
    /// Last event accepted; -1 when there never was one.
    pub last_enqueued_sequence_number: SequenceNumber,
    /// Offset of that event; `None` when there never was one.
    pub last_enqueued_offset: Option<Offset>,
    /// When it was accepted; `None` when there never was one.
    pub last_enqueued_time: Option<Timestamp>,
    /// Whether the partition holds no event now.
    pub is_empty: bool,
}

/// A request for [`HubProperties`].
///
/// With a token the request authorises itself; without one the connection must have put a token
/// for the hub. The message then holds the token: it must not be logged.
#[must_use]
pub fn read_hub(id: RequestId, reply_to: &str, hub: &HubName, token: Option<&str>) -> Bytes {
    request(id, reply_to, names::TYPE_HUB, hub, None, token)
}

/// A request for [`PartitionProperties`]; see [`read_hub`] about the token.
#[must_use]
pub fn read_partition(
    id: RequestId,
    reply_to: &str,
    hub: &HubName,
    partition: PartitionId,
    token: Option<&str>,
) -> Bytes {
    request(id, reply_to, names::TYPE_PARTITION, hub, Some(partition), token)
}

fn request(
    id: RequestId,
    reply_to: &str,
    kind: &'static str,
    hub: &HubName,
    partition: Option<PartitionId>,
    token: Option<&str>,
) -> Bytes {
    let mut map = Map::with_capacity(5);
    map.push(names::OPERATION, names::READ);
    map.push(names::TYPE, kind);
    map.push(names::NAME, hub.as_str());
    if let Some(partition) = partition {
        map.push(names::PARTITION, partition.to_string());
    }
    if let Some(token) = token {
        map.push(names::SECURITY_TOKEN, token);
    }
    rpc::request(id, reply_to, map, Value::Null)
}

impl HubProperties {
    /// Reads the answer to [`read_hub`].
    ///
    /// Only the partitions are required: their ids, as a list or an array, or at least their number.
    ///
    /// # Errors
    ///
    /// The service refused, or the answer cannot be understood.
    pub fn read(answer: Answer) -> Result<Self, AnswerError> {
        let body = map(answer.into_body()?)?;
        Ok(Self {
            name: text(&body, names::NAME).unwrap_or_default().to_owned(),
            created_at: moment(&body, names::CREATED_AT),
            partition_ids: partition_ids(&body)?,
            georeplication_factor: number(&body, names::GEOREPLICATION_FACTOR).unwrap_or(0),
        })
    }
}

impl PartitionProperties {
    /// Reads the answer to [`read_partition`].
    ///
    /// Only the partition id and the last sequence number are required.
    ///
    /// # Errors
    ///
    /// The service refused, or the answer cannot be understood.
    pub fn read(answer: Answer) -> Result<Self, AnswerError> {
        let body = map(answer.into_body()?)?;
        let partition_id = body.get(names::PARTITION).and_then(partition_id);
        let last = number(&body, names::LAST_ENQUEUED_SEQUENCE_NUMBER);
        let last = last.ok_or(AnswerError::Field(names::LAST_ENQUEUED_SEQUENCE_NUMBER))?;
        let never = last < 0;
        let offset = text(&body, names::LAST_ENQUEUED_OFFSET).filter(|_| !never);
        Ok(Self {
            hub: text(&body, names::NAME).unwrap_or_default().to_owned(),
            partition_id: partition_id.ok_or(AnswerError::Field(names::PARTITION))?,
            begin_sequence_number: number(&body, names::BEGIN_SEQUENCE_NUMBER).unwrap_or(0).into(),
            last_enqueued_sequence_number: last.into(),
            last_enqueued_offset: offset.and_then(|offset| Offset::new(offset).ok()),
            last_enqueued_time: moment(&body, names::LAST_ENQUEUED_TIME).filter(|_| !never),
            is_empty: body.get(names::IS_PARTITION_EMPTY).and_then(Value::as_bool).unwrap_or(never),
        })
    }
}

fn map(body: Value) -> Result<Map, AnswerError> {
    match body {
        Value::Map(map) => Ok(map),
        _ => Err(AnswerError::Field("body")),
    }
}

fn partition_ids(body: &Map) -> Result<Vec<PartitionId>, AnswerError> {
    let wrong = AnswerError::Field(names::PARTITION_IDS);
    let ids = match body.get(names::PARTITION_IDS) {
        Some(Value::List(ids) | Value::Array(ids)) => ids,
        Some(single) if !single.is_null() => {
            return Ok(vec![partition_id(single).ok_or(wrong)?]);
        }
        _ => return counted(body).ok_or(wrong),
    };
    if ids.len() > MAX_PARTITIONS {
        return Err(wrong);
    }
    ids.iter().map(|id| partition_id(id).ok_or_else(|| wrong.clone())).collect()
}

/// Some older services give only the number of partitions.
fn counted(body: &Map) -> Option<Vec<PartitionId>> {
    let count = u16::try_from(number(body, names::PARTITION_COUNT)?).ok()?;
    Some((0..count).map(PartitionId::from).collect())
}

fn partition_id(value: &Value) -> Option<PartitionId> {
    match value.as_str() {
        Some(text) => PartitionId::new(text).ok(),
        None => value.as_i64().and_then(|id| u16::try_from(id).ok()).map(PartitionId::from),
    }
}

fn text<'a>(body: &'a Map, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
}

fn number(body: &Map, name: &str) -> Option<i64> {
    body.get(name).and_then(Value::as_i64)
}

/// A moment; "never" is no moment.
fn moment(body: &Map, name: &str) -> Option<Timestamp> {
    let millis = body.get(name).and_then(Value::as_timestamp)?;
    Some(Timestamp::from_millis(millis)).filter(|moment| *moment != Timestamp::NEVER)
}

//! Events that one client writes and the others read, properties and key intact.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use azure_core::Uuid;
use azure_core::base64;
use azure_core_amqp::{AmqpSimpleValue, AmqpTimestamp};
use azure_messaging_eventhubs::models::{EventData, MessageId};
use azure_messaging_eventhubs::{EventDataBatchOptions, SendEventOptions};
use serde::Deserialize;

use crate::Failure;
use crate::assignment::{Assignment, Mode};
use crate::runner::Case;
use crate::world::{Login, World, earliest, to_partition};

/// What is written, or where it is read.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Cross {
    /// The hub of this writer.
    #[serde(default)]
    hub: String,
    /// The hubs of all writers.
    #[serde(default)]
    hubs: HashMap<String, String>,
    events: Vec<Event>,
}

#[derive(Debug, Clone, Deserialize)]
struct Event {
    message_id: String,
    #[serde(default)]
    single: bool,
    #[serde(default)]
    not_by: Vec<String>,
    key: Option<String>,
    body: Body,
    content_type: Option<String>,
    correlation_id: Option<String>,
    #[serde(default)]
    properties: HashMap<String, Property>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Body {
    Text(String),
    Base64 { base64: String },
    Repeated { repeat: String, times: usize },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Property {
    String(String),
    Int(i32),
    Long(i64),
    Boolean(bool),
    Double(f64),
    Binary(String),
    Timestamp(u64),
    Uuid(String),
}

impl Event {
    fn body(&self) -> Result<Vec<u8>, Failure> {
        Ok(match &self.body {
            Body::Text(text) => text.clone().into_bytes(),
            Body::Base64 { base64 } => base64::decode(base64)?,
            Body::Repeated { repeat, times } => repeat.repeat(*times).into_bytes(),
        })
    }

    /// As this client sends it.
    fn made(&self) -> Result<EventData, Failure> {
        let mut event =
            EventData::builder().with_body(self.body()?).with_message_id(self.message_id.as_str());
        if let Some(content_type) = &self.content_type {
            event = event.with_content_type(content_type.clone());
        }
        if let Some(correlation_id) = &self.correlation_id {
            event = event.with_correlation_id(correlation_id.as_str());
        }
        for (name, property) in &self.properties {
            event = event.add_property(name.clone(), property.value()?);
        }
        Ok(event.build())
    }
}

impl Property {
    fn value(&self) -> Result<AmqpSimpleValue, Failure> {
        Ok(match self {
            Self::String(text) => text.as_str().into(),
            Self::Int(number) => (*number).into(),
            Self::Long(number) => (*number).into(),
            Self::Boolean(flag) => (*flag).into(),
            Self::Double(number) => (*number).into(),
            Self::Binary(text) => AmqpSimpleValue::Binary(base64::decode(text)?),
            Self::Timestamp(milliseconds) => {
                AmqpTimestamp(Some(UNIX_EPOCH + Duration::from_millis(*milliseconds))).into()
            }
            Self::Uuid(text) => text.parse::<Uuid>()?.into(),
        })
    }

    /// Whether a value is this one. Clients write whole numbers in different widths.
    fn is(&self, value: &AmqpSimpleValue) -> Result<bool, Failure> {
        let whole = |value: &AmqpSimpleValue| match value {
            AmqpSimpleValue::Byte(number) => Some(i64::from(*number)),
            AmqpSimpleValue::Int(number) => Some(i64::from(*number)),
            AmqpSimpleValue::UInt(number) => Some(i64::from(*number)),
            AmqpSimpleValue::Long(number) => Some(*number),
            AmqpSimpleValue::ULong(number) => i64::try_from(*number).ok(),
            _ => None,
        };
        let own = self.value()?;
        Ok(own == *value || whole(&own).is_some_and(|number| whole(value) == Some(number)))
    }
}

/// The events that a client can write.
fn by<'a>(writer: &str, events: &'a [Event]) -> Vec<&'a Event> {
    events.iter().filter(|event| !event.not_by.iter().any(|other| other == writer)).collect()
}

async fn writes_events(world: Arc<World>) -> Result<(), Failure> {
    let cross = world.cross()?;
    let producer = world.producer_to(&cross.hub).await?;
    for event in by("rust", &cross.events) {
        if event.single {
            let options = SendEventOptions { partition_id: Some("0".to_owned()) };
            producer.send_event(event.made()?, Some(options)).await?;
            continue;
        }
        let options = match event.key.clone() {
            None => to_partition("0"),
            key => Some(EventDataBatchOptions { partition_key: key, ..Default::default() }),
        };
        let batch = producer.create_batch(options).await?;
        assert!(batch.try_add_event_data(event.made()?, None)?);
        producer.send_batch(batch, None).await?;
    }
    Ok(producer.close().await?)
}

/// Reads what one client has written and compares everything.
async fn reads_events(world: Arc<World>, writer: String) -> Result<(), Failure> {
    let cross = world.cross()?;
    let hub = cross.hubs.get(&writer).ok_or("no such writer")?;
    let mut found = HashMap::new();
    let producer = world.producer_to(hub).await?;
    for partition in ["0", "1", "2", "3"] {
        let known = producer.get_partition_properties(partition).await?;
        let count = usize::try_from(known.last_enqueued_sequence_number + 1)?;
        if count > 0 {
            let login = Login { hub: hub.clone(), ..world.login() };
            let mut receiving = world.receiving_as(login, partition, earliest()).await?;
            for event in receiving.wait(count).await? {
                let Some(MessageId::String(id)) = event.event_data().message_id().cloned() else {
                    return Err("an event without a message id".into());
                };
                assert!(found.insert(id, event).is_none(), "an event came twice");
            }
            receiving.close().await?;
        }
    }
    let expected = by(&writer, &cross.events);
    assert_eq!(found.len(), expected.len(), "{:?}", found.keys());
    for event in expected {
        let name = &event.message_id;
        let received = found.get(name).ok_or_else(|| format!("{name} is missing"))?;
        let got = received.event_data();
        assert!(got.body().unwrap_or_default() == event.body()?, "body of {name}");
        assert_eq!(got.content_type(), event.content_type.as_deref(), "{name}");
        let correlation_id = event.correlation_id.as_deref().map(MessageId::from);
        assert_eq!(got.correlation_id(), correlation_id.as_ref(), "{name}");
        assert_eq!(received.partition_key(), &event.key, "{name}");
        let properties = got.properties().cloned().unwrap_or_default();
        assert_eq!(properties.len(), event.properties.len(), "{name}: {properties:?}");
        for (key, property) in &event.properties {
            let value = properties.get(key).ok_or_else(|| format!("{name} lost {key}"))?;
            assert!(property.is(value)?, "{name}: {key} came as {value:?}");
        }
    }
    Ok(producer.close().await?)
}

/// The cases of the two modes that are about events of several clients.
pub(crate) fn cases(assignment: &Assignment) -> Result<Vec<Case>, Failure> {
    if assignment.mode == Mode::Write {
        return Ok(vec![Case::new("writes_events", |world| Box::pin(writes_events(world)))]);
    }
    let cross: Cross = serde_json::from_value(assignment.cross.clone())?;
    let mut writers: Vec<String> = cross.hubs.into_keys().collect();
    writers.sort_unstable();
    let case = |writer: String| {
        Case::new(format!("reads_events_of_{writer}"), move |world| {
            Box::pin(reads_events(world, writer.clone()))
        })
    };
    Ok(writers.into_iter().map(case).collect())
}

//! Every string this crate puts on the wire or looks for there, in one place.
//!
//! `docs/wire.md` explains each of them; nothing else in the crate spells one out.

use eventhubs_amqp::codec::Symbol;

/// Node that takes put-token requests (claims-based security).
pub const CBS_NODE: &str = "$cbs";
/// Node that answers questions about a hub and its partitions.
pub const MANAGEMENT_NODE: &str = "$management";
/// Path element before a partition id.
pub const PARTITIONS: &str = "Partitions";
/// Path element before a consumer group.
pub const CONSUMER_GROUPS: &str = "ConsumerGroups";
/// The consumer group every hub has.
pub const DEFAULT_CONSUMER_GROUP: &str = "$Default";
/// Scheme of an audience, the resource a token is made for.
pub const AUDIENCE_SCHEME: &str = "amqps";

/// Message format of a batch: every data section of the message holds a whole event.
pub const BATCH_MESSAGE_FORMAT: u32 = 0x8001_3700;
/// Message format of a single event: AMQP's own.
pub const MESSAGE_FORMAT: u32 = 0;

/// Message annotation: position of the event in its partition, AMQP long.
pub const SEQUENCE_NUMBER: &str = "x-opt-sequence-number";
/// Message annotation: opaque position text, AMQP string.
pub const OFFSET: &str = "x-opt-offset";
/// Message annotation: when the service accepted the event, AMQP timestamp.
pub const ENQUEUED_TIME: &str = "x-opt-enqueued-time";
/// Message annotation: partition key, AMQP string.
pub const PARTITION_KEY: &str = "x-opt-partition-key";
/// Message annotation: name of the publisher, AMQP string.
pub const PUBLISHER: &str = "x-opt-publisher";
/// Message annotation: partition id, not always present.
pub const PARTITION_ID: &str = "x-opt-partition-id";

/// Message annotation of IoT Hub: device that sent the event.
pub const IOTHUB_DEVICE_ID: &str = "iothub-connection-device-id";
/// Message annotation of IoT Hub: module that sent the event.
pub const IOTHUB_MODULE_ID: &str = "iothub-connection-module-id";
/// Message annotation of IoT Hub: generation of the device's credentials.
pub const IOTHUB_AUTH_GENERATION_ID: &str = "iothub-connection-auth-generation-id";
/// Message annotation of IoT Hub: how the device authenticated, a JSON text.
pub const IOTHUB_AUTH_METHOD: &str = "iothub-connection-auth-method";
/// Message annotation of IoT Hub: when IoT Hub took the event.
pub const IOTHUB_ENQUEUED_TIME: &str = "iothub-enqueuedtime";
/// Message annotation of IoT Hub: where the event comes from, for example `Telemetry`.
pub const IOTHUB_MESSAGE_SOURCE: &str = "iothub-message-source";

/// Delivery annotation and management field: last sequence number of the partition.
pub const LAST_ENQUEUED_SEQUENCE_NUMBER: &str = "last_enqueued_sequence_number";
/// Delivery annotation and management field: last offset of the partition.
pub const LAST_ENQUEUED_OFFSET: &str = "last_enqueued_offset";
/// Delivery annotation and management field: when the last event was accepted.
pub const LAST_ENQUEUED_TIME: &str = "last_enqueued_time_utc";
/// Delivery annotation and management field: when the service looked this up.
pub const RETRIEVAL_TIME: &str = "runtime_info_retrieval_time_utc";

/// Name, and symbolic descriptor, of the selector filter.
pub const SELECTOR_FILTER: &str = "apache.org:selector-filter:string";
/// Registered numeric descriptor of the selector filter.
pub const SELECTOR_FILTER_CODE: u64 = 0x0000_468C_0000_0004;
/// What a selector calls the sequence number.
pub const SELECTOR_SEQUENCE_NUMBER: &str = "amqp.annotation.x-opt-sequence-number";
/// What a selector calls the offset.
pub const SELECTOR_OFFSET: &str = "amqp.annotation.x-opt-offset";
/// What a selector calls the enqueued time.
pub const SELECTOR_ENQUEUED_TIME: &str = "amqp.annotation.x-opt-enqueued-time";
/// Offset before the first event.
pub const OFFSET_EARLIEST: &str = "-1";
/// Offset of the last event at the moment of attaching.
pub const OFFSET_LATEST: &str = "@latest";

/// Link property: owner level of a receiver, AMQP long.
pub const EPOCH: Symbol = Symbol::from_static("com.microsoft:epoch");
/// Link property: name of a receiver, AMQP string; the service quotes it in its error texts.
pub const RECEIVER_NAME: Symbol = Symbol::from_static("com.microsoft:receiver-name");
/// Link property and message annotation of an idempotent sender: group id, AMQP long.
pub const PRODUCER_ID: Symbol = Symbol::from_static("com.microsoft:producer-id");
/// Link property and message annotation of an idempotent sender: owner level, AMQP short.
pub const PRODUCER_EPOCH: Symbol = Symbol::from_static("com.microsoft:producer-epoch");
/// Link property and message annotation of an idempotent sender: last number, AMQP int.
pub const PRODUCER_SEQUENCE_NUMBER: Symbol =
    Symbol::from_static("com.microsoft:producer-sequence-number");

/// Capability every link asks for: offsets may be text.
pub const GEOREPLICATION: Symbol = Symbol::from_static("com.microsoft:georeplication");
/// Capability a receiver asks for to get the partition's last position with each event.
pub const RUNTIME_METRIC: Symbol =
    Symbol::from_static("com.microsoft:enable-receiver-runtime-metric");
/// Capability an idempotent sender asks for.
pub const IDEMPOTENT_PRODUCER: Symbol = Symbol::from_static("com.microsoft:idempotent-producer");

/// Application property of a request: what to do.
pub const OPERATION: &str = "operation";
/// Application property of a request: kind of entity, or kind of token.
pub const TYPE: &str = "type";
/// Application property of a request, and field of an answer: name of the entity.
pub const NAME: &str = "name";
/// Application property of a request, and field of an answer: partition id.
pub const PARTITION: &str = "partition";
/// Application property of a put-token request: when the token ends.
pub const EXPIRATION: &str = "expiration";
/// Application property of a management request: the token itself.
pub const SECURITY_TOKEN: &str = "security_token";
/// Value of [`OPERATION`] that hands a token over.
pub const PUT_TOKEN: &str = "put-token";
/// Value of [`OPERATION`] that asks for an entity.
pub const READ: &str = "READ";
/// Value of [`TYPE`] for a hub.
pub const TYPE_HUB: &str = "com.microsoft:eventhub";
/// Value of [`TYPE`] for a partition.
pub const TYPE_PARTITION: &str = "com.microsoft:partition";
/// Value of [`TYPE`] for a shared access signature.
pub const TYPE_SAS: &str = "servicebus.windows.net:sastoken";
/// Value of [`TYPE`] for a JSON web token.
pub const TYPE_JWT: &str = "jwt";
/// What Entra ID is asked for a token for, in every cloud.
pub const ENTRA_SCOPE: &str = "https://eventhubs.azure.net/.default";

/// Application properties of an answer that hold its status code, newest spelling first.
pub const STATUS_CODE: [&str; 2] = ["status-code", "statusCode"];
/// Application properties of an answer that hold its text, newest spelling first.
pub const STATUS_DESCRIPTION: [&str; 2] = ["status-description", "statusDescription"];
/// Application properties of an answer that hold a condition, newest spelling first.
pub const ERROR_CONDITION: [&str; 2] = ["error-condition", "errorCondition"];

/// Field of an answer: when the hub was created.
pub const CREATED_AT: &str = "created_at";
/// Field of an answer: number of partitions.
pub const PARTITION_COUNT: &str = "partition_count";
/// Field of an answer: the partition ids, a list or an array.
pub const PARTITION_IDS: &str = "partition_ids";
/// Field of an answer: above 1 the namespace is geo-replicated.
pub const GEOREPLICATION_FACTOR: &str = "georeplication_factor";
/// Field of an answer: oldest sequence number still kept.
pub const BEGIN_SEQUENCE_NUMBER: &str = "begin_sequence_number";
/// Field of an answer: whether the partition holds no event.
pub const IS_PARTITION_EMPTY: &str = "is_partition_empty";

/// Condition: the namespace or hub is throttled.
pub const SERVER_BUSY: &str = "com.microsoft:server-busy";
/// Condition: the service gave up waiting for itself.
pub const SERVICE_TIMEOUT: &str = "com.microsoft:timeout";
/// Condition: the service restarts or upgrades.
pub const OPERATION_CANCELLED: &str = "com.microsoft:operation-cancelled";
/// Condition: a position, property or name is wrong.
pub const ARGUMENT_ERROR: &str = "com.microsoft:argument-error";
/// Condition: a value, often the partition id, is out of range.
pub const ARGUMENT_OUT_OF_RANGE: &str = "com.microsoft:argument-out-of-range";
/// Condition: a token was refused.
pub const AUTH_FAILED: &str = "com.microsoft:auth-failed";
/// Condition: the hub is switched off.
pub const ENTITY_DISABLED: &str = "com.microsoft:entity-disabled";
/// Condition: the partition moved inside the service.
pub const PARTITION_NOT_OWNED: &str = "com.microsoft:partition-not-owned";
/// Condition: the service's own store moved.
pub const STORE_LOCK_LOST: &str = "com.microsoft:store-lock-lost";
/// Condition: this publisher may not send any more.
pub const PUBLISHER_REVOKED: &str = "com.microsoft:publisher-revoked";
/// Condition: an idempotent sender skipped or repeated a number.
pub const OUT_OF_ORDER_SEQUENCE: &str = "com.microsoft:out-of-order-sequence";
/// Condition: another idempotent sender took over.
pub const PRODUCER_EPOCH_STOLEN: &str = "com.microsoft:producer-epoch-stolen";
/// Condition: an offset is not valid after a fail-over.
pub const INVALID_OFFSET: &str = "com.microsoft:georeplication:invalid-offset";
/// Condition: the lock of a message is lost; from Service Bus, not expected here.
pub const MESSAGE_LOCK_LOST: &str = "com.microsoft:message-lock-lost";

/// Condition of AMQP (2.8.15): an error of the peer's own.
pub const INTERNAL_ERROR: &str = "amqp:internal-error";
/// Condition of AMQP (2.8.15): no such node.
pub const NOT_FOUND: &str = "amqp:not-found";
/// Condition of AMQP (2.8.15): no right to do this.
pub const UNAUTHORIZED_ACCESS: &str = "amqp:unauthorized-access";
/// Condition of AMQP (2.8.15): bytes that cannot be decoded.
pub const DECODE_ERROR: &str = "amqp:decode-error";
/// Condition of AMQP (2.8.15): a quota is used up.
pub const RESOURCE_LIMIT_EXCEEDED: &str = "amqp:resource-limit-exceeded";
/// Condition of AMQP (2.8.15): not allowed here.
pub const NOT_ALLOWED: &str = "amqp:not-allowed";
/// Condition of AMQP (2.8.15): a field has a wrong value.
pub const INVALID_FIELD: &str = "amqp:invalid-field";
/// Condition of AMQP (2.8.15): not implemented.
pub const NOT_IMPLEMENTED: &str = "amqp:not-implemented";
/// Condition of AMQP (2.8.15): somebody else holds it.
pub const RESOURCE_LOCKED: &str = "amqp:resource-locked";
/// Condition of AMQP (2.8.15): a precondition does not hold.
pub const PRECONDITION_FAILED: &str = "amqp:precondition-failed";
/// Condition of AMQP (2.8.15): the node was deleted.
pub const RESOURCE_DELETED: &str = "amqp:resource-deleted";
/// Condition of AMQP (2.8.15): not in this state.
pub const ILLEGAL_STATE: &str = "amqp:illegal-state";
/// Condition of AMQP (2.8.15): a frame is too large for its reader.
pub const FRAME_SIZE_TOO_SMALL: &str = "amqp:frame-size-too-small";
/// Condition of AMQP (2.8.16): the operator closed the connection.
pub const CONNECTION_FORCED: &str = "amqp:connection:forced";
/// Condition of AMQP (2.8.16): the bytes are no frames.
pub const FRAMING_ERROR: &str = "amqp:connection:framing-error";
/// Condition of AMQP (2.8.16): another host serves this.
pub const CONNECTION_REDIRECT: &str = "amqp:connection:redirect";
/// Condition of AMQP (2.8.17): more transfers than the window has room for.
pub const WINDOW_VIOLATION: &str = "amqp:session:window-violation";
/// Condition of AMQP (2.8.17): a frame for a link that is being detached.
pub const ERRANT_LINK: &str = "amqp:session:errant-link";
/// Condition of AMQP (2.8.17): an attach on a handle in use.
pub const HANDLE_IN_USE: &str = "amqp:session:handle-in-use";
/// Condition of AMQP (2.8.17): a frame for a handle nobody attached.
pub const UNATTACHED_HANDLE: &str = "amqp:session:unattached-handle";
/// Condition of AMQP (2.8.18): the operator detached the link.
pub const DETACH_FORCED: &str = "amqp:link:detach-forced";
/// Condition of AMQP (2.8.18): more transfers than there was credit for.
pub const TRANSFER_LIMIT_EXCEEDED: &str = "amqp:link:transfer-limit-exceeded";
/// Condition of AMQP (2.8.18): a message is too large for the link.
pub const MESSAGE_SIZE_EXCEEDED: &str = "amqp:link:message-size-exceeded";
/// Condition of AMQP (2.8.18): another node serves this.
pub const LINK_REDIRECT: &str = "amqp:link:redirect";
/// Condition of AMQP (2.8.18): another link took over.
pub const STOLEN: &str = "amqp:link:stolen";

/// What all conditions of this service start with.
pub const SERVICE_PREFIX: &str = "com.microsoft:";
/// What all session conditions of AMQP start with.
pub const SESSION_PREFIX: &str = "amqp:session:";
/// What all connection conditions of AMQP start with.
pub const CONNECTION_PREFIX: &str = "amqp:connection:";

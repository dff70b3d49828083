//! Every Event Hubs name on the wire, in the service's own spelling.
//!
//! The client crates spell the same names in a file of their own. That repetition is wanted: a
//! literal shared by both ends could never prove either of them right.

/// Node for claims-based security: tokens are put here.
pub(crate) const CBS_NODE: &str = "$cbs";
/// Node for management requests.
pub(crate) const MANAGEMENT_NODE: &str = "$management";
/// Consumer group that every hub has.
pub(crate) const DEFAULT_GROUP: &str = "$Default";
/// Path segment before a partition id. Compared without regard to case.
pub(crate) const PARTITIONS_SEGMENT: &str = "Partitions";
/// Path segment before a publisher's name. Compared without regard to case.
pub(crate) const PUBLISHERS_SEGMENT: &str = "Publishers";
/// Path segment before a consumer group. Compared without regard to case.
pub(crate) const GROUPS_SEGMENT: &str = "ConsumerGroups";

/// SASL mechanisms in the order in which the service offers them.
pub(crate) const SASL_MECHANISMS: [&str; 4] = ["MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"];

/// AMQP over WebSocket.
#[cfg(feature = "ws")]
pub(crate) mod web_socket {
    /// Where it is spoken; a slash may follow.
    pub(crate) const PATH: &str = "/$servicebus/websocket";
    /// Sub-protocols that mean AMQP: the registered one and the service's own.
    pub(crate) const PROTOCOLS: [&str; 2] = ["amqp", "AMQPWSB10"];
}

/// Message format of a batch envelope; each data section holds one encoded message.
pub(crate) const BATCH_FORMAT: u32 = 0x8001_3700;

/// Application properties and values of requests and answers.
pub(crate) mod request {
    /// What to do.
    pub(crate) const OPERATION: &str = "operation";
    /// Token type, or entity type.
    pub(crate) const TYPE: &str = "type";
    /// Audience of a token, or name of an entity.
    pub(crate) const NAME: &str = "name";
    /// Partition id of a partition read.
    pub(crate) const PARTITION: &str = "partition";
    /// Token that some clients put on each management request.
    pub(crate) const SECURITY_TOKEN: &str = "security_token";
    /// Operation on `$cbs`.
    pub(crate) const PUT_TOKEN: &str = "put-token";
    /// Operation on `$management`.
    pub(crate) const READ: &str = "READ";
    /// Token type of a shared access signature.
    pub(crate) const SAS_TOKEN: &str = "servicebus.windows.net:sastoken";
    /// Token type of a JSON web token of Entra ID.
    pub(crate) const JWT: &str = "jwt";
    /// Audience of such a token; with or without a slash at its end.
    pub(crate) const ENTRA_AUDIENCE: &str = "https://eventhubs.azure.net";
    /// Entity type of a hub.
    pub(crate) const EVENT_HUB: &str = "com.microsoft:eventhub";
    /// Entity type of a partition.
    pub(crate) const EVENT_HUB_PARTITION: &str = "com.microsoft:partition";
    /// Outcome of a request, an `int`.
    pub(crate) const STATUS_CODE: &str = "status-code";
    /// Outcome of a request in words.
    pub(crate) const STATUS_DESCRIPTION: &str = "status-description";
    /// Error condition of a refused request, a symbol.
    pub(crate) const ERROR_CONDITION: &str = "error-condition";
}

/// Keys of the map that answers a management read.
pub(crate) mod info {
    pub(crate) const NAME: &str = "name";
    pub(crate) const TYPE: &str = "type";
    pub(crate) const CREATED_AT: &str = "created_at";
    pub(crate) const PARTITION_COUNT: &str = "partition_count";
    pub(crate) const PARTITION_IDS: &str = "partition_ids";
    pub(crate) const GEOREPLICATION_FACTOR: &str = "georeplication_factor";
    pub(crate) const PARTITION: &str = "partition";
    pub(crate) const BEGIN_SEQUENCE_NUMBER: &str = "begin_sequence_number";
    pub(crate) const BEGIN_SEQUENCE_NUMBER_EPOCH: &str = "begin_sequence_number_epoch";
    pub(crate) const LAST_SEQUENCE_NUMBER: &str = "last_enqueued_sequence_number";
    pub(crate) const LAST_SEQUENCE_NUMBER_EPOCH: &str = "last_enqueued_sequence_number_epoch";
    pub(crate) const LAST_OFFSET: &str = "last_enqueued_offset";
    pub(crate) const LAST_TIME: &str = "last_enqueued_time_utc";
    pub(crate) const IS_EMPTY: &str = "is_partition_empty";
    /// Only in delivery annotations: when the three values above were read.
    pub(crate) const RETRIEVAL_TIME: &str = "runtime_info_retrieval_time_utc";
}

/// Message annotations.
pub(crate) mod annotation {
    pub(crate) const SEQUENCE_NUMBER: &str = "x-opt-sequence-number";
    /// Epoch of replication; on every event.
    pub(crate) const SEQUENCE_NUMBER_EPOCH: &str = "x-opt-sequence-number-epoch";
    pub(crate) const OFFSET: &str = "x-opt-offset";
    pub(crate) const ENQUEUED_TIME: &str = "x-opt-enqueued-time";
    pub(crate) const PARTITION_KEY: &str = "x-opt-partition-key";
    pub(crate) const PUBLISHER: &str = "x-opt-publisher";
}

/// Link properties and capabilities.
pub(crate) mod link {
    /// Owner level of a receiver, any integer width.
    pub(crate) const EPOCH: &str = "com.microsoft:epoch";
    /// Name of a receiver for error texts.
    pub(crate) const RECEIVER_NAME: &str = "com.microsoft:receiver-name";
    /// The same as the official Rust client spells it.
    pub(crate) const RECEIVER_NAME_RUST: &str = "com.microsoft.com:receiver-name";
    /// Asks for delivery annotations about the end of the partition.
    pub(crate) const RUNTIME_METRIC: &str = "com.microsoft:enable-receiver-runtime-metric";
    /// Says that offsets may be any text.
    pub(crate) const GEO_REPLICATION: &str = "com.microsoft:georeplication";
    /// Asks for numbered publications.
    pub(crate) const IDEMPOTENT_PRODUCER: &str = "com.microsoft:idempotent-producer";
    /// Id of an idempotent producer, on links and events.
    pub(crate) const PRODUCER_ID: &str = "com.microsoft:producer-id";
    /// Epoch of an idempotent producer, on links and events.
    pub(crate) const PRODUCER_EPOCH: &str = "com.microsoft:producer-epoch";
    /// Last number of an idempotent producer on links, own number on events.
    pub(crate) const PRODUCER_SEQUENCE: &str = "com.microsoft:producer-sequence-number";
}

/// The selector filter of a receiver's source.
pub(crate) mod filter {
    /// Key in the filter set and symbolic descriptor of the value.
    pub(crate) const SELECTOR: &str = "apache.org:selector-filter:string";
    /// Registered numeric descriptor.
    pub(crate) const SELECTOR_CODE: u64 = 0x0000_468C_0000_0004;
    /// Numeric descriptor that .NET sends.
    pub(crate) const SELECTOR_CODE_DOTNET: u64 = 0x0000_0013_7000_000A;
    /// Start of each property name in a selector.
    pub(crate) const ANNOTATION_PREFIX: &str = "amqp.annotation.";
    /// Spelling of the enqueued time by older clients.
    pub(crate) const ENQUEUED_TIME_LEGACY: &str = "x-opt-enqueuedtimeutc";
    /// Offset before the first event.
    pub(crate) const EARLIEST: &str = "-1";
    /// Offset after the last event.
    pub(crate) const LATEST: &str = "@latest";
}

/// Error conditions of the service itself; those of AMQP are constants of `eventhubs-amqp`.
pub(crate) mod condition {
    pub(crate) const SERVER_BUSY: &str = "com.microsoft:server-busy";
    pub(crate) const OUT_OF_ORDER: &str = "com.microsoft:out-of-order-sequence";
    pub(crate) const PRODUCER_STOLEN: &str = "com.microsoft:producer-epoch-stolen";
    pub(crate) const INVALID_OFFSET: &str = "com.microsoft:georeplication:invalid-offset";
    pub(crate) const ARGUMENT_ERROR: &str = "com.microsoft:argument-error";
    pub(crate) const ARGUMENT_OUT_OF_RANGE: &str = "com.microsoft:argument-out-of-range";
    /// The hub is switched off.
    pub(crate) const ENTITY_DISABLED: &str = "com.microsoft:entity-disabled";
    pub(crate) const AUTH_FAILED: &str = "com.microsoft:auth-failed";
}

/// Properties of the client's open.
pub(crate) mod open {
    /// What the client says it is.
    pub(crate) const USER_AGENT: &str = "user-agent";
}

/// Hub management in ATOM.
#[cfg(feature = "http")]
pub(crate) mod atom {
    /// Path of the list of hubs, first segment. Compared without regard to case, as all of them.
    pub(crate) const RESOURCES: &str = "$Resources";
    /// Path of the list of hubs, second segment; also the title of that feed.
    pub(crate) const EVENT_HUBS: &str = "EventHubs";
    /// Namespace of entries and feeds.
    pub(crate) const ATOM_SCHEMA: &str = "http://www.w3.org/2005/Atom";
    /// Namespace of descriptions.
    pub(crate) const SERVICE_SCHEMA: &str =
        "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect";
    /// Namespace of `nil`.
    pub(crate) const INSTANCE_SCHEMA: &str = "http://www.w3.org/2001/XMLSchema-instance";
    /// Namespace of the strings in a list.
    pub(crate) const ARRAY_SCHEMA: &str =
        "http://schemas.microsoft.com/2003/10/Serialization/Arrays";
    /// Root of one entity, in requests and answers.
    pub(crate) const ENTRY: &str = "entry";
    /// Root of a list.
    pub(crate) const FEED: &str = "feed";
    /// Title of the feed that stands for a hub that is not there.
    pub(crate) const NOTHING: &str = "Publicly Listed Services";
    /// A hub in the content of an entry.
    pub(crate) const HUB_DESCRIPTION: &str = "EventHubDescription";
    /// A consumer group in the content of an entry.
    pub(crate) const GROUP_DESCRIPTION: &str = "ConsumerGroupDescription";
    pub(crate) const RETENTION_DAYS: &str = "MessageRetentionInDays";
    pub(crate) const SIZE: &str = "SizeInBytes";
    pub(crate) const RULES: &str = "AuthorizationRules";
    pub(crate) const STATUS: &str = "Status";
    pub(crate) const CREATED: &str = "CreatedAt";
    pub(crate) const UPDATED: &str = "UpdatedAt";
    pub(crate) const ACCESSED: &str = "AccessedAt";
    pub(crate) const PARTITION_COUNT: &str = "PartitionCount";
    pub(crate) const PARTITION_IDS: &str = "PartitionIds";
    pub(crate) const AVAILABILITY: &str = "EntityAvailabilityStatus";
    pub(crate) const AVAILABLE: &str = "Available";
    pub(crate) const USER_METADATA: &str = "UserMetadata";
    /// Values of the status.
    pub(crate) const ACTIVE: &str = "Active";
    pub(crate) const DISABLED: &str = "Disabled";
    pub(crate) const SEND_DISABLED: &str = "SendDisabled";
    pub(crate) const RECEIVE_DISABLED: &str = "ReceiveDisabled";
    /// Root of a refusal, its number, and its words.
    pub(crate) const ERROR: &str = "Error";
    pub(crate) const CODE: &str = "Code";
    pub(crate) const DETAIL: &str = "Detail";
    /// Query: how many entries at most, and how many to leave out first.
    pub(crate) const TOP: &str = "$top";
    pub(crate) const SKIP: &str = "$skip";
    /// Query: the version of the interface; kept in the links of answers.
    pub(crate) const API_VERSION: &str = "api-version";
    /// Authorization of a token of Entra ID, before the token.
    pub(crate) const BEARER: &str = "Bearer";
}

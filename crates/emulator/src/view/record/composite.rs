//! What the fields of AMQP's composite types are called (parts 2.7, 3.2, 3.4, 3.5 and 5.3.3).

/// A composite type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Composite {
    pub(super) code: u64,
    pub(super) name: &'static str,
    pub(super) fields: &'static [&'static str],
}

/// The type behind a numeric descriptor.
pub(super) fn by_code(code: u64) -> Option<&'static Composite> {
    ALL.iter().find(|composite| composite.code == code)
}

/// The type behind a symbolic descriptor: `amqp:NAME:list` or `amqp:NAME:map`.
pub(super) fn by_symbol(symbol: &str) -> Option<&'static Composite> {
    let name = symbol.strip_prefix("amqp:")?.rsplit_once(':')?.0;
    ALL.iter().find(|composite| composite.name == name)
}

const fn composite(code: u64, name: &'static str, fields: &'static [&'static str]) -> Composite {
    Composite { code, name, fields }
}

const ALL: &[Composite] = &[
    composite(
        0x10,
        "open",
        &[
            "container-id",
            "hostname",
            "max-frame-size",
            "channel-max",
            "idle-time-out",
            "outgoing-locales",
            "incoming-locales",
            "offered-capabilities",
            "desired-capabilities",
            "properties",
        ],
    ),
    composite(
        0x11,
        "begin",
        &[
            "remote-channel",
            "next-outgoing-id",
            "incoming-window",
            "outgoing-window",
            "handle-max",
            "offered-capabilities",
            "desired-capabilities",
            "properties",
        ],
    ),
    composite(
        0x12,
        "attach",
        &[
            "name",
            "handle",
            "role",
            "snd-settle-mode",
            "rcv-settle-mode",
            "source",
            "target",
            "unsettled",
            "incomplete-unsettled",
            "initial-delivery-count",
            "max-message-size",
            "offered-capabilities",
            "desired-capabilities",
            "properties",
        ],
    ),
    composite(
        0x13,
        "flow",
        &[
            "next-incoming-id",
            "incoming-window",
            "next-outgoing-id",
            "outgoing-window",
            "handle",
            "delivery-count",
            "link-credit",
            "available",
            "drain",
            "echo",
            "properties",
        ],
    ),
    composite(
        0x14,
        "transfer",
        &[
            "handle",
            "delivery-id",
            "delivery-tag",
            "message-format",
            "settled",
            "more",
            "rcv-settle-mode",
            "state",
            "resume",
            "aborted",
            "batchable",
        ],
    ),
    composite(0x15, "disposition", &["role", "first", "last", "settled", "state", "batchable"]),
    composite(0x16, "detach", &["handle", "closed", "error"]),
    composite(0x17, "end", &["error"]),
    composite(0x18, "close", &["error"]),
    composite(0x1d, "error", &["condition", "description", "info"]),
    composite(0x23, "received", &["section-number", "section-offset"]),
    composite(0x24, "accepted", &[]),
    composite(0x25, "rejected", &["error"]),
    composite(0x26, "released", &[]),
    composite(0x27, "modified", &["delivery-failed", "undeliverable-here", "message-annotations"]),
    composite(
        0x28,
        "source",
        &[
            "address",
            "durable",
            "expiry-policy",
            "timeout",
            "dynamic",
            "dynamic-node-properties",
            "distribution-mode",
            "filter",
            "default-outcome",
            "outcomes",
            "capabilities",
        ],
    ),
    composite(
        0x29,
        "target",
        &[
            "address",
            "durable",
            "expiry-policy",
            "timeout",
            "dynamic",
            "dynamic-node-properties",
            "capabilities",
        ],
    ),
    composite(0x30, "coordinator", &["capabilities"]),
    composite(0x40, "sasl-mechanisms", &["sasl-server-mechanisms"]),
    composite(0x41, "sasl-init", &["mechanism", "initial-response", "hostname"]),
    composite(0x42, "sasl-challenge", &["challenge"]),
    composite(0x43, "sasl-response", &["response"]),
    composite(0x44, "sasl-outcome", &["code", "additional-data"]),
    composite(0x70, "header", &["durable", "priority", "ttl", "first-acquirer", "delivery-count"]),
    composite(0x71, "delivery-annotations", &[]),
    composite(0x72, "message-annotations", &[]),
    composite(
        0x73,
        "properties",
        &[
            "message-id",
            "user-id",
            "to",
            "subject",
            "reply-to",
            "correlation-id",
            "content-type",
            "content-encoding",
            "absolute-expiry-time",
            "creation-time",
            "group-id",
            "group-sequence",
            "reply-to-group-id",
        ],
    ),
    composite(0x74, "application-properties", &[]),
    composite(0x75, "data", &[]),
    composite(0x76, "amqp-sequence", &[]),
    composite(0x77, "amqp-value", &[]),
    composite(0x78, "footer", &[]),
];

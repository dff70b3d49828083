//! Anything the codec can be asked to write, for properties.

use bytes::Bytes;
use eventhubs_amqp::codec::message::{Body, Header, Message, MessageId, Properties};
use eventhubs_amqp::codec::performative::{
    Attach, Begin, Close, Detach, Disposition, End, Flow, Open, Performative, ReceiverSettleMode,
    Role, SenderSettleMode, Transfer,
};
use eventhubs_amqp::codec::{
    AmqpError, DeliveryState, Described, FieldList, Map, Source, Symbol, Target, Value,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub(crate) fn fields() -> impl Strategy<Value = FieldList> {
    prop_oneof![Just(FieldList::Full), Just(FieldList::Trimmed)]
}

/// Lengths on both sides of the step from one byte to four.
fn text() -> BoxedStrategy<String> {
    prop_oneof![8 => "\\PC{0,12}", 1 => "[a-z]{250,260}"].boxed()
}

pub(crate) fn symbol() -> BoxedStrategy<Symbol> {
    prop_oneof![8 => "[a-z:-]{0,12}", 1 => "[a-z]{250,260}"].prop_map(Symbol::new).boxed()
}

fn symbols() -> BoxedStrategy<Vec<Symbol>> {
    vec(symbol(), 0..4).boxed()
}

fn binary() -> BoxedStrategy<Bytes> {
    prop_oneof![8 => vec(any::<u8>(), 0..12), 1 => vec(any::<u8>(), 250..260)]
        .prop_map(Bytes::from)
        .boxed()
}

/// Numbers around every width.
fn uint() -> BoxedStrategy<u32> {
    prop_oneof![Just(0), 1..=255_u32, 256..1000_u32, any::<u32>(), Just(u32::MAX)].boxed()
}

fn ulong() -> impl Strategy<Value = u64> {
    prop_oneof![uint().prop_map(u64::from), any::<u64>()]
}

fn long() -> impl Strategy<Value = i64> {
    prop_oneof![-200..200_i64, any::<i64>()]
}

/// One strategy per type, so that arrays can be made of each.
fn scalars() -> Vec<BoxedStrategy<Value>> {
    vec![
        Just(Value::Null).boxed(),
        any::<bool>().prop_map(Value::Bool).boxed(),
        any::<u8>().prop_map(Value::Ubyte).boxed(),
        any::<u16>().prop_map(Value::Ushort).boxed(),
        uint().prop_map(Value::Uint).boxed(),
        ulong().prop_map(Value::Ulong).boxed(),
        any::<i8>().prop_map(Value::Byte).boxed(),
        any::<i16>().prop_map(Value::Short).boxed(),
        prop_oneof![-200..200_i32, any::<i32>()].prop_map(Value::Int).boxed(),
        long().prop_map(Value::Long).boxed(),
        // A NaN would not equal itself.
        proptest::num::f32::NORMAL.prop_map(Value::Float).boxed(),
        proptest::num::f64::NORMAL.prop_map(Value::Double).boxed(),
        any::<[u8; 4]>().prop_map(Value::Decimal32).boxed(),
        any::<[u8; 8]>().prop_map(Value::Decimal64).boxed(),
        any::<[u8; 16]>().prop_map(Value::Decimal128).boxed(),
        any::<char>().prop_map(Value::Char).boxed(),
        any::<i64>().prop_map(Value::Timestamp).boxed(),
        any::<[u8; 16]>().prop_map(Value::Uuid).boxed(),
        binary().prop_map(Value::Binary).boxed(),
        text().prop_map(Value::String).boxed(),
        symbol().prop_map(Value::Symbol).boxed(),
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    proptest::strategy::Union::new(scalars())
}

/// Arrays whose elements have one type, those of compound elements included.
fn array(inner: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let of = |element: BoxedStrategy<Value>| vec(element, 0..6).prop_map(Value::Array).boxed();
    let mut arrays: Vec<_> = scalars().into_iter().map(of).collect();
    arrays.push(of(vec(inner.clone(), 0..4).prop_map(Value::List).boxed()));
    arrays.push(of(map_of(inner.clone()).prop_map(Value::Map).boxed()));
    arrays.push(of(vec(ulong().prop_map(Value::Ulong), 0..4).prop_map(Value::Array).boxed()));
    arrays.push(of(vec(text().prop_map(Value::String), 0..4).prop_map(Value::Array).boxed()));
    let described = (scalar(), vec(vec(inner, 0..3), 0..4)).prop_map(|(descriptor, lists)| {
        let describe = |items| Value::described(descriptor.clone(), Value::List(items));
        Value::Array(lists.into_iter().map(describe).collect())
    });
    arrays.push(described.boxed());
    proptest::strategy::Union::new(arrays).boxed()
}

fn map_of(inner: BoxedStrategy<Value>) -> impl Strategy<Value = Map> {
    vec((inner.clone(), inner), 0..4).prop_map(|entries| entries.into_iter().collect())
}

pub(crate) fn value() -> BoxedStrategy<Value> {
    scalar()
        .prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..6).prop_map(Value::List),
                map_of(inner.clone()).prop_map(Value::Map),
                array(inner.clone()),
                (inner.clone(), inner).prop_map(|(descriptor, value)| {
                    Value::Described(Box::new(Described { descriptor, value }))
                }),
            ]
        })
        .boxed()
}

pub(crate) fn map() -> BoxedStrategy<Map> {
    let key = prop_oneof![symbol().prop_map(Value::from), text().prop_map(Value::from)];
    vec((key, value()), 0..4).prop_map(|entries| entries.into_iter().collect()).boxed()
}

fn error() -> BoxedStrategy<AmqpError> {
    (symbol(), option::of(text()), map())
        .prop_map(|(condition, description, info)| AmqpError { condition, description, info })
        .boxed()
}

pub(crate) fn state() -> BoxedStrategy<DeliveryState> {
    prop_oneof![
        (uint(), ulong()).prop_map(|(section_number, section_offset)| {
            DeliveryState::Received { section_number, section_offset }
        }),
        Just(DeliveryState::Accepted),
        Just(DeliveryState::Released),
        option::of(error()).prop_map(DeliveryState::Rejected),
        (any::<bool>(), any::<bool>(), map()).prop_map(
            |(delivery_failed, undeliverable_here, message_annotations)| {
                DeliveryState::Modified { delivery_failed, undeliverable_here, message_annotations }
            }
        ),
        // The descriptor of a transactional state, and one of somebody's own.
        (prop_oneof![Just(Value::Ulong(0x34)), Just(Value::symbol("own:state"))], value())
            .prop_map(|(descriptor, value)| {
                DeliveryState::Other(Box::new(Described { descriptor, value }))
            }),
    ]
    .boxed()
}

fn source() -> BoxedStrategy<Source> {
    (
        (option::of(text()), 0..3_u32, option::of(symbol()), uint(), any::<bool>(), map()),
        (option::of(symbol()), map(), option::of(state()), symbols(), symbols()),
    )
        .prop_map(|(a, b)| Source {
            address: a.0,
            durable: a.1,
            expiry_policy: a.2,
            timeout: a.3,
            dynamic: a.4,
            dynamic_node_properties: a.5,
            distribution_mode: b.0,
            filter: b.1,
            default_outcome: b.2,
            outcomes: b.3,
            capabilities: b.4,
        })
        .boxed()
}

fn target() -> BoxedStrategy<Target> {
    let plain = (
        option::of(text()),
        0..3_u32,
        option::of(symbol()),
        uint(),
        any::<bool>(),
        map(),
        symbols(),
    )
        .prop_map(|a| Target {
            address: a.0,
            durable: a.1,
            expiry_policy: a.2,
            timeout: a.3,
            dynamic: a.4,
            dynamic_node_properties: a.5,
            capabilities: a.6,
            coordinator: false,
        });
    let coordinator = symbols().prop_map(|capabilities| Target {
        capabilities,
        coordinator: true,
        ..Target::default()
    });
    prop_oneof![5 => plain, 1 => coordinator].boxed()
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Sender), Just(Role::Receiver)]
}

fn open() -> BoxedStrategy<Performative> {
    let max = prop_oneof![Just(u16::MAX), any::<u16>()];
    (
        (text(), option::of(text()), uint(), max, option::of(uint())),
        (symbols(), symbols(), symbols(), symbols(), map()),
    )
        .prop_map(|(a, b)| {
            Open {
                container_id: a.0,
                hostname: a.1,
                max_frame_size: a.2,
                channel_max: a.3,
                idle_time_out: a.4,
                outgoing_locales: b.0,
                incoming_locales: b.1,
                offered_capabilities: b.2,
                desired_capabilities: b.3,
                properties: b.4,
            }
            .into()
        })
        .boxed()
}

fn begin() -> BoxedStrategy<Performative> {
    (option::of(any::<u16>()), uint(), uint(), uint(), uint(), symbols(), symbols(), map())
        .prop_map(|a| {
            Begin {
                remote_channel: a.0,
                next_outgoing_id: a.1,
                incoming_window: a.2,
                outgoing_window: a.3,
                handle_max: a.4,
                offered_capabilities: a.5,
                desired_capabilities: a.6,
                properties: a.7,
            }
            .into()
        })
        .boxed()
}

fn attach() -> BoxedStrategy<Performative> {
    let snd = prop_oneof![
        Just(SenderSettleMode::Unsettled),
        Just(SenderSettleMode::Settled),
        Just(SenderSettleMode::Mixed)
    ];
    let rcv = prop_oneof![Just(ReceiverSettleMode::First), Just(ReceiverSettleMode::Second)];
    (
        (text(), uint(), role(), snd, rcv, option::of(source()), option::of(target())),
        (
            map(),
            any::<bool>(),
            option::of(uint()),
            option::of(ulong()),
            symbols(),
            symbols(),
            map(),
        ),
    )
        .prop_map(|(a, b)| {
            Attach {
                name: a.0,
                handle: a.1,
                role: a.2,
                snd_settle_mode: a.3,
                rcv_settle_mode: a.4,
                source: a.5,
                target: a.6,
                unsettled: b.0,
                incomplete_unsettled: b.1,
                initial_delivery_count: b.2,
                max_message_size: b.3,
                offered_capabilities: b.4,
                desired_capabilities: b.5,
                properties: b.6,
            }
            .into()
        })
        .boxed()
}

fn flow() -> BoxedStrategy<Performative> {
    let ids = || option::of(uint());
    (
        (ids(), uint(), uint(), uint(), ids(), ids(), ids(), ids()),
        any::<bool>(),
        any::<bool>(),
        map(),
    )
        .prop_map(|(a, drain, echo, properties)| {
            Flow {
                next_incoming_id: a.0,
                incoming_window: a.1,
                next_outgoing_id: a.2,
                outgoing_window: a.3,
                handle: a.4,
                delivery_count: a.5,
                link_credit: a.6,
                available: a.7,
                drain,
                echo,
                properties,
            }
            .into()
        })
        .boxed()
}

pub(crate) fn transfer() -> BoxedStrategy<Transfer> {
    let rcv = prop_oneof![Just(ReceiverSettleMode::First), Just(ReceiverSettleMode::Second)];
    let tag = vec(any::<u8>(), 0..=32).prop_map(Bytes::from);
    (
        (uint(), option::of(uint()), option::of(tag), option::of(uint()), any::<Option<bool>>()),
        (any::<bool>(), option::of(rcv), option::of(state())),
        (any::<bool>(), any::<bool>(), any::<bool>()),
    )
        .prop_map(|(a, b, c)| Transfer {
            handle: a.0,
            delivery_id: a.1,
            delivery_tag: a.2,
            message_format: a.3,
            settled: a.4,
            more: b.0,
            rcv_settle_mode: b.1,
            state: b.2,
            resume: c.0,
            aborted: c.1,
            batchable: c.2,
        })
        .boxed()
}

fn disposition() -> BoxedStrategy<Performative> {
    (role(), uint(), option::of(uint()), any::<bool>(), option::of(state()), any::<bool>())
        .prop_map(|a| {
            Disposition {
                role: a.0,
                first: a.1,
                last: a.2,
                settled: a.3,
                state: a.4,
                batchable: a.5,
            }
            .into()
        })
        .boxed()
}

pub(crate) fn performative() -> BoxedStrategy<Performative> {
    prop_oneof![
        open(),
        begin(),
        attach(),
        flow(),
        transfer().prop_map(Performative::from),
        disposition(),
        (uint(), any::<bool>(), option::of(error())).prop_map(|(handle, closed, error)| Detach {
            handle,
            closed,
            error
        }
        .into()),
        option::of(error()).prop_map(|error| End { error }.into()),
        option::of(error()).prop_map(|error| Close { error }.into()),
    ]
    .boxed()
}

fn message_id() -> BoxedStrategy<MessageId> {
    prop_oneof![
        ulong().prop_map(MessageId::Ulong),
        any::<[u8; 16]>().prop_map(MessageId::Uuid),
        binary().prop_map(MessageId::Binary),
        text().prop_map(MessageId::String),
    ]
    .boxed()
}

fn properties() -> BoxedStrategy<Properties> {
    let text = || option::of(text());
    (
        (option::of(message_id()), option::of(binary()), text(), text(), text()),
        (option::of(message_id()), option::of(symbol()), option::of(symbol())),
        (option::of(any::<i64>()), option::of(any::<i64>()), text(), option::of(uint()), text()),
    )
        .prop_map(|(a, b, c)| Properties {
            message_id: a.0,
            user_id: a.1,
            to: a.2,
            subject: a.3,
            reply_to: a.4,
            correlation_id: b.0,
            content_type: b.1,
            content_encoding: b.2,
            absolute_expiry_time: c.0,
            creation_time: c.1,
            group_id: c.2,
            group_sequence: c.3,
            reply_to_group_id: c.4,
        })
        .boxed()
}

pub(crate) fn message() -> BoxedStrategy<Message> {
    let header =
        (any::<bool>(), 0..9_u8, option::of(uint()), any::<bool>(), uint()).prop_map(|a| Header {
            durable: a.0,
            priority: a.1,
            ttl: a.2,
            first_acquirer: a.3,
            delivery_count: a.4,
        });
    let body = prop_oneof![
        vec(binary(), 1..4).prop_map(Body::Data),
        vec(vec(value(), 0..4), 1..3).prop_map(Body::Sequence),
        value().prop_map(Body::Value),
        Just(Body::Empty),
    ];
    (option::of(header), map(), map(), option::of(properties()), map(), body, map())
        .prop_map(|a| Message {
            header: a.0,
            delivery_annotations: a.1,
            message_annotations: a.2,
            properties: a.3,
            application_properties: a.4,
            body: a.5,
            footer: a.6,
        })
        .boxed()
}

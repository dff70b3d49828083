"""Everything that is sent comes back as it was."""

import uuid
from collections import Counter

from azure.eventhub import EventData
from azure.eventhub.amqp import AmqpAnnotatedMessage, AmqpMessageBodyType
from azure.eventhub.exceptions import EventDataSendError

from case import case, long_case
from events import assert_log, bodies_of, refused
from world import send


@long_case
def ten_thousand_events_in_order(world):
    with world.producer() as producer:
        for start in range(0, 10_000, 1_000):
            send(producer, [str(number) for number in range(start, start + 1_000)], partition_id="0")
    events = world.receive(10_000, "0")
    assert bodies_of(events) == [str(number) for number in range(10_000)], "order or loss"
    assert_log(events)


@long_case
def batch_filled_to_the_limit(world):
    with world.producer() as producer:
        batch = producer.create_batch(partition_id="0")
        count = 0
        try:
            while True:
                batch.add(EventData(f"{count:06}" + "x" * 1018))
                count += 1
        except ValueError:
            pass
        assert batch.max_size_in_bytes == 1_048_576, batch.max_size_in_bytes
        producer.send_batch(batch)
    events = world.receive(count, "0")
    assert [body[:6] for body in bodies_of(events)] == [f"{n:06}" for n in range(count)]


@long_case
def event_over_the_limit_refused(world):
    with world.producer() as producer:
        oversize = EventData(b"x" * 1_100_000)
        attempt = lambda: producer.send_event(oversize, partition_id="0")
        refused(attempt, EventDataSendError)
        producer.send_event(EventData("still works"), partition_id="0")
    assert bodies_of(world.receive(1, "0")) == ["still works"]


@case
def event_of_200_kb(world):
    body = bytes(number * 7 % 251 for number in range(200_000))
    with world.producer() as producer:
        producer.send_event(EventData(body), partition_id="0")
        send(producer, [body], partition_id="0")
    for _, event in world.receive(2, "0"):
        assert b"".join(event.body) == body, "the body came back changed"


@case
def batch_to_a_partition(world):
    sent = [f"event {number}" for number in range(10)]
    world.send(sent, partition_id="1")
    events = world.receive(10, "1")
    assert bodies_of(events) == sent, bodies_of(events)
    assert {partition for partition, _ in events} == {"1"}
    assert all(event.partition_key is None for _, event in events)
    assert_log(events)


@case
def batch_by_key(world):
    keys = [f"device {number}" for number in range(12)]
    with world.producer() as producer:
        for turn in ("first", "second"):
            for key in keys:
                send(producer, [f"{key} {turn}"], partition_key=key)
    events = world.receive(2 * len(keys))
    for key in keys:
        mine = [(p, e.body_as_str()) for p, e in events if e.partition_key == key.encode()]
        assert [body for _, body in mine] == [f"{key} first", f"{key} second"], (key, mine)
        assert len({partition for partition, _ in mine}) == 1, (key, mine)
    spread = Counter(partition for partition, _ in events)
    assert len(spread) > 1, f"12 keys all went to {spread}"


@case
def list_of_events(world):
    with world.producer() as producer:
        producer.send_batch([EventData("one"), EventData("two")], partition_id="0")
    assert bodies_of(world.receive(2, "0")) == ["one", "two"]


@case
def list_of_events_by_key(world):
    with world.producer() as producer:
        producer.send_batch([EventData("one"), EventData("two")], partition_key="device")
    events = world.receive(2)
    assert bodies_of(events) == ["one", "two"], bodies_of(events)
    assert all(event.partition_key == b"device" for _, event in events)


@case
def single_events_anywhere(world):
    sent = [f"single {number}" for number in range(8)]
    with world.producer() as producer:
        for body in sent:
            producer.send_event(EventData(body))
    assert sorted(bodies_of(world.receive(8))) == sent


@case
def single_event_by_key(world):
    with world.producer() as producer:
        producer.send_event(EventData("keyed"), partition_key="device")
    [(_, event)] = world.receive(1)
    assert event.partition_key == b"device" and event.body_as_str() == "keyed"


@case
def single_event_with_everything(world):
    event = EventData(b"\x00\xffbinary")
    event.content_type = "application/octet-stream"
    event.message_id = "message-1"
    event.correlation_id = "correlation-1"
    event.properties = {
        "text": "\u00e9v\u00e9nement",
        "whole": 2**31 - 1,
        "small": -5,
        "float": 1.5,
        "flag": True,
        "binary": b"\x01\x02",
        "uuid": uuid.UUID(int=7),
    }
    with world.producer() as producer:
        producer.send_event(event, partition_id="0")
        producer.send_event(EventData(""), partition_id="0")
    got, empty = [event for _, event in world.receive(2, "0")]
    assert b"".join(got.body) == b"\x00\xffbinary"
    assert b"".join(empty.body) == b""
    assert got.content_type == "application/octet-stream", got.content_type
    assert got.message_id == "message-1" and got.correlation_id == "correlation-1", got
    # This client gives names and texts back as bytes.
    properties = {key.decode(): value for key, value in got.properties.items()}
    assert properties == {**event.properties, "text": event.properties["text"].encode()}, properties


def round_trip(world, message):
    """Sends a message and receives it, singly and in a batch."""
    with world.producer() as producer:
        producer.send_event(message, partition_id="0")
        producer.send_batch([message], partition_id="0")
    return [event.raw_amqp_message for _, event in world.receive(2, "0")]


@case
def value_body(world):
    for message in round_trip(world, AmqpAnnotatedMessage(value_body={"list": [1, "two"], "flag": True})):
        assert message.body_type == AmqpMessageBodyType.VALUE, message.body_type
        assert message.body == {b"list": [1, b"two"], b"flag": True}, message.body


@case
def sequence_body(world):
    for message in round_trip(world, AmqpAnnotatedMessage(sequence_body=[1, "two", [3]])):
        assert message.body_type == AmqpMessageBodyType.SEQUENCE, message.body_type
        assert list(message.body) == [[1, b"two", [3]]], list(message.body)


@case
def rejected_send(world):
    busy = {"condition": "com.microsoft:server-busy", "text": "The server is busy."}
    with world.producer() as producer:
        fault = world.fault({"outcome": {"rejected": busy}}, at="publish")
        attempt = lambda: producer.send_event(EventData("rejected"), partition_id="0")
        refused(attempt, EventDataSendError, "server-busy")
        world.struck(fault)
        producer.send_event(EventData("accepted"), partition_id="0")
    assert bodies_of(world.receive(1, "0")) == ["accepted"]

"""The cases: each is a function of the world; a failed assertion or any exception fails it."""

import asyncio
import datetime
import logging
import time
import uuid
from collections import Counter, namedtuple

from azure.eventhub import EventData, EventHubProducerClient
from azure.eventhub.aio import EventHubProducerClient as AsyncProducerClient
from azure.eventhub.exceptions import AuthenticationError, EventDataSendError, EventHubError

from receiving import Receiving, receive

# A hub for each subject, so that no case depends on what another one sent.
HUBS = {"hub": 4, "empty": 2, "keys": 4, "bodies": 1, "positions": 1, "all": 4, "bulk": 1}
BEGINNING = "-1"

Case = namedtuple("Case", "name quick run")
ALL = []


def case(function):
    """Registers a case that always runs."""
    ALL.append(Case(function.__name__, True, function))
    return function


def long_case(function):
    """Registers a case that `--quick` leaves out."""
    ALL.append(Case(function.__name__, False, function))
    return function


class World:
    """The emulator and ways to reach it."""

    def __init__(self, emulator):
        self.emulator = emulator
        self.connection_string = emulator.connection_string

    def with_field(self, name, value):
        """The connection string with one field replaced."""
        fields = [field for field in self.connection_string.split(";") if field]
        changed = [f"{name}={value}" if f.startswith(f"{name}=") else f for f in fields]
        assert changed != fields, f"the connection string has no {name}"
        return ";".join(changed)

    def producer(self, hub, connection_string=None, **options):
        """A producer which does not retry: an error is an error."""
        return EventHubProducerClient.from_connection_string(
            connection_string or self.connection_string,
            eventhub_name=hub,
            retry_total=0,
            **options,
        )

    def receive(self, hub, count, partition=None, **options):
        """Receives from the start unless told otherwise."""
        options.setdefault("starting_position", BEGINNING)
        return receive(self.connection_string, hub, count, partition, **options)

    def send(self, hub, bodies, **target):
        """Sends one batch."""
        with self.producer(hub) as producer:
            batch = producer.create_batch(**target)
            for body in bodies:
                batch.add(EventData(body))
            producer.send_batch(batch)


def bodies_of(events):
    """The bodies as text."""
    return [event.body_as_str() for _, event in events]


class ClientLog(logging.Handler):
    """What the client logs. It says there why a token was refused, and not in its error."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.lines = []
        logger = logging.getLogger("azure.eventhub")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(self)

    def emit(self, record):
        if "put token" in record.msg.lower():
            self.lines.append(record.getMessage())


CLIENT_LOG = ClientLog()


def refused(call, kind, *needles):
    """Expects `call` to raise `kind`, and one of the needles in its text or in the log."""
    CLIENT_LOG.lines.clear()
    try:
        call()
    except kind as error:
        text = " ".join([str(error), *CLIENT_LOG.lines])
        found = any(needle in text.lower() for needle in needles)
        assert found or not needles, f"unexpected text: {text}"
        return error
    raise AssertionError(f"{kind} expected, but the call succeeded")


def assert_log(events, first=0):
    """Sequence numbers without a gap, offsets present, times set and not decreasing."""
    numbers = [event.sequence_number for _, event in events]
    assert numbers == list(range(first, first + len(numbers))), f"sequence numbers {numbers[:20]}"
    offsets = [event.offset for _, event in events]
    assert len(set(offsets)) == len(offsets) and all(offsets), f"offsets {offsets[:20]}"
    times = [event.enqueued_time for _, event in events]
    assert times == sorted(times), "enqueued times go backwards"
    age = datetime.datetime.now(datetime.timezone.utc) - times[-1]
    assert abs(age) < datetime.timedelta(minutes=10), f"enqueued {age} ago"


# Properties


@case
def hub_properties(world):
    with world.producer("hub") as producer:
        properties = producer.get_eventhub_properties()
        identifiers = producer.get_partition_ids()
    assert properties["eventhub_name"] == "hub", properties
    assert properties["partition_ids"] == identifiers == ["0", "1", "2", "3"], properties
    age = datetime.datetime.now(datetime.timezone.utc) - properties["created_at"]
    assert abs(age) < datetime.timedelta(days=1), properties


@case
def partition_properties_of_an_empty_partition(world):
    with world.producer("empty") as producer:
        properties = producer.get_partition_properties("1")
    assert properties["eventhub_name"] == "empty" and properties["id"] == "1", properties
    assert properties["is_empty"] is True, properties
    assert properties["last_enqueued_sequence_number"] == -1, properties
    assert properties["last_enqueued_offset"] == "-1", properties


@case
def partition_properties_follow_the_log(world):
    with world.producer("hub") as producer:
        before = producer.get_partition_properties("2")
        world.send("hub", ["a", "b", "c"], partition_id="2")
        after = producer.get_partition_properties("2")
    assert after["is_empty"] is False, after
    grown = after["last_enqueued_sequence_number"] - before["last_enqueued_sequence_number"]
    assert grown == 3, f"grown by {grown}: {after}"
    last = world.receive("hub", after["last_enqueued_sequence_number"] + 1, "2")[-1][1]
    assert last.offset == after["last_enqueued_offset"], (last.offset, after)
    assert last.enqueued_time == after["last_enqueued_time_utc"], (last.enqueued_time, after)


@case
def partition_properties_of_an_unknown_partition(world):
    with world.producer("hub") as producer:
        error = refused(lambda: producer.get_partition_properties("99"), EventHubError)
    assert not isinstance(error, AuthenticationError), error


# Sending


@case
def batch_to_a_partition(world):
    sent = [f"event {number}" for number in range(10)]
    world.send("hub", sent, partition_id="1")
    events = world.receive("hub", 10, "1")
    assert bodies_of(events) == sent, bodies_of(events)
    assert {partition for partition, _ in events} == {"1"}
    assert all(event.partition_key is None for _, event in events)
    assert_log(events)


@case
def batch_by_key(world):
    keys = [f"device-{number}" for number in range(12)]
    with world.producer("keys") as producer:
        for turn in ("first", "second"):
            for key in keys:
                batch = producer.create_batch(partition_key=key)
                batch.add(EventData(f"{key} {turn}"))
                producer.send_batch(batch)
    events = world.receive("keys", 2 * len(keys))
    for key in keys:
        mine = [(p, e.body_as_str()) for p, e in events if e.partition_key == key.encode()]
        assert [body for _, body in mine] == [f"{key} first", f"{key} second"], (key, mine)
        assert len({partition for partition, _ in mine}) == 1, (key, mine)
    spread = Counter(partition for partition, _ in events)
    assert len(spread) > 1, f"12 keys all went to {spread}"


@case
def single_event_with_everything(world):
    event = EventData(b"\x00\xffbinary")
    event.content_type = "application/octet-stream"
    event.message_id = "message-1"
    event.correlation_id = "correlation-1"
    identifier = uuid.UUID(int=7)
    event.properties = {
        "text": "\u00e9v\u00e9nement",
        "whole": 2**31 - 1,
        "small": -5,
        "float": 1.5,
        "flag": True,
        "binary": b"\x01\x02",
        "uuid": identifier,
    }
    with world.producer("bodies") as producer:
        before = producer.get_partition_properties("0")["last_enqueued_sequence_number"]
        producer.send_event(event, partition_id="0")
        producer.send_event(EventData(""), partition_id="0")
    position = {"starting_position": before, "starting_position_inclusive": False}
    got, empty = [event for _, event in world.receive("bodies", 2, "0", **position)]
    assert b"".join(got.body) == b"\x00\xffbinary"
    assert b"".join(empty.body) == b""
    assert got.content_type == "application/octet-stream", got.content_type
    assert got.message_id == "message-1" and got.correlation_id == "correlation-1", got
    properties = {key.decode(): value for key, value in got.properties.items()}
    assert properties == {
        "text": "\u00e9v\u00e9nement".encode(),
        "whole": 2**31 - 1,
        "small": -5,
        "float": 1.5,
        "flag": True,
        "binary": b"\x01\x02",
        "uuid": identifier,
    }, properties


@case
def single_events_anywhere(world):
    with world.producer("all") as producer:
        before = sum_of_counts(producer)
        for number in range(8):
            producer.send_event(EventData(f"single {number}"))
        assert sum_of_counts(producer) == before + 8


def sum_of_counts(producer):
    """How many events a hub holds."""
    partitions = producer.get_partition_ids()
    properties = [producer.get_partition_properties(partition) for partition in partitions]
    return sum(p["last_enqueued_sequence_number"] + 1 for p in properties)


@case
def list_of_events(world):
    with world.producer("bodies") as producer:
        before = producer.get_partition_properties("0")["last_enqueued_sequence_number"]
        producer.send_batch([EventData("one"), EventData("two")], partition_id="0")
    events = world.receive("bodies", 2, "0", starting_position=before)
    assert bodies_of(events) == ["one", "two"], bodies_of(events)


@case
def event_of_200_kb(world):
    body = bytes(number * 7 % 251 for number in range(200_000))
    with world.producer("bodies") as producer:
        before = producer.get_partition_properties("0")["last_enqueued_sequence_number"]
        producer.send_event(EventData(body), partition_id="0")
        batch = producer.create_batch(partition_id="0")
        batch.add(EventData(body))
        producer.send_batch(batch)
    for _, event in world.receive("bodies", 2, "0", starting_position=before):
        assert b"".join(event.body) == body, "the body came back changed"


@case
def unknown_partition_refused_on_send(world):
    with world.producer("hub") as producer:
        refused(
            lambda: producer.send_event(EventData("nowhere"), partition_id="99"),
            EventHubError,
        )


@long_case
def batch_filled_to_the_limit(world):
    with world.producer("bulk") as producer:
        before = producer.get_partition_properties("0")["last_enqueued_sequence_number"]
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
    events = world.receive("bulk", count, "0", starting_position=before)
    assert [body[:6] for body in bodies_of(events)] == [f"{n:06}" for n in range(count)]


@long_case
def event_over_the_limit_refused(world):
    with world.producer("bulk") as producer:
        oversize = EventData(b"x" * 1_100_000)
        refused(
            lambda: producer.send_event(oversize, partition_id="0"),
            (EventHubError, EventDataSendError, ValueError),
        )
        producer.send_event(EventData("still works"), partition_id="0")


@long_case
def ten_thousand_events_in_order(world):
    with world.producer("bulk") as producer:
        before = producer.get_partition_properties("0")["last_enqueued_sequence_number"]
        for start in range(0, 10_000, 1_000):
            batch = producer.create_batch(partition_id="0")
            for number in range(start, start + 1_000):
                batch.add(EventData(str(number)))
            producer.send_batch(batch)
    events = world.receive("bulk", 10_000, "0", starting_position=before)
    assert bodies_of(events) == [str(number) for number in range(10_000)], "order or loss"
    assert_log(events, first=before + 1)


@long_case
def async_client_sends(world):
    async def send():
        producer = AsyncProducerClient.from_connection_string(
            world.connection_string, eventhub_name="bulk", retry_total=0
        )
        async with producer:
            before = await producer.get_partition_properties("0")
            batch = await producer.create_batch(partition_id="0")
            batch.add(EventData("asynchronous"))
            await producer.send_batch(batch)
            return before["last_enqueued_sequence_number"]

    before = asyncio.run(send())
    events = world.receive("bulk", 1, "0", starting_position=before)
    assert bodies_of(events) == ["asynchronous"], bodies_of(events)


# Receiving


@case
def receive_all_partitions_from_the_start(world):
    with world.producer("all") as producer:
        for partition in producer.get_partition_ids():
            batch = producer.create_batch(partition_id=partition)
            for number in range(25):
                batch.add(EventData(f"{partition}/{number}"))
            producer.send_batch(batch)
        total = sum_of_counts(producer)
    events = world.receive("all", total)
    for partition in ("0", "1", "2", "3"):
        mine = [(p, event) for p, event in events if p == partition]
        assert_log(mine)
        ours = [body for body in bodies_of(mine) if "/" in body]
        assert ours == [f"{partition}/{number}" for number in range(25)], ours


def positions(world):
    """Three events on the hub `positions`, enqueued at three different milliseconds."""
    with world.producer("positions") as producer:
        known = producer.get_partition_properties("0")["last_enqueued_sequence_number"] + 1
    while known < 3:
        world.send("positions", [f"position {known}"], partition_id="0")
        known += 1
        time.sleep(0.01)
    return [event for _, event in world.receive("positions", 3, "0")]


def receive_from(world, position, inclusive):
    """The first event on the hub `positions` after a position."""
    options = {"starting_position": position, "starting_position_inclusive": inclusive}
    return world.receive("positions", 1, "0", **options)[0][1].sequence_number


@case
def receive_from_a_sequence_number(world):
    positions(world)
    assert receive_from(world, 1, False) == 2
    assert receive_from(world, 1, True) == 1


@case
def receive_from_an_offset(world):
    second = positions(world)[1]
    assert receive_from(world, second.offset, False) == 2
    assert receive_from(world, second.offset, True) == 1


@case
def receive_from_an_enqueued_time(world):
    first, second, third = [event.enqueued_time for event in positions(world)]
    assert first < second < third, (first, second, third)
    assert receive_from(world, second, False) == 2
    assert receive_from(world, second, True) == 1


@case
def receive_from_latest(world):
    positions(world)
    with Receiving(
        world.connection_string, "positions", "0", starting_position="@latest"
    ) as receiving:
        # The link is attached at some time unknown to us: send until something arrives.
        for number in range(100):
            world.send("positions", [f"new {number}"], partition_id="0")
            if receiving.wait(1, seconds=0.2):
                break
    got = bodies_of(receiving.events)
    assert got and all(body.startswith("new ") for body in got), got


@case
def receive_in_batches(world):
    sent = [f"batched {number}" for number in range(40)]
    with world.producer("hub") as producer:
        before = producer.get_partition_properties("3")["last_enqueued_sequence_number"]
        world.send("hub", sent, partition_id="3")
    events = world.receive("hub", 40, "3", starting_position=before, prefetch=10)
    assert bodies_of(events) == sent, bodies_of(events)


# Refusals

NO_ACCESS = ("auth-failed", "unauthorized", "401")
# The service answers the put-token for a hub it does not have with 404, which this client reports
# as an authentication error.
NOT_FOUND = ("not-found", "not found", "404")
WRONG_KEY = "d3Jvbmcga2V5IHdyb25nIGtleSB3cm9uZyBrZXkgd3JvbmchIQ=="


@case
def wrong_key_refused_for_properties(world):
    text = world.with_field("SharedAccessKey", WRONG_KEY)
    with world.producer("hub", text) as producer:
        refused(producer.get_eventhub_properties, AuthenticationError, *NO_ACCESS)


@case
def wrong_key_refused_for_sending(world):
    text = world.with_field("SharedAccessKey", WRONG_KEY)
    with world.producer("hub", text) as producer:
        send = lambda: producer.send_event(EventData("no"), partition_id="0")
        refused(send, AuthenticationError, *NO_ACCESS)


@case
def wrong_key_refused_for_receiving(world):
    text = world.with_field("SharedAccessKey", WRONG_KEY)
    attempt = lambda: receive(text, "hub", 1, "0", starting_position=BEGINNING)
    refused(attempt, AuthenticationError, *NO_ACCESS)


@case
def unknown_key_name_refused(world):
    text = world.with_field("SharedAccessKeyName", "Nobody")
    with world.producer("hub", text) as producer:
        refused(producer.get_eventhub_properties, AuthenticationError, *NO_ACCESS)


@case
def unknown_hub_refused_for_properties(world):
    with world.producer("nohub") as producer:
        refused(producer.get_eventhub_properties, EventHubError, *NOT_FOUND)


@case
def unknown_hub_refused_for_sending(world):
    with world.producer("nohub") as producer:
        send = lambda: producer.send_event(EventData("nowhere"), partition_id="0")
        refused(send, EventHubError, *NOT_FOUND)


@case
def unknown_hub_refused_for_receiving(world):
    attempt = lambda: receive(
        world.connection_string, "nohub", 1, "0", starting_position=BEGINNING
    )
    refused(attempt, EventHubError, *NOT_FOUND)

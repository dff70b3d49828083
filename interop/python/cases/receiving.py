"""Where receiving starts, and what comes with the events."""

import datetime
import time

from case import case
from events import assert_log, bodies_of
from world import send


@case
def receive_all_partitions_from_the_start(world):
    partitions = ("0", "1", "2", "3")
    with world.producer() as producer:
        for partition in partitions:
            send(producer, [f"{partition}/{n}" for n in range(25)], partition_id=partition)
    events = world.receive(100)
    for partition in partitions:
        mine = [(p, event) for p, event in events if p == partition]
        assert_log(mine)
        assert bodies_of(mine) == [f"{partition}/{n}" for n in range(25)], bodies_of(mine)


def three_events(world):
    """Three events enqueued at three different milliseconds."""
    with world.producer() as producer:
        for body in ("first", "second", "third"):
            send(producer, [body], partition_id="0")
            time.sleep(0.01)
    events = [event for _, event in world.receive(3, "0")]
    first, second, third = [event.enqueued_time for event in events]
    assert first < second < third, (first, second, third)
    return events


def from_both(world, position):
    """Receives from a position, first without and then with the event there."""
    for inclusive, expected in ((False, 2), (True, 1)):
        options = {"starting_position": position, "starting_position_inclusive": inclusive}
        number = world.receive(1, "0", **options)[0][1].sequence_number
        assert number == expected, f"inclusive {inclusive}: {number}"


@case
def receive_from_a_sequence_number(world):
    three_events(world)
    from_both(world, 1)


@case
def receive_from_an_offset(world):
    from_both(world, three_events(world)[1].offset)


@case
def receive_from_an_enqueued_time(world):
    from_both(world, three_events(world)[1].enqueued_time)


@case
def receive_from_latest(world):
    three_events(world)
    options = {"starting_position": "@latest"}
    with world.producer() as producer, world.receiving("0", **options) as receiving:
        # The link is attached at some time unknown to us: send until something arrives.
        for number in range(100):
            send(producer, [f"new {number}"], partition_id="0")
            time.sleep(0.1)
            if receiving.events:
                break
        receiving.wait(1)
    got = bodies_of(receiving.events)
    assert all(body.startswith("new ") for body in got), got


@case
def receive_in_batches(world):
    sent = [f"batched {number}" for number in range(40)]
    world.send(sent, partition_id="3")
    options = {"max_batch_size": 7, "prefetch": 10, "max_wait_time": 1}
    assert bodies_of(world.receive(40, "3", **options)) == sent


@case
def runtime_metrics(world):
    with world.producer() as producer:
        send(producer, ["a", "b", "c"], partition_id="0")
        known = producer.get_partition_properties("0")
    with world.receiving("0", track_last_enqueued_event_properties=True) as receiving:
        receiving.wait(3)
    told = receiving.metrics
    assert told["sequence_number"] == known["last_enqueued_sequence_number"], (told, known)
    offset = told["offset"]
    offset = offset.decode() if isinstance(offset, bytes) else offset
    assert offset == known["last_enqueued_offset"], (told, known)
    assert told["enqueued_time"] == known["last_enqueued_time_utc"], (told, known)
    age = datetime.datetime.now(datetime.timezone.utc) - told["retrieval_time"]
    assert abs(age) < datetime.timedelta(minutes=10), told


@case
def no_runtime_metrics_unless_asked(world):
    world.send(["a"], partition_id="0")
    [(_, event)] = world.receive(1, "0")
    assert not event.raw_amqp_message.delivery_annotations, event.raw_amqp_message

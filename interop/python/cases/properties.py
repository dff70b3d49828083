"""What the client says about hubs and partitions."""

import datetime

from case import case


@case
def hub_properties(world):
    with world.producer() as producer:
        properties = producer.get_eventhub_properties()
        identifiers = producer.get_partition_ids()
    assert properties["eventhub_name"] == world.hub, properties
    assert properties["partition_ids"] == identifiers == ["0", "1", "2", "3"], properties
    age = datetime.datetime.now(datetime.timezone.utc) - properties["created_at"]
    assert abs(age) < datetime.timedelta(days=1), properties


@case
def partition_properties_of_an_empty_partition(world):
    with world.producer() as producer:
        properties = producer.get_partition_properties("1")
    assert properties["eventhub_name"] == world.hub and properties["id"] == "1", properties
    assert properties["is_empty"] is True, properties
    assert properties["last_enqueued_sequence_number"] == -1, properties
    assert properties["last_enqueued_offset"] == "-1", properties


@case
def partition_properties_follow_the_log(world):
    with world.producer() as producer:
        world.send(["a", "b", "c"], partition_id="2")
        properties = producer.get_partition_properties("2")
    assert properties["is_empty"] is False, properties
    assert properties["beginning_sequence_number"] == 0, properties
    assert properties["last_enqueued_sequence_number"] == 2, properties
    last = world.receive(3, "2")[-1][1]
    assert last.offset == properties["last_enqueued_offset"], (last.offset, properties)
    assert last.enqueued_time == properties["last_enqueued_time_utc"], (last.enqueued_time, properties)

"""Every operation of the official Python client, once, for the record.

    operations.py CONNECTION_STRING HUB
"""

import sys
import threading

from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient

# All operations together take seconds; a receiver that gets nothing in this time never will.
SECONDS = 30
PARTITION, KEY = "0", "device-1"


def event(body):
    """An event with a property."""
    data = EventData(body)
    data.properties = {"text": "a property"}
    return data


def send(producer):
    """Single events and batches to the hub, a partition, and by key."""
    targets = ({}, {"partition_id": PARTITION}, {"partition_key": KEY})
    for target in targets:
        producer.send_event(event("single"), **target)
    for target in targets:
        batch = producer.create_batch(**target)
        batch.add(event("first"))
        batch.add(event("second"))
        producer.send_batch(batch)


def receive_one(connection_string, hub, attached=lambda: None, **options):
    """Receives one event."""
    client = EventHubConsumerClient.from_connection_string(
        connection_string, "$Default", eventhub_name=hub
    )
    received, arrived = [], threading.Event()

    def on_event(_context, data):
        received.append(data)
        arrived.set()

    receiving = threading.Thread(
        target=client.receive,
        args=(on_event,),
        kwargs={"partition_id": PARTITION, "on_partition_initialize": lambda _: attached(), **options},
        daemon=True,
    )
    receiving.start()
    if not arrived.wait(SECONDS):
        raise RuntimeError(f"no event came: {options}")
    client.close()
    receiving.join(SECONDS)
    return received[0]


def receive(connection_string, hub, producer):
    """From every kind of position, then as the only owner, then with the partition's end."""
    first = receive_one(connection_string, hub, starting_position="-1")
    number, time = first.sequence_number, first.enqueued_time
    receive_one(connection_string, hub, starting_position=first.offset)
    receive_one(connection_string, hub, starting_position=number)
    inclusive = {"starting_position_inclusive": True}
    receive_one(connection_string, hub, starting_position=number, **inclusive)
    receive_one(connection_string, hub, starting_position=time, **inclusive)

    def later():
        threading.Timer(1, producer.send_event, [event("latest")], {"partition_id": PARTITION}).start()

    receive_one(connection_string, hub, later, starting_position="@latest")
    receive_one(connection_string, hub, starting_position="-1", owner_level=1)
    receive_one(
        connection_string,
        hub,
        starting_position="-1",
        track_last_enqueued_event_properties=True,
    )


def main():
    """Does everything."""
    connection_string, hub = sys.argv[1:]
    producer = EventHubProducerClient.from_connection_string(connection_string, eventhub_name=hub)
    with producer:
        producer.get_eventhub_properties()
        producer.get_partition_properties(PARTITION)
        send(producer)
        receive(connection_string, hub, producer)


if __name__ == "__main__":
    main()

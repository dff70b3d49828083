"""Events that one client writes and the others read, properties and key intact."""

import base64
import datetime
import uuid

from azure.eventhub import EventData

from case import Case


def body_of(event):
    """The bytes of a body in any of the forms in which the file of events gives one."""
    body = event["body"]
    if isinstance(body, str):
        return body.encode()
    return base64.b64decode(body["base64"]) if "base64" in body else body["repeat"].encode() * body["times"]


def moment(milliseconds):
    """A time as this client takes and gives it."""
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.timezone.utc)


# What each type of property is when it is written.
WRITTEN = {
    "string": str,
    "int": int,
    "long": int,
    "boolean": bool,
    "double": float,
    "binary": base64.b64decode,
    "timestamp": moment,
    "uuid": uuid.UUID,
}
# What is different when it is read: texts are bytes, times are milliseconds.
READ = {**WRITTEN, "string": str.encode, "timestamp": int}


def properties_of(event, types):
    """The application properties as values of this language."""
    pairs = ((name, *tagged.items()) for name, tagged in event.get("properties", {}).items())
    return {name: types[kind](value) for name, (kind, value) in pairs}


def by(writer, events):
    """The events that a client can write."""
    return [event for event in events if writer not in event.get("not_by", [])]


def made(event):
    """An event as this client sends it."""
    data = EventData(body_of(event))
    data.message_id = event["message_id"]
    if "content_type" in event:
        data.content_type = event["content_type"]
    if "correlation_id" in event:
        data.correlation_id = event["correlation_id"]
    if "properties" in event:
        data.properties = properties_of(event, WRITTEN)
    return data


def writes_events(world):
    """Singly where the event says so, and in a batch otherwise."""
    with world.producer(hub=world.cross["hub"]) as producer:
        for event in by(world.client, world.cross["events"]):
            key = event.get("key")
            target = {"partition_key": key} if key else {"partition_id": "0"}
            if event.get("single"):
                producer.send_event(made(event), **target)
            else:
                batch = producer.create_batch(**target)
                batch.add(made(event))
                producer.send_batch(batch)


def reads_events_of(writer):
    """Reads what one client has written and compares everything."""

    def run(world):
        expected = by(writer, world.cross["events"])
        received = world.receive(len(expected), hub=world.cross["hubs"][writer])
        found = {event.message_id: event for _, event in received}
        assert len(found) == len(expected), sorted(found)
        for event in expected:
            name = event["message_id"]
            got = found[name]
            assert b"".join(got.body) == body_of(event), f"body of {name}"
            assert got.content_type == event.get("content_type"), f"{name}: {got.content_type}"
            assert got.correlation_id == event.get("correlation_id"), f"{name}: {got.correlation_id}"
            key = event["key"].encode() if "key" in event else None
            assert got.partition_key == key, f"{name}: {got.partition_key}"
            properties = {key.decode(): value for key, value in (got.properties or {}).items()}
            assert properties == properties_of(event, READ), f"{name}: {properties}"

    return run


def cases(assignment):
    """The cases of the two modes that are about events of several clients."""
    if assignment["mode"] == "write":
        return [Case("writes_events", True, writes_events, None)]
    writers = assignment["cross"]["hubs"]
    return [Case(f"reads_events_of_{w}", True, reads_events_of(w), None) for w in writers]

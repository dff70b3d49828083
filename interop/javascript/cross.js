// Events that one client writes and the others read, properties and key intact.

import assert from "node:assert/strict";

/** The bytes of a body in any of the forms in which the file of events gives one. */
function bodyOf({ body }) {
  if (typeof body === "string") {
    return Buffer.from(body);
  }
  return "base64" in body
    ? Buffer.from(body.base64, "base64")
    : Buffer.from(body.repeat.repeat(body.times));
}

const same = (value) => value;
const bytes = (value) => Buffer.from(value, "base64");
// What each type of property is when it is written.
const WRITTEN = {
  string: same,
  int: same,
  long: same,
  boolean: same,
  double: same,
  binary: bytes,
  timestamp: (value) => new Date(value),
};
// What is different when it is read: this client has no type for a uuid, and gives a boolean in the
// form of one byte, which Python writes, as a number.
const READ = { ...WRITTEN, uuid: (value) => Buffer.from(value.replaceAll("-", ""), "hex") };
const READ_OF_PYTHON = { ...READ, boolean: Number };

/** The application properties as values of this language. */
function propertiesOf(event, types) {
  const pairs = Object.entries(event.properties ?? {}).map(([name, tagged]) => {
    const [[type, value]] = Object.entries(tagged);
    return [name, types[type](value)];
  });
  return Object.fromEntries(pairs);
}

/** The events that a client can write. */
const by = (writer, events) => events.filter((event) => !event.not_by?.includes(writer));

/** An event as this client sends it. */
function made(event) {
  return {
    body: bodyOf(event),
    messageId: event.message_id,
    ...(event.content_type && { contentType: event.content_type }),
    ...(event.correlation_id && { correlationId: event.correlation_id }),
    ...(event.properties && { properties: propertiesOf(event, WRITTEN) }),
  };
}

/** As a list of one where the event is to go singly, and in a batch otherwise. */
async function writes_events(world) {
  const producer = world.producer({ hub: world.cross.hub });
  for (const event of by("javascript", world.cross.events)) {
    const target = event.key ? { partitionKey: event.key } : { partitionId: "0" };
    if (event.single) {
      await producer.sendBatch([made(event)], target);
    } else {
      const batch = await producer.createBatch(target);
      assert.ok(batch.tryAdd(made(event)));
      await producer.sendBatch(batch);
    }
  }
}

/** Reads what one client has written and compares everything. */
const reads_events_of = (writer) => async (world) => {
  const expected = by(writer, world.cross.events);
  const types = writer.startsWith("python") ? READ_OF_PYTHON : READ;
  const options = { skipParsingBodyAsJson: true };
  const client = { hub: world.cross.hubs[writer] };
  const received = await world.receive(expected.length, undefined, options, client);
  const found = new Map(received.map((event) => [event.messageId, event]));
  assert.equal(found.size, expected.length, `${[...found.keys()]}`);
  for (const event of expected) {
    const name = event.message_id;
    const got = found.get(name);
    assert.ok(bodyOf(event).equals(got.body), `body of ${name}`);
    assert.equal(got.contentType, event.content_type, name);
    assert.equal(got.correlationId, event.correlation_id, name);
    assert.equal(got.partitionKey ?? undefined, event.key, name);
    // The event's own properties mangle bytes; those of the message are as they came.
    const properties = got.getRawAmqpMessage().applicationProperties ?? {};
    assert.deepEqual({ ...properties }, propertiesOf(event, types), name);
  }
};

/** The cases of the two modes that are about events of several clients. */
export function crossCases({ mode, cross }) {
  if (mode === "write") {
    return [{ name: "writes_events", run: writes_events }];
  }
  const writers = Object.keys(cross.hubs);
  return writers.map((writer) => ({ name: `reads_events_of_${writer}`, run: reads_events_of(writer) }));
}

// Everything that is sent comes back as it was.

import assert from "node:assert/strict";

import { bodies, assertLog } from "../events.js";

const numbered = (count, text) => Array.from({ length: count }, (_, n) => `${text} ${n}`);

async function batch_to_a_partition(world) {
  const sent = numbered(10, "event");
  const producer = world.producer();
  const batch = await producer.createBatch({ partitionId: "1" });
  sent.forEach((body) => assert.ok(batch.tryAdd({ body })));
  await producer.sendBatch(batch);
  const events = await world.receive(10, "1");
  assert.deepEqual(bodies(events), sent);
  assert.ok(events.every((event) => event.partitionKey == null && event.partition === "1"));
  assertLog(events);
}

async function batch_by_key(world) {
  const keys = numbered(12, "device");
  const producer = world.producer();
  for (const turn of ["first", "second"]) {
    for (const partitionKey of keys) {
      const batch = await producer.createBatch({ partitionKey });
      assert.ok(batch.tryAdd({ body: `${partitionKey} ${turn}` }));
      await producer.sendBatch(batch);
    }
  }
  const events = await world.receive(2 * keys.length);
  for (const key of keys) {
    const mine = events.filter((event) => event.partitionKey === key);
    assert.deepEqual(bodies(mine), [`${key} first`, `${key} second`]);
    assert.equal(new Set(mine.map((event) => event.partition)).size, 1, `${key} went to several partitions`);
  }
  assert.ok(new Set(events.map((event) => event.partition)).size > 1, "12 keys went to one partition");
}

async function list_of_events(world) {
  const producer = world.producer();
  await producer.sendBatch([{ body: "one" }, { body: "two" }], { partitionId: "0" });
  assert.deepEqual(bodies(await world.receive(2, "0")), ["one", "two"]);
}

async function list_of_events_by_key(world) {
  const producer = world.producer();
  await producer.sendBatch([{ body: "one" }, { body: "two" }], { partitionKey: "device" });
  const events = await world.receive(2);
  assert.deepEqual(bodies(events), ["one", "two"]);
  assert.ok(events.every((event) => event.partitionKey === "device"));
}

async function single_events_anywhere(world) {
  const producer = world.producer();
  const sent = numbered(8, "single");
  for (const body of sent) {
    await producer.sendBatch([{ body }]);
  }
  assert.deepEqual(bodies(await world.receive(8)).sort(), sent);
}

async function event_with_everything(world) {
  const producer = world.producer();
  const event = {
    body: Buffer.from([0, 255, 98, 105, 110]),
    contentType: "application/octet-stream",
    messageId: "message-1",
    correlationId: "correlation-1",
    properties: {
      text: "événement",
      whole: 2 ** 31 - 1,
      small: -5,
      float: 1.5,
      flag: true,
      binary: Buffer.from([1, 2]),
      when: new Date(1_700_000_000_123),
      nothing: null,
    },
  };
  await producer.sendBatch([event, { body: Buffer.alloc(0) }], { partitionId: "0" });
  const [got, empty] = await world.receive(2, "0");
  assert.deepEqual(got.body, event.body);
  assert.deepEqual(empty.body, Buffer.alloc(0));
  assert.equal(got.contentType, event.contentType);
  assert.equal(got.messageId, event.messageId);
  assert.equal(got.correlationId, event.correlationId);
  // This client gives times back as numbers, and bytes as they are only in the message itself.
  const properties = { ...event.properties, when: event.properties.when.getTime() };
  const { binary, ...others } = properties;
  const { binary: _, ...received } = got.properties;
  assert.deepEqual(received, others);
  assert.deepEqual(got.getRawAmqpMessage().applicationProperties.binary, binary);
}

async function value_body(world) {
  const values = ["text", 7, true, { list: [1, "two"], empty: {} }, ["a", ["b"]]];
  const messages = values.map((body) => ({
    body,
    bodyType: "value",
    applicationProperties: { kind: "value" },
  }));
  await world.producer().sendBatch(messages, { partitionId: "0" });
  for (const [index, event] of (await world.receive(values.length, "0")).entries()) {
    const raw = event.getRawAmqpMessage();
    assert.equal(raw.bodyType, "value");
    assert.deepEqual(event.body, values[index]);
    assert.equal(raw.applicationProperties.kind, "value");
  }
}

async function sequence_body(world) {
  const body = [["one", 2, { three: 3 }], [4, "five"]];
  const message = { body, bodyType: "sequence", applicationProperties: { kind: "sequence" } };
  await world.producer().sendBatch([message], { partitionId: "0" });
  const [event] = await world.receive(1, "0");
  const raw = event.getRawAmqpMessage();
  assert.equal(raw.bodyType, "sequence");
  assert.deepEqual(event.body, body);
  assert.equal(raw.applicationProperties.kind, "sequence");
}

async function event_of_200_kb(world) {
  const body = Buffer.from(Uint8Array.from({ length: 200_000 }, (_, n) => (n * 7) % 251));
  const producer = world.producer();
  await producer.sendBatch([{ body }], { partitionId: "0" });
  const batch = await producer.createBatch({ partitionId: "0" });
  assert.ok(batch.tryAdd({ body }));
  await producer.sendBatch(batch);
  for (const event of await world.receive(2, "0")) {
    assert.ok(body.equals(event.body), "the body came back changed");
  }
}

async function batch_filled_to_the_limit(world) {
  const producer = world.producer();
  const batch = await producer.createBatch({ partitionId: "0" });
  assert.equal(batch.maxSizeInBytes, 1_048_576);
  while (batch.tryAdd({ body: `${batch.count}`.padStart(6, "0") + "x".repeat(1018) }));
  const count = batch.count;
  await producer.sendBatch(batch);
  const events = await world.receive(count, "0", { maxBatchSize: 1_000 });
  assert.deepEqual(
    bodies(events).map((body) => Number(body.slice(0, 6))),
    Array.from({ length: count }, (_, n) => n),
  );
}

async function event_over_the_limit_refused(world) {
  const producer = world.producer({ retryOptions: { maxRetries: 0, timeoutInMs: 5_000 } });
  // The link is detached with amqp:link:message-size-exceeded. A send in flight at that moment is
  // left to its own time-out by this client.
  const sending = producer.sendBatch([{ body: Buffer.alloc(1_100_000) }], { partitionId: "0" });
  await assert.rejects(sending, { code: "OperationTimeoutError" });
  await producer.sendBatch([{ body: "still works" }], { partitionId: "0" });
  assert.deepEqual(bodies(await world.receive(1, "0")), ["still works"]);
}

async function ten_thousand_events_in_order(world) {
  const producer = world.producer();
  for (let start = 0; start < 10_000; start += 1_000) {
    const events = Array.from({ length: 1_000 }, (_, n) => ({ body: `${start + n}` }));
    await producer.sendBatch(events, { partitionId: "0" });
  }
  const events = await world.receive(10_000, "0", { maxBatchSize: 1_000 });
  assert.deepEqual(bodies(events), Array.from({ length: 10_000 }, (_, n) => `${n}`));
  assertLog(events);
}

async function rejected_send(world) {
  const producer = world.producer();
  const error = { condition: "com.microsoft:server-busy", text: "The server is busy. Try again in 4 seconds." };
  const id = await world.fault({ outcome: { rejected: error } }, { at: "publish" });
  const sending = producer.sendBatch([{ body: "rejected" }], { partitionId: "0" });
  await assert.rejects(sending, { code: "ServerBusyError", message: /server is busy/ });
  await world.struck(id);
  await producer.sendBatch([{ body: "accepted" }], { partitionId: "0" });
  assert.deepEqual(bodies(await world.receive(1, "0")), ["accepted"]);
}

/** The switch of this client for it is not public; what it switches on is all there. */
async function idempotent_send_is_stored_once(world) {
  const retryOptions = { maxRetries: 3, timeoutInMs: 3_000, retryDelayInMs: 100 };
  const producer = Object.assign(world.producer({ retryOptions }), { _enableIdempotentRetries: true });
  const send = (...texts) => producer.sendBatch(texts.map((body) => ({ body })), { partitionId: "0" });
  await send("one", "two");
  const lost = await world.fault("lose-acknowledgement", { at: "publish" });
  await send("three");
  await world.struck(lost);
  await send("four");
  const expected = ["one", "two", "three", "four"];
  assert.deepEqual(bodies(await world.receive(4, "0")), expected);
  const { lastEnqueuedSequenceNumber } = await producer.getPartitionProperties("0");
  assert.equal(lastEnqueuedSequenceNumber, 3, "an event was stored twice");
}

export const sending = {
  ten_thousand_events_in_order,
  batch_filled_to_the_limit,
  event_over_the_limit_refused,
  event_of_200_kb,
  batch_to_a_partition,
  batch_by_key,
  list_of_events,
  list_of_events_by_key,
  single_events_anywhere,
  event_with_everything,
  value_body,
  sequence_body,
  rejected_send,
  idempotent_send_is_stored_once,
};

// Where receiving starts, and what comes with the events.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

import { latestEventPosition } from "@azure/event-hubs";

import { assertLog, bodies } from "../events.js";

async function receive_all_partitions_from_the_start(world) {
  const producer = world.producer();
  const text = (partition, n) => `${partition}/${n}`;
  for (const partitionId of ["0", "1", "2", "3"]) {
    const events = Array.from({ length: 25 }, (_, n) => ({ body: text(partitionId, n) }));
    await producer.sendBatch(events, { partitionId });
  }
  const events = await world.receive(100);
  for (const partition of ["0", "1", "2", "3"]) {
    const mine = events.filter((event) => event.partition === partition);
    assertLog(mine);
    assert.deepEqual(bodies(mine), Array.from({ length: 25 }, (_, n) => text(partition, n)));
  }
}

/** Three events enqueued at three different milliseconds. */
async function three_events(world) {
  const producer = world.producer();
  for (const body of ["first", "second", "third"]) {
    await producer.sendBatch([{ body }], { partitionId: "0" });
    await pause(10);
  }
  const events = await world.receive(3, "0");
  const times = events.map((event) => event.enqueuedTimeUtc.getTime());
  assert.ok(times[0] < times[1] && times[1] < times[2], `${times}`);
  return events;
}

/** Receives from a position, first without and then with the event there. */
async function from_both(world, position) {
  for (const [isInclusive, sequence] of [[false, 2], [true, 1]]) {
    const [event] = await world.receive(1, "0", { startPosition: { ...position, isInclusive } });
    assert.equal(event.sequenceNumber, sequence, `inclusive ${isInclusive}`);
  }
}

async function receive_from_a_sequence_number(world) {
  await three_events(world);
  await from_both(world, { sequenceNumber: 1 });
}

async function receive_from_an_offset(world) {
  const [, second] = await three_events(world);
  await from_both(world, { offset: second.offset });
}

async function receive_from_an_enqueued_time(world) {
  const [, second] = await three_events(world);
  // This client never asks for the event at the time itself, whatever `isInclusive` says.
  for (const [time, sequence] of [[0, 2], [-1, 1]]) {
    const enqueuedOn = second.enqueuedTimeUtc.getTime() + time;
    const [event] = await world.receive(1, "0", { startPosition: { enqueuedOn } });
    assert.equal(event.sequenceNumber, sequence);
  }
}

async function receive_from_latest(world) {
  await three_events(world);
  const producer = world.producer();
  const receiving = world.receiving("0", { startPosition: latestEventPosition });
  // The link is attached at some time unknown to us: send until something arrives.
  for (let n = 0; n < 100 && receiving.events.length === 0; n += 1) {
    await producer.sendBatch([{ body: `new ${n}` }], { partitionId: "0" });
    await receiving.wait(1, 0.2).catch(() => {});
  }
  assert.ok(receiving.events.length > 0, "nothing arrived");
  assert.ok(bodies(receiving.events).every((body) => body.startsWith("new ")), bodies(receiving.events));
}

async function receive_in_batches(world) {
  const sent = Array.from({ length: 40 }, (_, n) => `batched ${n}`);
  await world.producer().sendBatch(sent.map((body) => ({ body })), { partitionId: "3" });
  const options = { maxBatchSize: 7, prefetchCount: 10 };
  assert.deepEqual(bodies(await world.receive(40, "3", options)), sent);
}

async function runtime_metrics(world) {
  const producer = world.producer();
  await producer.sendBatch([{ body: "a" }, { body: "b" }, { body: "c" }], { partitionId: "0" });
  const known = await producer.getPartitionProperties("0");
  const receiving = world.receiving("0", { trackLastEnqueuedEventProperties: true });
  await receiving.wait(3);
  const told = receiving.lastEnqueued;
  assert.equal(told.sequenceNumber, known.lastEnqueuedSequenceNumber);
  assert.equal(told.offset, known.lastEnqueuedOffset);
  assert.deepEqual(new Date(told.enqueuedOn), known.lastEnqueuedOnUtc);
  assert.ok(Math.abs(Date.now() - new Date(told.retrievedOn).getTime()) < 600_000, told.retrievedOn);
}

async function no_runtime_metrics_unless_asked(world) {
  await world.producer().sendBatch([{ body: "a" }], { partitionId: "0" });
  const [event] = await world.receive(1, "0");
  assert.equal(event.getRawAmqpMessage().deliveryAnnotations, undefined);
}

export const receiving = {
  receive_all_partitions_from_the_start,
  receive_from_a_sequence_number,
  receive_from_an_offset,
  receive_from_an_enqueued_time,
  receive_from_latest,
  receive_in_batches,
  runtime_metrics,
  no_runtime_metrics_unless_asked,
};

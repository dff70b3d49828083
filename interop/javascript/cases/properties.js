// What the client says about hubs and partitions.

import assert from "node:assert/strict";

const DAY = 24 * 60 * 60 * 1000;

async function hub_properties(world) {
  const producer = world.producer();
  const properties = await producer.getEventHubProperties();
  assert.equal(properties.name, world.hub);
  assert.deepEqual(properties.partitionIds, ["0", "1", "2", "3"]);
  assert.ok(Math.abs(Date.now() - properties.createdOn.getTime()) < DAY, `${properties.createdOn}`);
  assert.deepEqual(await producer.getPartitionIds(), ["0", "1", "2", "3"]);
  assert.deepEqual(await world.consumer().getPartitionIds(), ["0", "1", "2", "3"]);
}

async function partition_properties_of_an_empty_partition(world) {
  const properties = await world.producer().getPartitionProperties("1");
  assert.equal(properties.eventHubName, world.hub);
  assert.equal(properties.partitionId, "1");
  assert.equal(properties.isEmpty, true);
  assert.equal(properties.lastEnqueuedSequenceNumber, -1);
  assert.equal(properties.lastEnqueuedOffset, "-1");
}

async function partition_properties_follow_the_log(world) {
  const producer = world.producer();
  await producer.sendBatch([{ body: "a" }, { body: "b" }, { body: "c" }], { partitionId: "2" });
  const properties = await producer.getPartitionProperties("2");
  assert.equal(properties.isEmpty, false);
  assert.equal(properties.beginningSequenceNumber, 0);
  assert.equal(properties.lastEnqueuedSequenceNumber, 2);
  const last = (await world.receive(3, "2")).at(-1);
  assert.equal(last.offset, properties.lastEnqueuedOffset);
  assert.deepEqual(last.enqueuedTimeUtc, properties.lastEnqueuedOnUtc);
}

export const properties = {
  hub_properties,
  partition_properties_of_an_empty_partition,
  partition_properties_follow_the_log,
};

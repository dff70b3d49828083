// Epochs, which this client calls owner levels, and the bound on receivers without one.

import assert from "node:assert/strict";

import { bodies } from "../events.js";

async function higher_owner_level_steals(world) {
  const producer = world.producer();
  await producer.sendBatch([{ body: "first" }], { partitionId: "0" });
  const low = world.receiving("0", { ownerLevel: 1 });
  await low.wait(1);
  const high = world.receiving("0", { ownerLevel: 5 });
  await high.wait(1);
  const error = await low.error();
  assert.equal(error.code, "ReceiverDisconnectedError", error);
  await producer.sendBatch([{ body: "second" }], { partitionId: "0" });
  assert.deepEqual(bodies(await high.wait(2)), ["first", "second"]);
  assert.equal(low.events.length, 1, "the displaced receiver got more");
}

async function equal_owner_level_steals(world) {
  await world.producer().sendBatch([{ body: "first" }], { partitionId: "0" });
  const older = world.receiving("0", { ownerLevel: 1 });
  await older.wait(1);
  const newer = world.receiving("0", { ownerLevel: 1 });
  await newer.wait(1);
  assert.equal((await older.error()).code, "ReceiverDisconnectedError");
}

async function lower_owner_level_refused(world) {
  const producer = world.producer();
  await producer.sendBatch([{ body: "first" }], { partitionId: "0" });
  const high = world.receiving("0", { ownerLevel: 5 });
  await high.wait(1);
  for (const ownerLevel of [2, undefined]) {
    const low = world.receiving("0", { ownerLevel });
    assert.equal((await low.error()).code, "ReceiverDisconnectedError", `owner level ${ownerLevel}`);
  }
  await producer.sendBatch([{ body: "second" }], { partitionId: "0" });
  await high.wait(2);
}

async function sixth_receiver_refused(world) {
  await world.producer().sendBatch([{ body: "first" }], { partitionId: "0" });
  for (let n = 0; n < 5; n += 1) {
    await world.receiving("0").wait(1);
  }
  assert.equal((await world.receiving("0").error()).code, "QuotaExceededError");
}

export const ownership = {
  higher_owner_level_steals,
  equal_owner_level_steals,
  lower_owner_level_refused,
  sixth_receiver_refused,
};

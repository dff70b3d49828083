// What does not exist or is not allowed is refused with the client's own error for it.

import assert from "node:assert/strict";

const NOT_FOUND = { code: "MessagingEntityNotFoundError" };
const UNAUTHORIZED = { code: "UnauthorizedError" };
const NO_SUCH_PARTITION = { code: "ArgumentOutOfRangeError" };
const WRONG_KEY = { key: "d3Jvbmcga2V5IHdyb25nIGtleSB3cm9uZyBrZXkgd3JvbmchIQ==" };

const properties = (client) => client.getEventHubProperties();
const send = (client, options = { partitionId: "0" }) => client.sendBatch([{ body: "no" }], options);

async function receiving_fails(world, partition, expected, clientOptions) {
  const error = await world.receiving(partition, {}, clientOptions).error();
  assert.equal(error.code, expected.code, `${error.code}: ${error.message}`);
}

export const refusals = {
  unknown_hub_refused_for_properties: (world) =>
    assert.rejects(properties(world.producer({ hub: "nohub" })), NOT_FOUND),
  unknown_hub_refused_for_sending: (world) =>
    assert.rejects(send(world.producer({ hub: "nohub" })), NOT_FOUND),
  unknown_hub_refused_for_sending_anywhere: (world) =>
    assert.rejects(send(world.producer({ hub: "nohub" }), {}), NOT_FOUND),
  unknown_hub_refused_for_receiving: (world) =>
    receiving_fails(world, "0", NOT_FOUND, { hub: "nohub" }),
  unknown_partition_refused_for_properties: (world) =>
    assert.rejects(world.producer().getPartitionProperties("99"), NO_SUCH_PARTITION),
  unknown_partition_refused_for_sending: (world) =>
    assert.rejects(send(world.producer(), { partitionId: "99" }), NO_SUCH_PARTITION),
  unknown_partition_refused_for_receiving: (world) =>
    receiving_fails(world, "99", NO_SUCH_PARTITION),
  wrong_key_refused_for_properties: (world) =>
    assert.rejects(properties(world.producer({ keys: WRONG_KEY })), UNAUTHORIZED),
  wrong_key_refused_for_sending: (world) =>
    assert.rejects(send(world.producer({ keys: WRONG_KEY })), UNAUTHORIZED),
  wrong_key_refused_for_receiving: (world) =>
    receiving_fails(world, "0", UNAUTHORIZED, { keys: WRONG_KEY }),
  unknown_key_name_refused: (world) =>
    assert.rejects(properties(world.producer({ keys: { keyName: "Nobody" } })), UNAUTHORIZED),
};

// Every operation of the official JavaScript client, once, for the record.
//
//     operations.mjs CONNECTION_STRING HUB
//
// This client has no single send: a list of events leaves as a batch.

import { EventHubConsumerClient, EventHubProducerClient } from "@azure/event-hubs";

// A receiver that gets nothing in this time never will.
const RECEIVE_MS = 30000;
const [connectionString, hub] = process.argv.slice(2);
const [PARTITION, KEY] = ["0", "device-1"];

function event(body) {
  return { body: Buffer.from(body), properties: { text: "a property" } };
}

async function send(producer) {
  for (const target of [{}, { partitionId: PARTITION }, { partitionKey: KEY }]) {
    await producer.sendBatch([event("single")], target);
  }
  for (const target of [{}, { partitionId: PARTITION }, { partitionKey: KEY }]) {
    const batch = await producer.createBatch(target);
    batch.tryAdd(event("first"));
    batch.tryAdd(event("second"));
    await producer.sendBatch(batch);
  }
}

// Receives one event.
async function receiveOne(startPosition, options = {}, attached = () => {}) {
  const consumer = new EventHubConsumerClient(
    EventHubConsumerClient.defaultConsumerGroupName,
    connectionString,
    hub,
  );
  let subscription;
  const first = await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("no event came")), RECEIVE_MS);
    subscription = consumer.subscribe(
      PARTITION,
      {
        processInitialize: async () => attached(),
        processEvents: async (events) => {
          if (events.length > 0) {
            clearTimeout(late);
            resolve(events[0]);
          }
        },
        processError: async (error) => reject(error),
      },
      { startPosition, maxWaitTimeInSeconds: 1, ...options },
    );
  });
  await subscription.close();
  await consumer.close();
  return first;
}

async function receive(producer) {
  const earliest = { offset: "-1" };
  const first = await receiveOne(earliest);
  const { offset, sequenceNumber, enqueuedTimeUtc } = first;
  await receiveOne({ offset: String(offset) });
  await receiveOne({ sequenceNumber });
  await receiveOne({ sequenceNumber, isInclusive: true });
  await receiveOne({ enqueuedOn: enqueuedTimeUtc, isInclusive: true });
  const later = () =>
    setTimeout(() => producer.sendBatch([event("latest")], { partitionId: PARTITION }), 1000);
  await receiveOne({ offset: "@latest" }, {}, later);
  await receiveOne(earliest, { ownerLevel: 1 });
  await receiveOne(earliest, { trackLastEnqueuedEventProperties: true });
}

const producer = new EventHubProducerClient(connectionString, hub);
await producer.getEventHubProperties();
await producer.getPartitionProperties(PARTITION);
await send(producer);
await receive(producer);
await producer.close();

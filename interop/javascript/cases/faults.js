// Links, sessions and connections that end: the client goes on. Silence: it keeps the connection.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

import { bodies } from "../events.js";

// The service's own words for each.
const ENDINGS = {
  link_detach: {
    detach: {
      condition: "amqp:link:detach-forced",
      text: "The link is force detached. Code: publisher. Details: AmqpMessagePublisher.IdleTimerExpired: Idle timeout: 00:30:00.",
    },
  },
  session_end: {
    end: { condition: "amqp:internal-error", text: "The service was unable to process the request; please retry the operation." },
  },
  connection_close: {
    close: {
      condition: "amqp:connection:forced",
      text: "The connection was inactive for more than the allowed 300000 milliseconds and is closed by the service.",
    },
  },
  tcp_drop: "reset",
};

// A send in flight when its link goes is left to this time-out by the client, and then retried.
const RETRY = { retryOptions: { maxRetries: 3, timeoutInMs: 3_000, retryDelayInMs: 100 } };
const TO_ONE = { partitionId: "0" };

const send = (producer, body) => producer.sendBatch([{ body }], TO_ONE);

/** What arrived, without repetitions: a send whose outcome was lost is sent again. */
async function distinct(world, expected) {
  const receiving = world.receiving("0");
  const have = () => [...new Set(bodies(receiving.events))];
  await receiving.until(() => have().length >= expected.length, `not ${expected}`);
  assert.deepEqual(have(), expected);
}

/** Injects a fault; resolves to a wait until it has struck, and to a check that what it was to end has ended. */
async function strike(world, effect, role, place = {}) {
  const connections = await world.connections(role);
  assert.ok(connections.length > 0, `there is no ${role}`);
  const id = await world.fault(effect, { scope: { role }, ...place });
  const struck = () => world.struck(id);
  const check = async () => {
    await struck();
    if (effect === "reset" || "close" in effect) {
      await world.are_gone(connections);
    }
  };
  return { struck, check };
}

/** The link goes between two sends. */
const producer_between_sends = (effect) => async (world) => {
  const producer = world.producer(RETRY);
  await send(producer, "before");
  const { struck, check } = await strike(world, effect, "producer");
  await struck();
  await send(producer, "after");
  await check();
  await distinct(world, ["before", "after"]);
};

/** The link goes when an event has arrived and before its outcome. */
const producer_in_flight = (effect) => async (world) => {
  const producer = world.producer(RETRY);
  await send(producer, "before");
  const { check } = await strike(world, effect, "producer", { at: "publish" });
  await send(producer, "in flight");
  await send(producer, "after");
  await check();
  await distinct(world, ["before", "in flight", "after"]);
};

/** The link goes between two events. */
const consumer = (effect) => async (world) => {
  const producer = world.producer();
  const receiving = world.receiving("0", { tolerant: true }, RETRY);
  await send(producer, "before");
  await receiving.wait(1);
  const { struck, check } = await strike(world, effect, "consumer");
  await struck();
  await send(producer, "after");
  await receiving.wait(2);
  await check();
  assert.deepEqual(bodies(receiving.events), ["before", "after"]);
};

/** A new producer sends, whatever became of the last one. */
async function sending_works(world) {
  await send(world.producer(), "next");
  const receiving = world.receiving("0");
  await receiving.until(() => bodies(receiving.events).includes("next"), "not the next event");
}

/** A new consumer receives, whatever became of the last one. */
async function receiving_works(world) {
  await world.receive(1, "0");
}

const each = (prefix, make, next) =>
  Object.fromEntries(
    Object.entries(ENDINGS).map(([name, effect]) => [`${prefix}_${name}`, { run: make(effect), next }]),
  );

/** More than twice the emulator's time-out without an event; heartbeats alone keep the connections. */
async function idle_keep_alive(world) {
  const idle = world.idle();
  const producer = idle.producer();
  await send(producer, "before");
  const receiving = idle.receiving("0");
  await receiving.wait(1);
  const before = await idle.connections();
  assert.equal(before.length, 2);
  await pause(10_000);
  await send(producer, "after");
  await receiving.wait(2);
  assert.deepEqual(await idle.connections(), before, "a connection was made anew");
}

async function clean_close(world) {
  const producer = world.producer();
  await send(producer, "one");
  const receiving = world.receiving("0");
  await receiving.wait(1);
  await producer.getEventHubProperties();
  const open = await world.connections();
  assert.equal(open.length, 2);
  await producer.close();
  await receiving.close();
  await world.are_gone([...open, ...(await world.connections())]);
  assert.deepEqual(receiving.errors, []);
}

export const faults = {
  idle_keep_alive,
  ...each("producer_in_flight_after", producer_in_flight, sending_works),
  ...each("producer_after", producer_between_sends, sending_works),
  ...each("consumer_after", consumer, receiving_works),
  clean_close,
};

// What a case gets: a hub of its own, ways to reach it, and the emulator's control port.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

import {
  EventHubConsumerClient,
  EventHubProducerClient,
  earliestEventPosition,
} from "@azure/event-hubs";
import WebSocket from "ws";

export const GROUP = "$Default";
const RECEIVE_SECONDS = 15;

/** The client always asks for `wss`; it takes the class of its WebSockets from us, and this one dials in the clear. */
class PlainWebSocket extends WebSocket {
  constructor(url, protocols, options) {
    super(url.replace(/^wss:/, "ws:"), protocols, options);
  }
}

const NO_RETRY = { maxRetries: 0, timeoutInMs: 30_000 };

export class World {
  #assignment;
  #open = [];

  constructor(assignment, hub) {
    this.#assignment = assignment;
    this.hub = hub;
    this.transport = assignment.transport;
    this.emulator = assignment.emulator;
    this.cross = assignment.cross;
  }

  /** The same hub on the emulator that expects a sign of life every 4 seconds. */
  idle() {
    const world = new World(this.#assignment, this.hub);
    world.emulator = this.#assignment.idle;
    this.#open.push(world);
    return world;
  }

  connectionString({ keyName = this.#assignment.key_name, key = this.#assignment.key } = {}) {
    const flag = this.transport === "plaintext" ? ";UseDevelopmentEmulator=true" : "";
    return `Endpoint=sb://${this.emulator.address};SharedAccessKeyName=${keyName};SharedAccessKey=${key}${flag}`;
  }

  #options(options) {
    const webSocket = { websocket: PlainWebSocket, "websocket-tls": WebSocket }[this.transport];
    return {
      retryOptions: NO_RETRY,
      ...(webSocket && { webSocketOptions: { webSocket } }),
      ...options,
    };
  }

  /** A producer which does not retry unless told otherwise: an error is an error. */
  producer({ hub = this.hub, keys, ...options } = {}) {
    const text = this.connectionString(keys);
    const client = new EventHubProducerClient(text, hub, this.#options(options));
    this.#open.push(client);
    return client;
  }

  consumer({ hub = this.hub, keys, ...options } = {}) {
    const text = this.connectionString(keys);
    const client = new EventHubConsumerClient(GROUP, text, hub, this.#options(options));
    this.#open.push(client);
    return client;
  }

  /** A subscription on a client of its own; from the start unless told otherwise. */
  receiving(partition, options = {}, clientOptions = {}) {
    return new Receiving(this.consumer(clientOptions), partition, options);
  }

  /** The next `count` events. */
  async receive(count, partition, options, clientOptions) {
    const receiving = this.receiving(partition, options, clientOptions);
    try {
      return await receiving.wait(count);
    } finally {
      await receiving.close();
    }
  }

  async closeAll() {
    for (const client of this.#open.splice(0)) {
      await (client instanceof World ? client.closeAll() : client.close()).catch(() => {});
    }
  }

  async #control(method, path, body) {
    const response = await fetch(`http://${this.emulator.control}${path}`, {
      method,
      ...(body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  /** Makes the emulator misbehave on this hub; resolves to the fault's id. */
  async fault(effect, { scope = {}, at = "now", ...rest } = {}) {
    const fault = { scope: { hub: this.hub, ...scope }, at, ...rest, effect };
    return (await this.#control("POST", "/faults", fault)).id;
  }

  /** Resolves when a fault has struck. */
  struck(id) {
    return this.#control("GET", `/faults/${id}?hits=1&wait-ms=5000`);
  }

  /** The numbers of the connections that are there for this hub, or have a link of this role. */
  async connections(role) {
    const { connections } = await this.#control("GET", "/state");
    const isOurs = ({ audiences, links }) => {
      if (role !== undefined) {
        return links.some((link) => link.role === role && link.hub === this.hub);
      }
      const paths = [...audiences.map((one) => one.audience), ...links.map((one) => one.address)];
      return paths.some((path) => path.split("/").includes(this.hub));
    };
    return connections.filter(isOurs).map(({ number }) => number);
  }

  /** Resolves when none of these connections is there any more. */
  async are_gone(numbers) {
    const left = async () => (await this.connections()).filter((one) => numbers.includes(one));
    const deadline = Date.now() + 5_000;
    for (let remaining = await left(); remaining.length > 0; remaining = await left()) {
      assert.ok(Date.now() < deadline, `connections ${remaining} are still there`);
      await pause(20);
    }
  }
}

/** Events of one subscription, and a way to wait for them. */
export class Receiving {
  events = [];
  errors = [];
  #changed = () => {};
  #subscription;
  #client;

  constructor(client, partition, { tolerant = false, ...options } = {}) {
    this.#client = client;
    this.tolerant = tolerant;
    const handlers = {
      processEvents: async (events, context) => {
        for (const event of events) {
          this.events.push(Object.assign(event, { partition: context.partitionId }));
        }
        this.lastEnqueued = context.lastEnqueuedEventProperties;
        this.#changed();
      },
      processError: async (error) => {
        this.errors.push(error);
        this.#changed();
      },
    };
    const settings = { startPosition: earliestEventPosition, maxWaitTimeInSeconds: 1, ...options };
    this.#subscription =
      partition === undefined
        ? client.subscribe(handlers, settings)
        : client.subscribe(partition, handlers, settings);
  }

  /** Waits until `done` holds; fails with the client's error or when time is over. */
  async until(done, what, seconds = RECEIVE_SECONDS) {
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, seconds * 1000, "late")));
    try {
      while (!done()) {
        const change = new Promise((resolve) => (this.#changed = resolve));
        if ((await Promise.race([change, late])) === "late") {
          throw new Error(`${what} within ${seconds} s: ${this.events.length} events`);
        }
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for `count` events and returns them. */
  async wait(count, seconds) {
    const failed = () => !this.tolerant && this.errors.length > 0;
    await this.until(() => failed() || this.events.length >= count, `not ${count} events`, seconds);
    if (failed()) {
      throw this.errors[0];
    }
    return this.events.slice(0, count);
  }

  /** Waits for an error of the client and returns it. */
  async error(seconds) {
    await this.until(() => this.errors.length > 0, "no error", seconds);
    return this.errors[0];
  }

  async close() {
    await this.#subscription.close();
    await this.#client.close();
  }
}

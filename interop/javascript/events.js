// What is checked about received events.

import assert from "node:assert/strict";

/** The bodies as text. */
export function bodies(events) {
  return events.map((event) => `${event.body}`);
}

/** Sequence numbers without a gap, offsets present, times set and not decreasing. */
export function assertLog(events, first = 0) {
  events.forEach((event, index) => assert.equal(event.sequenceNumber, first + index));
  const offsets = new Set(events.map((event) => event.offset));
  assert.ok(offsets.size === events.length && !offsets.has(undefined), "offsets repeat");
  const times = events.map((event) => event.enqueuedTimeUtc.getTime());
  assert.deepEqual(times, times.toSorted((a, b) => a - b), "enqueued times go backwards");
  assert.ok(Math.abs(Date.now() - times.at(-1)) < 600_000, `enqueued at ${times.at(-1)}`);
}

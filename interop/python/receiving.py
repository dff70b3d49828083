"""Receiving until a condition holds, with a deadline: what both clients share."""

import threading

# Each case has a deadline of its own; this one only gives a better message than that.
RECEIVE_SECONDS = 30


class Receiving:
    """Collects events; `events` holds what was received, in order, as (partition id, event)."""

    def __init__(self):
        self.events = []
        self.errors = []
        self.metrics = None
        self._changed = threading.Condition()

    def note_events(self, context, events):
        """Called by the client. It calls with None when it has waited long enough."""
        received = events if isinstance(events, list) else [events]
        with self._changed:
            self.events += [(context.partition_id, event) for event in received if event is not None]
            self.metrics = context.last_enqueued_event_properties
            self._changed.notify_all()

    def note_error(self, _context, error):
        """Called by the client."""
        with self._changed:
            self.errors.append(error)
            self._changed.notify_all()

    def until(self, done, what, seconds=RECEIVE_SECONDS):
        """Waits until `done()` holds."""
        with self._changed:
            arrived = self._changed.wait_for(done, timeout=seconds)
        assert arrived, f"not {what} within {seconds} s: {len(self.events)} events, {self.errors}"

    def wait(self, count, seconds=RECEIVE_SECONDS, tolerant=False):
        """Waits for `count` events and returns them. Raises the client's error unless tolerant."""
        failed = lambda: self.errors and not tolerant
        self.until(lambda: failed() or len(self.events) >= count, f"{count} events", seconds)
        if failed():
            raise self.errors[0]
        return self.events[:count]

    def error(self):
        """Waits for an error of the client and returns it."""
        self.until(lambda: self.errors, "an error")
        return self.errors[0]

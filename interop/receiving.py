"""Receiving until a condition holds, with a deadline."""

import threading

from azure.eventhub import EventHubConsumerClient

GROUP = "$Default"
# Each test has a deadline of its own; this one only gives a better message than that.
RECEIVE_SECONDS = 15


class Receiving:
    """A consumer in a thread of its own; `events` holds what it received, in order."""

    def __init__(self, connection_string, hub, partition=None, **options):
        self.events = []
        self._error = None
        self._changed = threading.Condition()
        self._client = EventHubConsumerClient.from_connection_string(
            connection_string, GROUP, eventhub_name=hub, retry_total=0
        )
        self._thread = threading.Thread(
            target=self._client.receive,
            kwargs={
                "on_event": self._on_event,
                "on_error": self._on_error,
                "partition_id": partition,
                **options,
            },
            daemon=True,
        )

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        # The thread closes its connection in its own time; nothing here waits for that.
        self._client.close()

    def _on_event(self, context, event):
        with self._changed:
            self.events.append((context.partition_id, event))
            self._changed.notify_all()

    def _on_error(self, _context, error):
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def wait(self, count, seconds=RECEIVE_SECONDS):
        """Waits for `count` events; false when the time is over. Raises the client's error."""
        with self._changed:
            arrived = self._changed.wait_for(
                lambda: self._error is not None or len(self.events) >= count, timeout=seconds
            )
            if self._error is not None:
                raise self._error
            return arrived


def receive(connection_string, hub, count, partition=None, **options):
    """Receives `count` events as (partition id, event) or fails saying how many came."""
    with Receiving(connection_string, hub, partition, **options) as receiving:
        arrived = receiving.wait(count)
    if not arrived:
        raise AssertionError(f"received {len(receiving.events)} of {count} events")
    return receiving.events[:count]

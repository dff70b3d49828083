"""The client of `azure.eventhub`, whose calls wait."""

import threading

from azure.eventhub import EventHubConsumerClient, EventHubProducerClient

from receiving import Receiving


class Kind:
    """Makes producers and consumers."""

    def producer(self, text, **options):
        """A producer."""
        return EventHubProducerClient.from_connection_string(text, **options)

    def receiving(self, text, group, client, options):
        """A consumer in a thread of its own."""
        return ThreadedReceiving(text, group, client, options)


class ThreadedReceiving(Receiving):
    """`receive` returns when the client is closed, so it runs in a thread."""

    def __init__(self, text, group, client, options):
        super().__init__()
        self._client = EventHubConsumerClient.from_connection_string(text, group, **client)
        in_batches = "max_batch_size" in options
        receive = self._client.receive_batch if in_batches else self._client.receive
        callback = "on_event_batch" if in_batches else "on_event"
        options = {callback: self.note_events, "on_error": self.note_error, **options}

        self._thread = threading.Thread(target=receive, kwargs=options, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        # The thread closes its connection in its own time.
        self._client.close()

    def close(self):
        """Closes the client and waits until it has."""
        self._client.close()
        self._thread.join()

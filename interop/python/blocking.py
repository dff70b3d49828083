"""The client of `azure.eventhub.aio`. Its calls run on a loop of their own and the case waits."""

import asyncio
import functools
import threading

from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient

from receiving import Receiving


class Kind:
    """Makes producers and consumers on one loop."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        # It ends with the process: a client that is cut off may still be on it.
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, coroutine):
        """Runs a coroutine on the loop and waits for its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def start(self, coroutine):
        """Runs a coroutine on the loop and does not wait."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def producer(self, text, **options):
        """A producer whose calls wait."""

        async def make():
            return EventHubProducerClient.from_connection_string(text, **options)

        return Blocking(self, self.run(make()))

    def receiving(self, text, group, client, options):
        """A consumer on the loop."""
        return LoopReceiving(self, text, group, client, options)


class Blocking:
    """A client whose coroutines are waited for."""

    def __init__(self, kind, client):
        self._kind = kind
        self._client = client

    def __getattr__(self, name):
        attribute = getattr(self._client, name)
        if not asyncio.iscoroutinefunction(attribute):
            return attribute

        @functools.wraps(attribute)
        def call(*arguments, **options):
            return self._kind.run(attribute(*arguments, **options))

        return call

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._kind.run(self._client.close())


class LoopReceiving(Receiving):
    """A consumer whose callbacks are coroutines."""

    def __init__(self, kind, text, group, client, options):
        super().__init__()
        self._kind = kind

        async def make():
            return EventHubConsumerClient.from_connection_string(text, group, **client)

        async def on_events(context, events):
            self.note_events(context, events)

        async def on_error(context, error):
            self.note_error(context, error)

        self._client = kind.run(make())
        in_batches = "max_batch_size" in options
        receive = self._client.receive_batch if in_batches else self._client.receive
        callback = "on_event_batch" if in_batches else "on_event"
        self._receive = functools.partial(
            receive, **{callback: on_events, "on_error": on_error, **options}
        )
        self._task = None

    def __enter__(self):
        self._task = self._kind.start(self._receive())
        return self

    def __exit__(self, *_):
        self._kind.start(self._client.close())

    def close(self):
        """Closes the client and waits until it has."""
        self._kind.run(self._client.close())
        self._task.result()

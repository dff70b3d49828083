"""Links, sessions and connections that end: the client goes on. Silence: it keeps the connection."""

import time

from azure.eventhub import EventData

from case import case, register
from events import bodies_of
from world import send

# The service's own words for each.
ENDINGS = {
    "link_detach": {
        "detach": {
            "condition": "amqp:link:detach-forced",
            "text": "The link is force detached. Code: publisher. Details: "
            "AmqpMessagePublisher.IdleTimerExpired: Idle timeout: 00:30:00.",
        }
    },
    "session_end": {
        "end": {
            "condition": "amqp:internal-error",
            "text": "The service was unable to process the request; please retry the operation.",
        }
    },
    "connection_close": {
        "close": {
            "condition": "amqp:connection:forced",
            "text": "The connection was inactive for more than the allowed 300000 milliseconds and "
            "is closed by the service.",
        }
    },
    "tcp_drop": "reset",
}
RETRY = {"retry_total": 3, "retry_backoff_factor": 0.1}


def send_one(producer, body):
    send(producer, [body], partition_id="0")


def distinct(world, expected):
    """What arrived, without repetitions: a send whose outcome was lost is sent again."""
    with world.receiving("0") as receiving:
        have = lambda: list(dict.fromkeys(bodies_of(receiving.events)))
        receiving.until(lambda: len(have()) >= len(expected), expected)
        assert have() == expected, have()


class Struck:
    """Notes which connections a fault is about to meet, and sees to it that it does."""

    def __init__(self, world, effect, role, **place):
        self._world = world
        self._connections = world.connections(role)
        self._ends_connections = effect == "reset" or "close" in effect
        assert self._connections, f"there is no {role}"
        self._fault = world.fault(effect, scope={"role": role}, **place)

    def wait(self):
        """Waits until the fault has struck."""
        self._world.struck(self._fault)

    def check(self):
        """Once the client has gone on, what the fault was to end has ended."""
        self.wait()
        if self._ends_connections:
            self._world.are_gone(self._connections)


def producer_between_sends(effect):
    """The link goes between two sends."""

    def run(world):
        with world.producer(**RETRY) as producer:
            producer.send_event(EventData("before"), partition_id="0")
            struck = Struck(world, effect, "producer")
            struck.wait()
            producer.send_event(EventData("after"), partition_id="0")
            struck.check()
        distinct(world, ["before", "after"])

    return run


def producer_in_flight(effect):
    """The link goes when an event has arrived and before its outcome."""

    def run(world):
        with world.producer(**RETRY) as producer:
            producer.send_event(EventData("before"), partition_id="0")
            struck = Struck(world, effect, "producer", at="publish")
            producer.send_event(EventData("in flight"), partition_id="0")
            producer.send_event(EventData("after"), partition_id="0")
            struck.check()
        distinct(world, ["before", "in flight", "after"])

    return run


def sending_works(world):
    """A new producer sends, whatever became of the last one."""
    with world.producer() as producer:
        send_one(producer, "next")
    with world.receiving("0") as receiving:
        receiving.until(lambda: "next" in bodies_of(receiving.events), "the next event")


def consumer(effect):
    """The link goes between two events. The client may begin anew where it began."""

    def run(world):
        with world.producer() as producer:
            # It claims its partitions again when the time between two claims is over.
            options = {"client": {**RETRY, "load_balancing_interval": 1}}
            with world.receiving("0", **options) as receiving:
                send_one(producer, "before")
                receiving.wait(1)
                struck = Struck(world, effect, "consumer")
                struck.wait()
                send_one(producer, "after")
                have = lambda: list(dict.fromkeys(bodies_of(receiving.events)))
                receiving.until(lambda: len(have()) >= 2, "both events")
                assert have() == ["before", "after"], have()
                struck.check()

    return run


def receiving_works(world):
    """A new consumer receives, whatever became of the last one."""
    with world.receiving("0") as receiving:
        receiving.until(lambda: "before" in bodies_of(receiving.events), "the first event")


@case
def idle_keep_alive(world):
    """More than twice the emulator's time-out without an event; heartbeats keep the connections."""
    idle = world.idle()
    # A producer gives signs of life only when asked to.
    with idle.producer(keep_alive=1) as producer:
        send_one(producer, "before")
        with idle.receiving("0") as receiving:
            receiving.wait(1)
            before = idle.connections()
            assert len(before) >= 2, before
            time.sleep(10)
            send_one(producer, "after")
            receiving.wait(2)
            # One that was made to ask for partitions may be gone by now; none may have come.
            assert idle.connections() <= before, "a connection was made anew"


for name, effect in ENDINGS.items():
    register(f"producer_in_flight_after_{name}", producer_in_flight(effect), sending_works)
    register(f"producer_after_{name}", producer_between_sends(effect), sending_works)
    register(f"consumer_after_{name}", consumer(effect), receiving_works)


@case
def clean_close(world):
    with world.producer() as producer:
        send_one(producer, "one")
        producer.get_eventhub_properties()
        with world.receiving("0") as receiving:
            receiving.wait(1)
            open_ones = world.connections()
            assert len(open_ones) >= 2, open_ones
            receiving.close()
    world.are_gone(open_ones | world.connections())
    assert receiving.errors == [], receiving.errors

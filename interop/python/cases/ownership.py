"""Epochs, which this client calls owner levels, and the bound on receivers without one."""

import time
from contextlib import ExitStack

from azure.eventhub.exceptions import ConnectionLostError

from case import case
from events import bodies_of, is_refused
from world import send

STOLEN = "amqp:link:stolen"


@case
def higher_owner_level_steals(world):
    with world.producer() as producer:
        send(producer, ["first"], partition_id="0")
        with world.receiving("0", owner_level=1) as low:
            low.wait(1)
            with world.receiving("0", owner_level=5) as high:
                high.wait(1)
                is_refused(low.error(), ConnectionLostError, STOLEN)
                send(producer, ["second"], partition_id="0")
                assert bodies_of(high.wait(2)) == ["first", "second"]
    assert len(low.events) == 1, "the displaced receiver got more"


@case
def equal_owner_level_steals(world):
    world.send(["first"], partition_id="0")
    with world.receiving("0", owner_level=1) as older:
        older.wait(1)
        with world.receiving("0", owner_level=1) as newer:
            newer.wait(1)
            is_refused(older.error(), ConnectionLostError, STOLEN)


@case
def lower_owner_level_refused(world):
    with world.producer() as producer:
        send(producer, ["first"], partition_id="0")
        with world.receiving("0", owner_level=5) as high:
            high.wait(1)
            for options in ({"owner_level": 2}, {}):
                with world.receiving("0", **options) as low:
                    is_refused(low.error(), ConnectionLostError, STOLEN)
            send(producer, ["second"], partition_id="0")
            high.wait(2)


@case
def sixth_receiver_refused(world):
    world.send(["first"], partition_id="0")
    with ExitStack() as stack:
        five = [stack.enter_context(world.receiving("0")) for _ in range(5)]
        for receiving in five:
            receiving.wait(1)
        sixth = stack.enter_context(world.receiving("0"))
        if world.client == "python":
            is_refused(sixth.error(), ConnectionLostError, "resource-limit-exceeded")
            return
        # The asyncio kind tells nobody and tries again, until there is room.
        time.sleep(2)
        assert sixth.events == [] and sixth.errors == [], (sixth.events, sixth.errors)
        five[0].close()
        sixth.wait(1)

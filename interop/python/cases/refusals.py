"""What does not exist or is not allowed is refused with the client's own error for it."""

from azure.eventhub import EventData
from azure.eventhub.exceptions import AuthenticationError, ConnectError

from case import case
from events import is_refused, refused
from world import CLIENT_LOG

NO_ACCESS = ("auth-failed", "unauthorized", "401")
# The service answers the put-token for a hub it does not have with 404, which this client reports
# as an authentication error.
NOT_FOUND = ("not-found", "not found", "404")
WRONG_KEY = {"key": "d3Jvbmcga2V5IHdyb25nIGtleSB3cm9uZyBrZXkgd3JvbmchIQ=="}


def properties_refused(world, kind, *needles, **client):
    with CLIENT_LOG as log, world.producer(**client) as producer:
        refused(producer.get_eventhub_properties, kind, *needles, log=log.lines)


def sending_refused(world, kind, *needles, partition="0", **client):
    with CLIENT_LOG as log, world.producer(**client) as producer:
        attempt = lambda: producer.send_event(EventData("no"), partition_id=partition)
        refused(attempt, kind, *needles, log=log.lines)


def receiving_refused(world, kind, *needles, partition="0", **client):
    with CLIENT_LOG as log, world.receiving(partition, **client) as receiving:
        is_refused(receiving.error(), kind, *needles, log=log.lines)


@case
def unknown_hub_refused_for_properties(world):
    properties_refused(world, AuthenticationError, *NOT_FOUND, hub="nohub")


@case
def unknown_hub_refused_for_sending(world):
    sending_refused(world, AuthenticationError, *NOT_FOUND, hub="nohub")


@case
def unknown_hub_refused_for_receiving(world):
    receiving_refused(world, AuthenticationError, *NOT_FOUND, hub="nohub")


@case
def unknown_partition_refused_for_properties(world):
    with world.producer() as producer:
        refused(lambda: producer.get_partition_properties("99"), ConnectError, "status code: 400")


@case
def unknown_partition_refused_for_sending(world):
    sending_refused(world, ConnectError, "invalid partition 99", partition="99")


@case
def unknown_partition_refused_for_receiving(world):
    # The client asks for the hub's partitions before it attaches, and refuses this by itself.
    receiving_refused(world, ValueError, "wrong partition id:99", partition="99")


@case
def wrong_key_refused_for_properties(world):
    properties_refused(world, AuthenticationError, *NO_ACCESS, credentials=WRONG_KEY)


@case
def wrong_key_refused_for_sending(world):
    sending_refused(world, AuthenticationError, *NO_ACCESS, credentials=WRONG_KEY)


@case
def wrong_key_refused_for_receiving(world):
    receiving_refused(world, AuthenticationError, *NO_ACCESS, credentials=WRONG_KEY)


@case
def unknown_key_name_refused(world):
    properties_refused(world, AuthenticationError, *NO_ACCESS, credentials={"key_name": "Nobody"})

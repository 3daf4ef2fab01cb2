"""A connection to Discord and a bus that are only pretended."""

from bus.connection import Counts


class PretendedWire:
    """What Metrics asks of the connection to Discord."""

    invalid_requests = 3
    identifies_left = 249
    connected = True
    shards = (True, True, False)
    rest_requests = {("POST /channels/{id}/messages", 200): 5, ("GET /gateway/bot", 429): 1}


class PretendedBus:
    """What Metrics asks of the bus."""

    is_up = True
    counts = Counts(reconnects=2, refused=1)

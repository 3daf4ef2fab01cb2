"""A connection to Discord that is only pretended."""


class PretendedWire:
    """What Metrics asks of the connection to Discord."""

    invalid_requests = 3
    identifies_left = 249
    connected = True
    rest_requests = {("POST /channels/{id}/messages", 200): 5, ("GET /gateway/bot", 429): 1}

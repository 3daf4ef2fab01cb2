"""A broker of MQTT: pictures that cameras and Frigate publish come in, what cameras show goes out as Home
Assistant finds it by itself (https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery).

Needs the extra ``mqtt``. Of pictures that nobody takes the newest few are kept, in memory alone.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

import aiomqtt

from core import outside
from core.errors import UserError
from core.language import _

MOST_KEPT, MOST_BYTES = 256, 8 * 2**20  # pictures of all topics that are kept, and their bytes
PAUSES = (1.0, 60.0)  # seconds until the next try to connect, doubled each time
KEEP_ALIVE = 30  # seconds
SECURE = 8883  # port of mqtts
log = logging.getLogger(__name__)


class MqttClient:
    """Subscribes to ``topics``, and publishes; connected while ``run`` runs."""

    def __init__(self, url: str, topics: frozenset[str]) -> None:
        self._url, self._topics = urlsplit(url), topics
        self._client: aiomqtt.Client | None = None
        self._kept = deque[tuple[int, aiomqtt.Topic, bytes]]()
        self._number = 0
        self._known: dict[str, tuple[bytes, bool]] = {}  # what is to be told again after a connection is lost

    def after(self, topic: str, number: int) -> tuple[int, bytes] | None:
        """Return the first picture that came by a topic after ``number``, with its own, None where there is
        none. Raises UserError while there is no connection."""
        for one, came_by, data in self._kept:
            if one > number and came_by.matches(topic):
                return one, data
        if self._client is None:
            raise UserError(_(outside.NO_BROKER))
        return None

    async def publish(self, topic: str, payload: Mapping[str, Any] | str, *, keep: bool = False) -> None:
        """Tell whoever has subscribed to a topic. keep: also who comes later, and anew with each
        connection."""
        data = (payload if isinstance(payload, str) else json.dumps(payload)).encode()
        if keep:
            self._known[topic] = (data, True)
        if self._client is not None:
            try:
                await self._client.publish(topic, data, qos=1, retain=keep)
            except aiomqtt.MqttError as error:
                log.warning("the broker took no message: %s", error)

    async def run(self) -> None:
        """Stay connected until this is cancelled."""
        pause = PAUSES[0]
        while True:
            try:
                async with self._opened() as client:
                    self._client, pause = client, PAUSES[0]
                    log.info("connected to the broker %s", self._url.hostname)
                    await client.publish(outside.STATUS, "online", qos=1, retain=True)
                    for topic, (data, keep) in self._known.items():
                        await client.publish(topic, data, qos=1, retain=keep)
                    for topic in self._topics:
                        await client.subscribe(topic, qos=1)
                    try:
                        async for message in client.messages:
                            self._keep(message)
                    finally:
                        with suppress(aiomqtt.MqttError):  # the will is for a connection that is lost
                            await client.publish(outside.STATUS, "offline", qos=1, retain=True)
            except (aiomqtt.MqttError, OSError) as error:
                log.warning("no connection to the broker: %s", error)
            finally:
                self._client = None
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSES[1])

    def _opened(self) -> aiomqtt.Client:
        secure = self._url.scheme == "mqtts"
        return aiomqtt.Client(
            self._url.hostname or "localhost",
            self._url.port or (SECURE if secure else 1883),
            username=unquote(self._url.username) if self._url.username else None,
            password=unquote(self._url.password) if self._url.password else None,
            tls_params=aiomqtt.TLSParameters() if secure else None,
            will=aiomqtt.Will(outside.STATUS, "offline", qos=1, retain=True),
            keepalive=KEEP_ALIVE,
            max_queued_incoming_messages=MOST_KEPT,
        )

    def _keep(self, message: aiomqtt.Message) -> None:
        if not isinstance(message.payload, bytes) or not 0 < len(message.payload) <= MOST_BYTES:
            return
        self._number += 1
        self._kept.append((self._number, message.topic, message.payload))
        while (
            len(self._kept) > MOST_KEPT or sum(len(data) for _number, _topic, data in self._kept) > MOST_BYTES
        ):
            self._kept.popleft()

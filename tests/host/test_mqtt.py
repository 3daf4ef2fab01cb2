"""Watches by MQTT: what is published is judged, Home Assistant is told, a broker that goes is a sentence."""

import asyncio
import json
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("aiomqtt")

from core.errors import UserError
from host import mqtt_client
from host.mqtt_client import MqttClient
from studio.projects import watches
from tests.jobs.conftest import eventually
from tests.studio.conftest import ALICE
from tests.studio.projects.conftest import noise, open_world
from tests.studio.projects.test_watches import Line
from tests.studio.servers import Channel
from tests.support.broker import Broker

TOPIC = "frigate/door/+/snapshot"


async def test_what_a_topic_brings_is_judged_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "EVERY", 0.02)
    monkeypatch.setattr(watches, "NOTICES_EVERY", 0.05)
    broker = Broker(password="p@ss")
    async with broker.open() as url:
        settings = {"WATCH_SOURCES": f"door=mqtt:{TOPIC}", "MQTT_URL": url.replace("p@ss", "p%40ss")}
        async with open_world(tmp_path, **settings) as world:
            world.servers.servers[10].channels[100] = Channel({1, 2, 3}, {1, 2, 3})
            await world.put(await world.projects.new(ALICE, "boards"), ALICE, ["good"] * 5)
            await world.trained(ALICE, "boards")
            line = Line(world, tmp_path)
            await eventually(partial(said, broker, "atelier/status", b"online"))
            made = await line.watches.add(ALICE, "boards", "door", channel_id=100, camera="Door")
            async with line.watches.running():
                await broker.send("frigate/door/part/snapshot", noise(1))
                await broker.send("frigate/door/part/count", b"3")
                await broker.send("frigate/door/part/snapshot", noise(2))
                await eventually(partial(alarmed, line, 2))
                world.learner.score = 1.0
                await broker.send("frigate/door/other/snapshot", noise(3))
                await eventually(partial(last, broker, f"atelier/{made.id}", "OFF"))
            told = [json.loads(data) for topic, data, _ in broker.said if topic == f"atelier/{made.id}"]
            assert [(one["defect"], one["score"]) for one in told] == [("ON", 2.0), ("ON", 2.0), ("OFF", 1.0)]
            found = {
                topic: data for topic, data, kept in broker.said if topic.startswith("homeassistant") and kept
            }
            about = json.loads(found[f"homeassistant/binary_sensor/atelier_{made.id}/config"])
            assert about["state_topic"] == f"atelier/{made.id}" and about["device"]["name"] == "Door"
            assert about["availability_topic"] == "atelier/status" and about["device_class"] == "problem"
            await line.watches.remove(ALICE, "boards", made.id)
            assert await said(broker, f"homeassistant/sensor/atelier_{made.id}/config", b"")
    assert await said(broker, "atelier/status", b"offline")


async def said(broker: Broker, topic: str, data: bytes) -> bool:
    return (topic, data) in {(one, payload) for one, payload, _ in broker.said}


async def last(broker: Broker, topic: str, state: str) -> bool:
    found = [json.loads(data) for one, data, _ in broker.said if one == topic]
    return bool(found) and found[-1]["defect"] == state


async def alarmed(line: Line, number: int) -> bool:
    return len(await line.told()) == number


async def test_a_broker_that_goes_is_told_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_client, "PAUSES", (0.05, 0.1))
    broker = Broker()
    async with broker.open() as url:
        client = MqttClient(url, frozenset({TOPIC}))
        with pytest.raises(UserError, match="broker doesn't answer"):
            client.after(TOPIC, 0)
        running = asyncio.create_task(client.run())
        await eventually(partial(said, broker, "atelier/status", b"online"))
        await client.publish("atelier/config", {"a": 1}, keep=True)
        await broker.send("frigate/door/part/snapshot", b"first")

        async def came(number: int, data: bytes) -> bool:
            try:
                return client.after(TOPIC, number) == (number + 1, data)
            except UserError:
                return False

        await eventually(partial(came, 0, b"first"))
        assert client.after(TOPIC, 1) is None

    async def away() -> bool:
        try:
            return client.after(TOPIC, 1) is not None
        except UserError:
            return True

    await eventually(away)
    broker.said.clear()
    async with broker.open():
        await eventually(partial(said, broker, "atelier/config", b'{"a": 1}'))  # told anew
        await broker.send("frigate/door/part/snapshot", bytes(mqtt_client.MOST_BYTES + 1))  # too large
        await broker.send("frigate/door/part/snapshot", b"second")
        await eventually(partial(came, 1, b"second"))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

"""The example of a program: a picture by ``Studio`` alone, with its progress printed."""

import asyncio
from functools import partial

from examples import ask
from host.services import services
from tests.studio.conftest import AtOnce


async def test_the_example_prints_its_progress_and_writes_its_pictures(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(ask, "services", partial(services, executor=AtOnce()))
    await ask.main("a red house", tmp_path)
    printed = capsys.readouterr().out.split("\n")
    assert printed[-2] == "Rendered" and any(line.startswith("Progress") for line in printed)
    written = await asyncio.to_thread(lambda: [path.stat().st_size for path in tmp_path.glob("*.png")])
    assert len(written) == 4 and all(written)

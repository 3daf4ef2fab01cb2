"""The Python client and the commands, against a studio on the web."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from atelier.client import AsyncStudio, Event, Studio, StudioError
from core.settings import ROOT
from tests.studio.conftest import png
from tests.studio.talker import Talker
from tests.web.conftest import Site, open_site
from tests.web.teacher import Teacher
from tests.web.test_projects import part, project, trained


class EXECUTOR(Talker):
    """Draws, and answers."""


async def run(site: Site, token: str, *words: str, send: bytes = b"") -> tuple[int, str, str]:
    """What a command comes to, says, and complains about. send: it reads this, and then says a line."""
    environ = {"ATELIER_TOKEN": token, "ATELIER_HOST": site.web.url, "PATH": "", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "host.cli", *words]
    pipes: Any = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE)
    started = await asyncio.create_subprocess_exec(*command, env=environ, **pipes)
    assert started.stdin is not None and started.stdout is not None
    started.stdin.write(send)
    first = await started.stdout.readline() if send else b""
    started.stdin.close()
    said, complained = await started.communicate()
    return started.returncode or 0, (first + said).decode(), complained.decode()


async def test_a_picture_is_drawn_watched_and_read(site: Site, tmp_path: Path) -> None:
    token = (await site.program()).cookie or ""
    events: list[Event] = []
    (tmp_path / "cat.png").write_bytes(png(64, 64))
    async with AsyncStudio(site.web.url, token) as studio:
        sent = await studio.upload(tmp_path / "cat.png")
        job = await studio.wait(await studio.draw("a red house", [sent], key="once"), events.append)
        again = await studio.draw("a red house", [sent], key="once")
        assert again.id == job.id and job.status == "delivered"
        assert events[-1].state == "rendered"
        assert (await studio.read(job.pictures[0])).startswith(b"\x89PNG")
        assert not await studio.stop(job.id)
        said = [
            words async for words in studio.ask("What is it?", [job.pictures[0].name, tmp_path / "cat.png"])
        ]
        assert "2 pictures" in "".join(said)
        with pytest.raises(StudioError, match="nonsense") as refused:
            await studio.draw("a house --model nonsense")
        assert refused.value.status == 400


async def test_the_same_without_asyncio(site: Site, tmp_path: Path) -> None:
    token = (await site.program()).cookie or ""
    (tmp_path / "cat.png").write_bytes(png(64, 64))

    def work() -> None:
        with Studio(site.web.url, token) as studio:
            sent = studio.upload(tmp_path / "cat.png")
            job = studio.wait(studio.draw("a red house", [sent]))
            assert studio.read(job.pictures[0]).startswith(b"\x89PNG") and not studio.stop(job.id)
            assert "1 pictures" in "".join(studio.ask("What is it?", [tmp_path / "cat.png"]))
            assert studio.projects() == {}
        with (
            Studio(site.web.url, "atelier_nonsense") as nobody,
            pytest.raises(StudioError, match="isn't known"),
        ):
            nobody.job("abcd2345efgh")

    await asyncio.to_thread(work)


async def test_parts_are_inspected(tmp_path: Path) -> None:
    for bad in (False, True):
        (tmp_path / f"{bad}.png").write_bytes(part(3, bad=bad))
    async with open_site(tmp_path / "site", Teacher()) as site:
        project_id = await project(site)
        await trained(site, project_id)
        token = (await site.program()).cookie or ""
        async with AsyncStudio(site.web.url, token) as studio:
            assert await studio.projects() == {"boards": project_id}
            verdicts = await studio.inspect(project_id, [tmp_path / "False.png", tmp_path / "True.png"])
            assert [one.strange for one in verdicts] == [False, True]
        code, said, _ = await run(site, token, "inspect", str(tmp_path), "--project", "boards")
        assert code == 1 and [line.split("\t")[0] for line in said.splitlines()] == ["False.png", "True.png"]


async def test_commands_draw_and_ask(site: Site, tmp_path: Path) -> None:
    token, path = (await site.program()).cookie or "", tmp_path / "house.png"
    code, said, _ = await run(site, token, "draw", "a red house", "-o", str(path))
    assert code == 0 and said.splitlines() == [
        str(tmp_path / f"house-{number}.png") for number in range(1, 5)
    ]
    assert (tmp_path / "house-1.png").read_bytes().startswith(b"\x89PNG")
    code, said, _ = await run(site, token, "ask", "What is it?", str(tmp_path / "house-1.png"))
    assert code == 0 and "1 pictures" in said
    code, _, complained = await run(site, token, "draw", "a house --model nonsense")
    assert code == 1 and "nonsense" in complained and "Traceback" not in complained
    for wrong in (("draw", "a house", "-o", str(tmp_path / "none" / "a.png")), ("ask", "What?", "none.png")):
        code, _, complained = await run(site, token, *wrong)
        assert code == 2 and "none" in complained and "Errno" not in complained
    code, _, complained = await run(site, "", "draw", "a house")
    assert code == 2 and "ATELIER_TOKEN" in complained


async def test_an_agent_speaks_over_standard_input(site: Site) -> None:
    token = (await site.program()).cookie or ""
    begin = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}
    heard = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    lines = b"".join(json.dumps(one).encode() + b"\n" for one in (begin, heard))
    code, said, _ = await run(site, token, "mcp", send=lines)
    answers = [json.loads(line) for line in said.splitlines()]
    assert code == 0 and [one["id"] for one in answers] == [1]
    assert answers[0]["result"]["serverInfo"]["name"] == "atelier"
    _, said, _ = await run(site, "atelier_nonsense", "mcp", send=json.dumps(begin).encode() + b"\n")
    assert "isn't known here" in json.loads(said)["error"]["message"]


async def test_the_protocols_own_client_starts_the_command(site: Site) -> None:
    mcp = pytest.importorskip("mcp")
    token = (await site.program()).cookie or ""
    environ = {"ATELIER_TOKEN": token, "ATELIER_HOST": site.web.url, "PYTHONPATH": str(ROOT)}
    server = mcp.StdioServerParameters(command=sys.executable, args=["-m", "host.cli", "mcp"], env=environ)
    heard: list[float] = []

    async def hear(progress: float, total: float | None, text: str | None) -> None:
        heard.append(progress)

    async with mcp.Client(mcp.client.stdio.stdio_client(server)) as client:
        assert "draw" in [tool.name for tool in (await client.list_tools()).tools]
        drawn = await client.call_tool("draw", {"prompt": "a red house"}, progress_callback=hear)
        assert not drawn.is_error and drawn.content[1].type == "image" and heard

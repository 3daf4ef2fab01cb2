"""The door for agents, by the Model Context Protocol's own client."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from studio.programs import Scope
from tests.jobs.hand_executor import HandExecutor
from tests.studio.conftest import png
from tests.studio.talker import Talker
from tests.web.conftest import Program, Site, open_site
from tests.web.teacher import Teacher
from tests.web.test_projects import part, project, trained
from vision.protocol import Stopped
from web import dispatch
from web.handlers.mcp import LEGACY, MODERN
from web.handlers.mcp_tools import TOOLS

OWN = "io.modelcontextprotocol/"


class EXECUTOR(Talker):
    """Draws, and answers; what a prompt calls slow takes until it is stopped. ``slow``: what is begun."""

    def __init__(self) -> None:
        super().__init__()
        self.slow: asyncio.Queue[str] = asyncio.Queue()

    async def run(self, device: str, run: Any, report: Any) -> Any:
        if "slow" not in str(run.request):
            return await super().run(device, run, report)
        self.slow.put_nowait(run.job_id)
        return await HandExecutor.run(self, device, run, report)

    def cancel(self, job_id: str) -> None:
        self.end(Stopped(job_id))


def slow_ones(site: Site) -> EXECUTOR:
    found = site.opened.services.queue.executor
    assert isinstance(found, EXECUTOR)
    return found


def message(method: str, number: Any = 1, **params: Any) -> dict[str, Any]:
    about = {f"{OWN}protocolVersion": MODERN, f"{OWN}clientCapabilities": {}}
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, "_meta": about}}


def headers(method: str, name: str | None = None) -> dict[str, str | None]:
    sent: dict[str, str | None] = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
    return {**sent, "Mcp-Name": name} if name else sent


async def called(program: Program, name: str, **arguments: Any) -> Any:
    """What a call of a tool comes to."""
    sent = message("tools/call", name=name, arguments=arguments)
    answer = await program.post("/mcp", sent, headers=headers("tools/call", name))
    assert answer.status == 200, answer.body
    if answer.headers["Content-Type"].startswith("application/json"):
        return answer.data["result"]
    return json.loads(answer.body.decode().split("data: ")[-1])["result"]


def told(result: Any) -> Any:
    assert not result["isError"], result
    return json.loads(result["content"][0]["text"])


async def test_an_agent_takes_twelve_steps_by_the_protocols_own_client(site: Site) -> None:
    mcp = pytest.importorskip("mcp")
    httpx2 = pytest.importorskip("httpx2")
    streamable_http = pytest.importorskip("mcp.client.streamable_http")
    program = await site.program()
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {program.cookie}"}, timeout=30)
    steps, heard = list[str](), list[float]()

    async def hear(progress: float, total: float | None, text: str | None) -> None:
        heard.append(progress)

    async def call(name: str, **arguments: Any) -> Any:
        result = await client.call_tool(name, arguments, progress_callback=hear)
        assert not result.is_error, (name, result.content)
        steps.append(name)
        return json.loads(result.content[0].text), result.content

    transport = streamable_http.streamable_http_client(f"{site.web.url}/mcp", http_client=http)
    async with http, mcp.Client(transport) as client:
        steps.append("connect")
        listed = await client.list_tools()
        assert [tool.name for tool in listed.tools] == list(TOOLS)
        steps.append("list")
        drawn, content = await call("draw", prompt="a red house")
        assert heard and heard == sorted(set(heard))
        assert [part.type for part in content[1:3]] == ["image", "resource_link"]
        name, link = drawn["pictures"][0]["name"], drawn["pictures"][0]["link"]
        original = await program.get(link.removeprefix(site.web.url))
        assert (original.status, original.headers["Content-Type"]) == (200, "image/png")
        await call("edit", picture=name, prompt="make it blue")
        await call("animate", picture=name, prompt="snow falls")
        await call("enlarge", picture=link, factor=2)
        await call("cut_out", picture="data:image/png;base64," + base64.b64encode(png(64, 64)).decode())
        answered, _ = await call("ask", question="What is it?", pictures=[name])
        assert answered["answer"]
        await call("read_text", picture=name)
        found, _ = await call("search", words="house")
        assert name in str(found)
        looked, _ = await call("job", job=drawn["id"])
        assert looked["status"] == "delivered" and looked["pictures"] == drawn["pictures"]
        refused = await client.call_tool("inspect", {"project": "nothing", "pictures": [name]})
        assert refused.is_error and "no such project" in refused.content[0].text
        steps.append("inspect")
    assert len(steps) == 12


async def test_a_tool_whose_scope_is_missing_is_neither_listed_nor_called(site: Site) -> None:
    for scope in Scope:
        program = await site.program(*{Scope.LOOK, scope})
        listed = await program.post("/mcp", message("tools/list"), headers=headers("tools/list"))
        names = {tool["name"] for tool in listed.data["result"]["tools"]}
        assert names == {name for name, tool in TOOLS.items() if tool.scope in (Scope.LOOK, scope)}
        for name in TOOLS.keys() - names:
            result = await called(program, name)
            assert result["isError"] and "lacks the scope" in result["content"][0]["text"]
    assert (await (await site.program("draw")).post("/mcp", message("tools/list"))).status == 403


async def test_who_leaves_a_call_that_is_kept_alive_stops_its_job(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "QUIET", 0.1)
    program, executor = await site.program(), slow_ones(site)
    sent = {"Authorization": f"Bearer {program.cookie}", **headers("tools/call", "draw")}
    body = message("tools/call", name="draw", arguments={"prompt": "a slow house"})
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{site.web.url}/mcp", json=body, headers=sent) as answer:
            assert (await answer.content.readline()).startswith(b":")
            job = await executor.slow.get()
            while await answer.content.readline() != b":\n":
                pass
    await asyncio.wait_for(site.finished(job), 20)
    assert (await site.you.get(f"/api/jobs/{job}")).data["status"] == "cancelled"


async def test_who_leaves_before_the_first_byte_stops_the_job_too(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, executor = await site.program(), slow_ones(site)
    submit, queued, answer = site.opened.studio.submit, asyncio.Event(), asyncio.Event()

    async def slowly(*arguments: Any, **more: Any) -> Any:
        found = await submit(*arguments, **more)
        queued.set()
        await answer.wait()
        return found

    monkeypatch.setattr(type(site.opened.studio), "submit", lambda _self, *a, **k: slowly(*a, **k))
    body = message("tools/call", name="draw", arguments={"prompt": "a slow house"})
    calling = asyncio.create_task(program.post("/mcp", body, headers=headers("tools/call", "draw")))
    await queued.wait()
    calling.cancel()
    job = await executor.slow.get()
    answer.set()
    await asyncio.wait_for(site.finished(job), 20)
    assert (await site.you.get(f"/api/jobs/{job}")).data["status"] == "cancelled"


async def test_a_client_of_an_earlier_revision_begins_calls_and_stops_by_a_message(site: Site) -> None:
    program, executor = await site.program(), slow_ones(site)
    begun = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": LEGACY[1]}}
    first = (await program.post("/mcp", begun)).data["result"]
    assert first["protocolVersion"] == LEGACY[1] and first["serverInfo"]["name"] == "atelier"
    heard = await program.post("/mcp", {"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert (heard.status, heard.body) == (202, b"")
    params = {"name": "draw", "arguments": {"prompt": "a slow house"}}
    sent = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
    calling = asyncio.create_task(program.post("/mcp", sent))
    await executor.slow.get()
    for number in (8, 7):
        stop = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}
        assert (await program.post("/mcp", stop)).status == 202
    assert "The job was stopped." in (await asyncio.wait_for(calling, 20)).body.decode()


async def test_a_job_can_be_left_and_looked_at_later(site: Site) -> None:
    program = await site.program()
    queued = told(await called(program, "draw", prompt="a house", wait=False))
    await site.finished(queued["id"])
    result = await called(program, "job", job=queued["id"])
    assert told(result)["status"] == "delivered"
    other = await site.program(who=await site.person(7))
    hidden, missing = [await called(other, "job", job=one) for one in (queued["id"], "abcd2345efgh")]
    assert hidden["isError"] and hidden["content"] == missing["content"]


async def test_an_agent_inspects_parts(tmp_path: Path) -> None:
    async with open_site(tmp_path, Teacher()) as site:
        await trained(site, await project(site))
        sent = [
            "data:image/png;base64," + base64.b64encode(part(3, bad=bad)).decode() for bad in (True, False)
        ]
        found = told(await called(await site.program(), "inspect", project="boards", pictures=sent))
        assert [one["strange"] for one in found["verdicts"]] == [True, False]
        assert all(one["sentence"] for one in found["verdicts"])


async def test_what_no_tool_takes_is_told_to_the_agent(site: Site) -> None:
    program = await site.program()
    for name, arguments, said in (
        ("draw", {}, "`prompt` is missing."),
        (
            "draw",
            {"prompt": "a house", "image": "x"},
            "`image` isn't taken; these are: prompt, pictures, wait.",
        ),
        ("enlarge", {"picture": "abcd2345efgh/1", "factor": 3}, "`factor` takes 2, 4."),
        ("enlarge", {"picture": "http://169.254.169.254/x"}, "link to one of this studio's"),
        ("draw", {"prompt": "a house --model nonsense"}, "nonsense"),
        ("draw", {"prompt": "a {red, blue} house"}, "several jobs"),
    ):
        result = await called(program, name, **arguments)
        assert result["isError"] and said in result["content"][0]["text"], (name, result)


@pytest.mark.parametrize(
    ("sent", "more", "status", "code"),
    [
        ({"jsonrpc": "1.0"}, {}, 400, -32600),
        ({"jsonrpc": "2.0", "id": None, "method": "ping"}, {}, 400, -32600),
        (message("nonsense"), headers("nonsense"), 404, -32601),
        (message("tools/list"), headers("tools/call"), 400, -32020),
        (message("tools/call", name="draw"), headers("tools/call", "edit"), 400, -32020),
        (message("tools/call", name="nonsense"), headers("tools/call", "nonsense"), 200, -32602),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers("ping"), 400, -32602),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"MCP-Protocol-Version": "1900-01-01"}, 400, -32022),
        ({"jsonrpc": "2.0", "id": 1, "method": "nonsense"}, {}, 200, -32601),
    ],
)
async def test_a_wrong_message_has_its_code(
    site: Site, sent: Any, more: dict[str, str | None], status: int, code: int
) -> None:
    answer = await (await site.program()).post("/mcp", sent, headers=more)
    assert (answer.status, answer.data["error"]["code"]) == (status, code)


async def test_another_sites_page_is_refused_and_nothing_but_post_is_taken(site: Site) -> None:
    program = await site.program()
    foreign = {**headers("tools/list"), "Origin": "http://evil.example"}
    assert (await program.post("/mcp", message("tools/list"), headers=foreign)).status == 403
    got = await program.get("/mcp")
    assert (got.status, got.headers["Allow"]) == (405, "POST")
    nobody = Program(site.http, site.web.url, "atelier_nonsense")
    refused = await nobody.post("/mcp", message("tools/list"))
    assert refused.status == 401 and refused.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_call_that_the_protocols_own_client_gives_up_stops_its_job(site: Site) -> None:
    mcp = pytest.importorskip("mcp")
    httpx2 = pytest.importorskip("httpx2")
    streamable_http = pytest.importorskip("mcp.client.streamable_http")
    program, executor = await site.program(), slow_ones(site)
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {program.cookie}"}, timeout=30)
    transport = streamable_http.streamable_http_client(f"{site.web.url}/mcp", http_client=http)
    async with http, mcp.Client(transport) as client:
        calling = asyncio.create_task(client.call_tool("draw", {"prompt": "a slow house"}))
        job = await executor.slow.get()
        calling.cancel()
        await asyncio.wait_for(site.finished(job), 20)
    assert (await site.you.get(f"/api/jobs/{job}")).data["status"] == "cancelled"

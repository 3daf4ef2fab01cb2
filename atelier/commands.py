"""The commands that use a studio on another machine, by a token: draw, ask, inspect; and mcp, which hands an
agent's messages on to the studio's ``/mcp``, a line each way.

https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/stdio
"""

import argparse
import asyncio
import base64
import json
import os
import re
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
from tqdm import tqdm

from atelier.client import PATIENCE, Event, Studio, StudioError

HOST = "http://127.0.0.1:8080"
AT_ONCE = 16  # pictures that a call inspects
NAME = re.compile(r"[a-z2-7]{12}/\d+|https?://\S+|data:image/\S+")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")


def perform(arguments: argparse.Namespace) -> int:
    """Do what is asked for. Return the exit status. The token is read from ATELIER_TOKEN: a command line is
    seen by everybody on a machine."""
    token, host = os.environ.get("ATELIER_TOKEN", ""), arguments.host or os.environ.get("ATELIER_HOST", HOST)
    if not token:
        print("Put a token into ATELIER_TOKEN. Make one in Settings, Programs.", file=sys.stderr)
        return 2
    if arguments.command == "mcp":
        return serve_agent(host, token)
    work = {"draw": draw, "ask": ask, "inspect": inspect}[arguments.command]
    try:
        with Studio(host, token) as studio:
            return work(studio, arguments)
    except StudioError as error:
        print(error, file=sys.stderr)
    except httpx2.HTTPError as error:
        print(f"{host} doesn't answer: {error}", file=sys.stderr)
    except OSError as error:
        print(f"{error.filename or host}: {error.strerror or error}", file=sys.stderr)
    return 1


def draw(studio: Studio, arguments: argparse.Namespace) -> int:
    """Draw, and save each picture."""
    if arguments.output and not arguments.output.parent.is_dir():
        print(f"There is no folder {arguments.output.parent}.", file=sys.stderr)
        return 2
    key = f"atelier draw {time.time_ns()}"  # a call that is sent again after a lost answer draws once
    job = studio.draw(arguments.prompt, key=key)
    with tqdm(total=100, unit="%", leave=False, disable=None, file=sys.stderr) as bar:

        def tell(event: Event) -> None:
            bar.set_description(f"number {event.position} in the queue" if event.position else event.state)
            if event.total:
                bar.update(100 * event.step // event.total - bar.n)

        job = studio.wait(job, tell)
    wanted = arguments.output or Path(f"{job.id}.png")
    for number, picture in enumerate(job.pictures, 1):
        path = wanted if len(job.pictures) == 1 else wanted.with_stem(f"{wanted.stem}-{number}")
        path = path.with_suffix(".mp4") if picture.video else path
        path.write_bytes(studio.read(picture))
        print(path)
    return 0


def ask(studio: Studio, arguments: argparse.Namespace) -> int:
    """Ask, and print the answer as it comes."""
    for one in arguments.pictures:
        if not Path(one).is_file() and not NAME.fullmatch(one):
            print(f"There is no file {one}, and a picture's name is like abcd2345efgh/2.", file=sys.stderr)
            return 2
    pictures = [Path(one) if Path(one).is_file() else one for one in arguments.pictures]
    for words in studio.ask(arguments.question, pictures):
        print(words, end="", flush=True)
    print()
    return 0


def inspect(studio: Studio, arguments: argparse.Namespace) -> int:
    """Inspect each picture of a folder; print a line for each."""
    pictures = sorted(one for one in arguments.folder.iterdir() if one.suffix.lower() in PICTURES)
    if not pictures:
        print(f"{arguments.folder} holds no pictures.", file=sys.stderr)
        return 2
    project_id = studio.projects().get(arguments.project, arguments.project)
    strange = 0
    with tqdm(total=len(pictures), unit="picture", disable=None, file=sys.stderr) as bar:
        for at in range(0, len(pictures), AT_ONCE):
            some = pictures[at : at + AT_ONCE]
            for picture, verdict in zip(some, studio.inspect(project_id, some), strict=True):
                strange += verdict.strange
                tqdm.write(f"{picture.name}\t{verdict.sentence or verdict.label}", file=sys.stdout)
            bar.update(len(some))
    return 1 if strange else 0


VERSION = "io.modelcontextprotocol/protocolVersion"
FAILED = -32603


def serve_agent(host: str, token: str) -> int:
    """Hand messages on until standard input ends. Return the exit status."""
    asyncio.run(_serve(host, token))
    return 0


async def _serve(host: str, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    calls: dict[Any, asyncio.Task[None]] = {}
    async with httpx2.AsyncClient(base_url=host.rstrip("/"), headers=headers, timeout=PATIENCE) as http:
        while line := await asyncio.to_thread(sys.stdin.readline):
            with suppress(ValueError):
                message = json.loads(line)
                if isinstance(message, dict):
                    _hand_on(http, calls, message)
        for task in calls.values():
            task.cancel()
        await asyncio.gather(*calls.values(), return_exceptions=True)


def _hand_on(http: httpx2.AsyncClient, calls: dict[Any, asyncio.Task[None]], message: dict[str, Any]) -> None:
    """Begin a call, or end the one that a message gives up, which HTTP does by closing its stream; a message
    of an earlier revision stops it by itself."""
    params = message.get("params") or {}
    headers = _headers(message)
    if message.get("method") == "notifications/cancelled" and ("closes", params.get("requestId")) in calls:
        calls["closes", params["requestId"]].cancel()
    task = asyncio.create_task(_call(http, message, headers))
    number = ("closes" if headers else "", message.get("id", object()))  # a notification has none
    calls[number] = task
    task.add_done_callback(lambda _done: calls.pop(number, None))


async def _call(http: httpx2.AsyncClient, message: dict[str, Any], headers: dict[str, str]) -> None:
    """Send a message, and write what comes back."""
    failed = ""
    try:
        async with http.stream("POST", "/mcp", json=message, headers=headers) as answer:
            if answer.headers.get("Content-Type", "").startswith("text/event-stream"):
                async for line in answer.aiter_lines():
                    if line.startswith("data: "):
                        print(line.removeprefix("data: "), flush=True)
                return
            told = json.loads(await answer.aread() or b"{}")
            if "jsonrpc" in told:
                print(json.dumps(told), flush=True)
            elif not answer.is_success:
                failed = told.get("detail", f"HTTP {answer.status_code}")
    except (httpx2.HTTPError, ValueError) as error:
        failed = f"The studio at {http.base_url} doesn't answer: {error or type(error).__name__}"
    if failed and "id" in message:
        wrong = {"code": FAILED, "message": failed}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": wrong}), flush=True)


def _headers(message: dict[str, Any]) -> dict[str, str]:
    """Return what of a message HTTP says in its head too."""
    params = message.get("params") or {}
    version = (params.get("_meta") or {}).get(VERSION)
    if version is None:
        return {}
    name = str(params.get("name", ""))
    if not name.isascii() or not name.isprintable() or name != name.strip():
        name = f"=?base64?{base64.b64encode(name.encode()).decode()}?="
    headers = {"MCP-Protocol-Version": str(version), "Mcp-Method": str(message.get("method"))}
    return headers | ({"Mcp-Name": name} if message.get("method") == "tools/call" else {})

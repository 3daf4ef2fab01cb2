"""Twelve steps of the inspector of the Model Context Protocol against a studio that runs:
``HOST=http://127.0.0.1:8080 TOKEN=atelier_… python -m proofs.web.mcp_inspector PROGRAM``, where PROGRAM is
the ``mcp-inspector`` of its package. The token needs look, draw and ask. Ends with 1 when a step fails."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TOOLS = 10


@dataclass(frozen=True)
class Inspector:
    """The program, and what it is to inspect."""

    program: str
    studio: str
    token: str
    era: str = "modern"

    def run(self, method: str, *more: str) -> tuple[int, Any]:
        """Return its status, and what it prints as JSON."""
        about = ("--cli", f"{self.studio}/mcp", "--transport", "http", "--protocol-era", self.era, "--quiet")
        header = ("--header", f"Authorization: Bearer {self.token}", "--method", method)
        done = subprocess.run(
            [self.program, *about, *header, *more], capture_output=True, text=True, timeout=300, check=False
        )
        try:
            return done.returncode, json.loads(done.stdout or "null")
        except ValueError:
            return done.returncode, done.stdout

    def call(self, tool: str, **arguments: Any) -> tuple[bool, Any]:
        """Call a tool; return whether it succeeded, and what its first text says."""
        _code, found = self.run("tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))
        if not isinstance(found, dict):
            return False, found
        text = found["content"][0]["text"]
        return not found.get("isError"), text if found.get("isError") else json.loads(text)


def steps(inspector: Inspector) -> dict[str, Callable[[], bool]]:
    """Every step by its name; true where it went right."""
    drawn: dict[str, Any] = {}

    def draw() -> bool:
        went, found = inspector.call("draw", prompt="a red house in the snow")
        drawn.update(found if went else {})
        return went and len(found["pictures"]) == 4

    def picture() -> str:
        return str(drawn["pictures"][0]["name"])

    def listed(era: str) -> bool:
        code, found = Inspector(inspector.program, inspector.studio, inspector.token, era).run(
            "tools/list", "--strict"
        )
        return code == 0 and len(found["tools"]) == TOOLS

    def refused() -> bool:
        went, said = inspector.call("enlarge", picture=picture(), factor=3)
        return not went and "`factor` takes 2, 4." in said

    def unknown() -> bool:
        stranger = Inspector(inspector.program, inspector.studio, "atelier_nonsense", inspector.era)
        return stranger.run("tools/list", "--stored-auth-only")[0] != 0

    def loaded() -> bool:
        load = ("--load", "--load-requests", "40", "--load-concurrency", "4", "--load-rate", "4")
        code, _found = inspector.run(
            "tools/call", "--tool-name", "job", "--tool-arg", f"job={drawn['id']}", *load
        )
        return code == 0

    return {
        "list the tools by the newest revision, strictly": lambda: listed("modern"),
        "list them by initialize": lambda: listed("legacy"),
        "draw": draw,
        "edit": lambda: inspector.call("edit", picture=picture(), prompt="make it green")[0],
        "enlarge": lambda: inspector.call("enlarge", picture=picture(), factor=2)[0],
        "cut out": lambda: inspector.call("cut_out", picture=picture())[0],
        "ask": lambda: bool(inspector.call("ask", question="What is it?", pictures=[picture()])[1]["answer"]),
        "hear that there is no text": lambda: "no text" in inspector.call("read_text", picture=picture())[1],
        "look at the job": lambda: inspector.call("job", job=drawn["id"])[1]["status"] == "delivered",
        "forty calls, four at a time": loaded,
        "hear what a tool doesn't take": refused,
        "hear that a token isn't known": unknown,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", help="the mcp-inspector of its package")
    inspector, right = Inspector(parser.parse_args().program, os.environ["HOST"], os.environ["TOKEN"]), True
    for name, step in steps(inspector).items():
        try:
            went = step()
        except (KeyError, TypeError, IndexError) as error:
            print(repr(error))
            went = False
        right = right and went
        print("right" if went else "WRONG", name, flush=True)
    return int(not right)


if __name__ == "__main__":
    raise SystemExit(main())

"""Every route by its OpenAPI description: ``python -m proofs.web.fuzz [--requests N] [--programs]`` lets
schemathesis, by a session or a token, send what fits the description and what doesn't, and counts the
answers."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tests.web.conftest import COOKIE, Site, open_site
from web import app, guard

JOBS = 24  # that the addresses name, half of them
LEFT_OUT = ("/sign-out", "/api/session")  # would end the session that all calls come by
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@asynccontextmanager
async def counted(folder: Path) -> AsyncIterator[tuple[Site, Counter[int]]]:
    """A site without limits on calls, and how often it has answered with which status."""
    found: Counter[int] = Counter()
    answer = app.respond

    async def counting(context: Any, route: Any, request: Any) -> Any:
        try:
            given = await answer(context, route, request)
        except asyncio.CancelledError:
            raise
        except BaseException:
            found[500] += 1
            print(f"500: {request.method} {request.raw_path}, {request.content_type}")
            traceback.print_exc()
            raise
        found[given.status] += 1
        return given

    with mock.patch.object(app, "respond", counting), mock.patch.object(guard.Buckets, "take", _free):
        async with open_site(folder) as site:
            yield site, found


def _free(*_: Any) -> None:
    return None


async def document(site: Site, *, programs: bool) -> dict[str, Any]:
    """The site's own description, with ids of jobs that there are. programs: of what they may do."""
    described = (await site.you.get("/api/openapi.json")).data
    ids = [(await site.drawn(site.you, f"a house {number}"))["id"] for number in range(JOBS)]
    known = {
        "type": "string",
        "enum": [
            *ids,
            *(f"gz{number:02}gzgzgzgz".replace("0", "o").replace("1", "l") for number in range(JOBS)),
        ],
    }
    for path in LEFT_OUT:
        described["paths"].pop(path, None)
    for path, operations in list(described["paths"].items()):
        if programs:
            kept = {name: one for name, one in operations.items() if len(one.get("security", ())) > 1}
            described["paths"][path] = operations = kept
        for operation in operations.values():
            for parameter in operation["parameters"]:
                if parameter["name"] == "job":
                    parameter["schema"] = known
    return described


async def fuzz(requests: int, seed: int, *, programs: bool) -> bool:
    """Print what came of ``requests`` calls or more; True when none was answered with 5xx."""
    with tempfile.TemporaryDirectory() as folder:
        async with counted(Path(folder)) as (site, found):
            described = await document(site, programs=programs)
            headers = {"Cookie": f"{COOKIE}={site.you.cookie}", "Origin": site.web.url}
            if programs:
                headers = {"Authorization": f"Bearer {(await site.program()).cookie}"}
            schema = Path(folder) / "openapi.json"
            schema.write_text(json.dumps(described))
            count = sum(len(operations) for operations in described["paths"].values())
            found.clear()
            text = await _run(site, schema, max(1, requests // count), found, requests, seed, headers)
    failed = sum(number for status, number in found.items() if status >= 500)
    total = sum(found.values())
    kinds = ", ".join(f"{number:,} × {status}" for status, number in sorted(found.items()))
    print(f"schemathesis: {total:,} requests to {count} operations, {failed} answers of 5xx ({kinds})")
    if "FAILURES" in text:
        print(text[text.index("FAILURES") :][:6000])
    return not failed and total >= requests and "FAILURES" not in text


async def _run(
    site: Site,
    schema: Path,
    each: int,
    found: Counter[int],
    requests: int,
    first: int,
    headers: dict[str, str],
) -> str:
    """Run schemathesis until there were enough requests; what it says."""
    said = ""
    for seed in range(first, first + 8):
        arguments = (
            *("run", str(schema), "--url", site.web.url, "--checks", CHECKS, "--max-examples", str(each)),
            *(word for name, value in headers.items() for word in ("-H", f"{name}: {value}")),
            *("--phases", "coverage,fuzzing", "--mode", "all", "--seed", str(seed), "--no-color"),
            *("--generation-database", "none", "--suppress-health-check", "all", "--workers", "1"),
        )
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("st"),
            *arguments,
            cwd=schema.parent,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        said += out.decode("utf-8", "replace")
        if sum(found.values()) >= requests or "FAILURES" in said:
            break
    return said


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--programs", action="store_true", help="by a token instead of a session")
    given = parser.parse_args()
    logging.disable()
    return 0 if asyncio.run(fuzz(given.requests, given.seed, programs=given.programs)) else 1


if __name__ == "__main__":
    raise SystemExit(main())

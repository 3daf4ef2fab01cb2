"""Strangers' words as scripts: ``python -m proofs.web.scripts [--every N]`` puts each payload into
every field that a page shows and opens the pages in Chromium, with the policy and without it."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import sqlalchemy as sa

from storage import schema as own_models
from storage.schema import jobs, metadata
from tests.studio.conftest import png
from tests.web.conftest import YOU, Site, open_site
from tests.web.payloads import payloads

AT_ONCE = 10  # jobs whose words are replaced, as many as a page shows
HIT = """() => [window.hit ?? 0,
    document.querySelectorAll('main [onerror], main [onload], main [onfocus]').length]"""
WRITE = """() => {
  const made = document.createElement('img');
  try { made.setAttribute('onerror', 'window.hit=1'); } catch { return null; } // trusted types refuse it
  made.src = '/none.png';
  document.body.append(made);
  return new Promise((done) => setTimeout(done, 300));
}"""


async def taught(site: Site) -> str:
    """Return the id of a project with a picture and a version."""
    made = (await site.you.post("/api/projects", {"name": "boards"})).data
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("files", png(), filename="a.png")
    form.add_field("label", "good")
    answer = await site.you.ask("POST", f"/api{made['href']}/pictures", data=form)
    assert answer.status == 200, answer.body
    now = datetime.now(UTC)
    row = {"project_id": made["id"], "number": 1, "user_id": YOU, "state": "active", "artefact": "a" * 64}
    row |= {"size": 1, "threshold": 0.5, "promise": 0.2, "settings": "{}", "metrics": "{}", "asked_at": now}

    def work(connection: sa.Connection) -> None:
        connection.execute(sa.insert(own_models.versions).values(at=now, **row))

    await site.opened.services.database.write(work)
    return str(made["id"])


def _plant_taught(connection: sa.Connection, text: str) -> None:
    """Write a text into whatever of a project people or models have written."""
    share = {"precision": [1, 2], "recall": [1, 2], "f1": 0.5}
    metrics = json.dumps(
        {"sentence": text, "labels": {text: share}, "unsure": [text], "good_scores": [0.1, 0.2]}
    )
    for table, values in (
        (own_models.projects, {"name": text, "words": text}),
        (own_models.labels, {"name": text, "meaning": text}),
        (own_models.items, {"label": text, "state": "new"}),
        (own_models.versions, {"metrics": metrics}),
    ):
        connection.execute(sa.update(table).values(values))


async def plant(site: Site, ids: Sequence[str], texts: Sequence[str]) -> None:
    """Write one text into every field of a job's row that somebody could have written, and into names."""
    sessions = metadata.tables["sessions"]

    def work(connection: sa.Connection) -> None:
        for job_id, text in zip(ids, texts, strict=True):
            row = connection.execute(sa.select(jobs.c.request).where(jobs.c.id == job_id)).scalar_one()
            request = json.loads(row) | {"prompt": text}
            values = {
                "prompt": text,
                "request": json.dumps(request),
                "error": text,
                "parameters": json.dumps({"model": text, "notes": [text], "sampler": text}),
                "captions": json.dumps([text]),
                "scores": json.dumps([[text, 0.5]]),
            }
            connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(values))
        connection.execute(sa.update(sessions).values(name=texts[0], label=texts[-1]))
        _plant_taught(connection, texts[0])

    await site.opened.services.database.write(work)


def batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), AT_ONCE):
        found = list(texts[start : start + AT_ONCE])
        yield found + [texts[0]] * (AT_ONCE - len(found))


def pages(ids: Sequence[str], project: str) -> list[str]:
    """Every page that shows words of jobs, people or projects."""
    shown = ["/", "/pictures", "/queue", "/sessions", "/settings", "/projects"]
    ends = ("", "/label", "/report?move=stricter", "/try", "/settings")
    return [
        *shown,
        *(f"/projects/{project}{end}" for end in ends),
        *(f"/pictures/{job_id}/1" for job_id in ids),
    ]


async def hits(page: Any, site: Site, paths: Sequence[str]) -> list[str]:
    """Open pages and return those on which a script ran or markup was made."""
    found = []
    for path in paths:
        await page.goto(site.web.url + path, wait_until="load")
        await page.wait_for_timeout(20)
        if await page.evaluate(HIT) != [0, 0]:
            found.append(path)
    return found


async def prove(every: int) -> bool:
    """Print what ran; True when nothing did."""
    from playwright.async_api import async_playwright

    texts, ran, opened = payloads()[::every], list[str](), 0
    path = shutil.which("chromium") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path)
        with tempfile.TemporaryDirectory() as folder:
            async with open_site(Path(folder)) as site:
                ids = [(await site.drawn(site.you))["id"] for _ in range(AT_ONCE)]
                project = await taught(site)
                for bypass in (False, True):
                    context = await browser.new_context(bypass_csp=bypass)
                    page = await context.new_page()
                    await page.goto(f"{site.web.url}/in#a-capability")
                    await page.wait_for_selector("#bar-prompt")
                    for batch in batches(texts):
                        await plant(site, ids, batch)
                        shown = pages(ids, project)
                        ran += [
                            f"{path} {'without' if bypass else 'with'} CSP"
                            for path in await hits(page, site, shown)
                        ]
                        opened += len(shown)
                    seen = await _control(page, site)
                    await context.close()
                    policy = "without CSP" if bypass else "with CSP"
                    print(f"  {policy}: a script that is in the page {'runs' if seen else 'does not run'}")
        await browser.close()
    where = "9 fields, each tenth in 8 of a project too,"
    print(f"scripts: {len(texts)} texts × {where} on {opened:,} pages, {len(ran)} ran {ran[:5] or ''}")
    return not ran


async def _control(page: Any, site: Site) -> bool:
    """Whether a script runs that is really written into a page; the policy alone holds it."""
    await page.goto(site.web.url + "/keys")
    await page.evaluate(WRITE)
    return bool((await page.evaluate(HIT))[0])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1, help="try each n-th text only")
    return 0 if asyncio.run(prove(parser.parse_args().every)) else 1


if __name__ == "__main__":
    raise SystemExit(main())

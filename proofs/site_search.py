"""Twenty tasks, typed into the site's own search in a real Chromium: how many are found within two pages.

``make docs`` first, then ``python -m proofs.site_search``. Exit status 1 where fewer than 19 are.
"""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright

from core.settings import ROOT

SITE = ROOT / "build" / "site"
WITHIN, LEAST = 2, 19  # pages from the top; tasks
TASKS = {  # what is typed → the pages that answer
    "share a folder": ("use/share-and-post",),
    "limit a role": ("host/limits",),
    "move to postgres": ("host/postgresql",),
    "why is it slow": ("host/troubleshooting", "host/faq"),
    "add a lora": ("host/add-models",),
    "slash commands don't show": ("host/troubleshooting",),
    "out of memory": ("host/troubleshooting",),
    "backup restore": ("host/backup",),
    "make a video": ("use/videos",),
    "delete data": ("use/privacy", "explanation/deletion"),
    "which graphics card": ("host/requirements", "host/choose-models"),
    "block a word": ("host/moderation",),
    "find defects": ("use/inspect", "tutorials/first-inspection"),
    "read text in a picture": ("use/read-text",),
    "docker compose": ("host/docker",),
    "workers on another machine": ("host/remote-workers",),
    "negative prompt": ("use/prompts", "reference/parameters"),
    "count objects": ("use/detect-objects", "use/ask"),
    "upgrade to a new version": ("host/upgrade",),
    "train a style": ("use/styles",),
}
# Addresses of what the search shows, also within shadow roots; only its own carry the words that were typed.
LINKS = """() => {
  const found = [];
  const look = (root) => root.querySelectorAll('*').forEach((one) => {
    if (one.tagName === 'A' && one.href) found.push(one.href);
    if (one.shadowRoot) look(one.shadowRoot);
  });
  look(document);
  return found.filter((href) => new URL(href).searchParams.has('h'));
}"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def found(page: Page, words: str) -> list[str]:
    """Return the pages that the search shows for some words, the best first."""
    page.keyboard.press("Control+a")
    page.keyboard.type(words)
    page.wait_for_timeout(800)  # the search has no event that it is done
    return list(dict.fromkeys(urlsplit(href).path.strip("/") for href in page.evaluate(LINKS)))


def searches(port: int) -> Iterator[tuple[str, list[str]]]:
    """Yield each task with the pages that are found."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/", wait_until="networkidle")
        page.wait_for_timeout(800)
        page.keyboard.press("Control+k")
        page.wait_for_timeout(800)
        for words in TASKS:
            yield words, found(page, words)
        browser.close()


def main() -> int:
    """Print what is found; return the exit status."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    count = 0
    for words, pages in searches(server.server_address[1]):
        good = bool({*pages[:WITHIN]} & {*TASKS[words]})
        count += good
        print(f"{'found' if good else 'LOST '} · {words} · {', '.join(pages[:4]) or 'nothing'}")
    print(f"{count} of {len(TASKS)}")
    return int(count < LEAST)


if __name__ == "__main__":
    sys.exit(main())

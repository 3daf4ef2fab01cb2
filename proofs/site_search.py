"""What people looked for who had never seen the site, typed into its search in a real Chromium: how many are
found within two pages.

``make docs`` first, then ``python -m proofs.site_search``. Exit status 1 where fewer than LEAST are.
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
WITHIN, LEAST = 2, 41  # pages from the top; tasks
TASKS = {  # what was typed → the pages that answer
    "share a folder with somebody without account": ("use/share-and-post", "use/questions"),
    "limit jobs per role": ("host/limits",),
    "sqlite to postgres": ("host/postgresql",),
    "pictures are slow": ("host/troubleshooting", "host/faq"),
    "add lora": ("host/add-models",),
    "slash commands don't show": ("host/troubleshooting",),
    "wide picture banner": ("use/prompts", "use/questions"),
    "delete my data": ("use/privacy", "use/questions"),
    "restore backup": ("host/backup",),
    "gpu on another computer": ("host/remote-workers", "host/faq"),
    "no nudity strict": ("host/moderation",),
    "cuda out of memory": ("host/troubleshooting",),
    "transparent background": ("use/vary-and-upscale", "use/questions"),
    "longer video": ("use/videos", "use/questions"),
    "find scratches": ("use/questions", "use/inspect", "tutorials/first-inspection"),
    "https from another computer": ("host/web-studio", "host/faq"),
    "update": ("host/upgrade",),
    "api script example": ("reference/http-api", "reference/http-api/a-first-call"),
    "train my style": ("use/styles",),
    "paint over part of a picture": ("use/editor",),
    "write a good prompt": ("use/prompts",),
    "download all my pictures": ("use/privacy", "use/find-and-organise", "use/questions"),
    "same picture again seed": (
        "use/questions",
        "use/prompts",
    ),
    "cancel job": ("use/questions", "reference/commands"),
    "ban a user": ("host/moderation",),
    "only one channel": ("host/moderation", "host/discord-app"),
    "who made this picture": ("host/moderation", "use/questions", "host/faq"),
    "how much vram": ("host/requirements",),
    "disk full": ("host/troubleshooting",),
    "share folder without account": ("use/share-and-post", "use/questions"),
    "pictures slow": ("host/troubleshooting", "use/questions"),
    "add lora file": ("host/add-models",),
    "slash commands not showing": ("host/troubleshooting",),
    "gpu on second computer": ("host/remote-workers", "host/faq"),
    "nsfw block server": ("host/moderation",),
    "detect scratches": ("use/inspect", "use/questions"),
    "api generate image": ("reference/http-api",),
    "inpaint": ("use/editor", "use/questions"),
    "upscale for print": ("use/vary-and-upscale", "use/questions"),
    "same character": ("use/questions", "use/prompts"),
    "start at boot": ("host/install",),
    "reset password": ("use/questions", "host/faq"),
    "forgot password": ("host/web-studio", "use/questions", "host/faq"),
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

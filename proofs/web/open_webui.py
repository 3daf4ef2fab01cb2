"""Twelve steps of Open WebUI, unchanged, that draws by a studio that runs: ``HOST=http://127.0.0.1:8080
TOKEN=atelier_… python -m proofs.web.open_webui PROGRAM``, where PROGRAM is the ``open-webui`` of its package.

An operator enters the studio in the image settings; a person then draws, edits and asks. The token needs the
scopes look, draw and ask. Ends with status 1 when a step fails."""

from __future__ import annotations

import argparse
import base64
import io
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image

STARTS = 300.0  # seconds until it answers, at most
PROMPT = "a red house in the snow"
GREEN, BOTH = "make it green", "put the house of 2 next to the house"
ANSWERS = "atelier-ask"


@contextmanager
def served(program: str, studio: str, token: str) -> Iterator[httpx2.Client]:
    """Run Open WebUI with the studio as its only API; yield a client that is signed in as its operator."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        own = {
            "DATA_DIR": folder,
            "WEBUI_SECRET_KEY": secrets.token_hex(16),
            "WEBUI_AUTH": "False",
            "ENABLE_OLLAMA_API": "False",
            "OPENAI_API_BASE_URL": f"{studio}/v1",
            "OPENAI_API_KEY": token,
            "RAG_EMBEDDING_ENGINE": "openai",  # else it fetches a model first
            "HF_HUB_OFFLINE": "1",
            "ENABLE_LOCAL_WEB_FETCH": "True",  # the studio's links are of this machine
            "ENABLE_FORWARD_USER_INFO_HEADERS": "True",
        }
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, "serve", "--host", "127.0.0.1", "--port", str(port)],
                cwd=folder,
                env={**os.environ, **own},
                stdout=log,
                stderr=log,
            )
            try:
                with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=300) as client:
                    _until_it_answers(client)
                    signed = client.post("/api/v1/auths/signin", json={"email": "", "password": ""}).json()
                    client.headers["Authorization"] = f"Bearer {signed['token']}"
                    yield client
            finally:
                process.terminate()
                process.wait()


def _until_it_answers(client: httpx2.Client) -> None:
    last = time.monotonic() + STARTS
    while time.monotonic() < last:
        try:
            if client.get("/health").is_success:
                return
        except httpx2.TransportError:
            time.sleep(1)
    raise TimeoutError("Open WebUI has not started.")


class Steps:
    """What a person and an operator of Open WebUI do, one after the other."""

    def __init__(self, client: httpx2.Client, studio: str, token: str) -> None:
        self.client, self.studio, self.token = client, studio, token
        self.made = list[str]()

    def settings(self, **changed: Any) -> bool:
        """Save the image settings of an operator."""
        now = self.client.get("/api/v1/images/config").json()
        ours = {"API_BASE_URL": f"{self.studio}/v1", "API_KEY": self.token}
        now |= {f"IMAGES_OPENAI_{name}": value for name, value in ours.items()}
        now |= {f"IMAGES_EDIT_OPENAI_{name}": value for name, value in ours.items()}
        now |= {"ENABLE_IMAGE_GENERATION": True, "IMAGE_GENERATION_ENGINE": "openai"}
        now |= {"ENABLE_IMAGE_EDIT": True, "IMAGE_EDIT_ENGINE": "openai", **changed}
        return self.client.post("/api/v1/images/config/update", json=now).is_success

    def draw(self, **more: Any) -> list[Image.Image]:
        """Draw; what comes back is opened."""
        return self._opened("/api/v1/images/generations", {"prompt": PROMPT, **more})

    def edit(self, prompt: str, given: str | list[str], **more: Any) -> list[Image.Image]:
        """Edit one or several of the pictures that were drawn."""
        return self._opened("/api/v1/images/edit", {"prompt": prompt, "image": given, **more})

    def _opened(self, path: str, body: dict[str, Any]) -> list[Image.Image]:
        answer = self.client.post(path, json=body)
        if not answer.is_success:
            raise ValueError(answer.text)
        urls = [one["url"] for one in answer.json()]
        self.made += urls
        return [Image.open(io.BytesIO(self.client.get(url).content)) for url in urls]

    def ask(self, *, stream: bool) -> str:
        """Ask about the first picture in a chat."""
        picture = {"type": "image_url", "image_url": {"url": self._data()}}
        content = [{"type": "text", "text": "What is it?"}, picture]
        body = {"model": ANSWERS, "stream": stream, "messages": [{"role": "user", "content": content}]}
        return self.client.post("/api/chat/completions", json=body).text

    def _data(self) -> str:
        return "data:image/png;base64," + base64.b64encode(self.client.get(self.made[0]).content).decode()

    def models(self) -> set[str]:
        """The models that a chat can choose."""
        return {one["id"] for one in self.client.get("/api/models").json()["data"]}

    def named(self, model: str) -> bool:
        """Choose an image model, as an operator does."""
        return self.settings(IMAGE_GENERATION_MODEL=model)

    def refusal(self) -> str:
        """What is said of a model that there isn't."""
        answer = self.client.post("/api/v1/images/generations", json={"prompt": PROMPT})
        return answer.text if answer.status_code == 400 else ""

    def all(self) -> dict[str, Callable[[], Any]]:
        """Every step by its name; true where it went right."""
        return {
            "enter the studio in the image settings": self.settings,
            "list its models in the chat": lambda: ANSWERS in self.models(),
            "draw one by the usual settings": lambda: [one.format for one in self.draw()] == ["PNG"],
            "draw two": lambda: len(self.draw(n=2)) == 2,
            "draw a wide one": lambda: abs(_shape(self.draw(size="1536x1024")) - 1.5) < 0.1,
            "draw as gpt-image": lambda: self.named("gpt-image-1.5") and self.draw(),
            "draw by links": lambda: (
                self.settings(IMAGES_OPENAI_API_PARAMS={"response_format": "url"}) and self.draw()
            ),
            "edit one": lambda: len(self.edit(GREEN, self.made[0])) == 1,
            "edit two at once": lambda: len(self.edit(BOTH, self.made[:2])) == 1,
            "edit one and cut it out": lambda: (
                self.edit(GREEN, self.made[0], background="transparent")[0].mode == "RGBA"
            ),
            "ask about a picture, and see the answer come": lambda: (
                "choices" in self.ask(stream=False) and "[DONE]" in self.ask(stream=True)
            ),
            "hear of a model that there isn't": lambda: self.named("none") and self.refusal(),
        }


def _shape(pictures: list[Image.Image]) -> float:
    return pictures[0].width / pictures[0].height


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", help="the open-webui of its package")
    given, studio, token, right = parser.parse_args(), os.environ["HOST"], os.environ["TOKEN"], True
    with served(given.program, studio, token) as client:
        for name, step in Steps(client, studio, token).all().items():
            try:
                went = bool(step())
            except (ValueError, LookupError, OSError, httpx2.HTTPError) as error:
                print(repr(error)[:500], file=sys.stderr)
                went = False
            right = right and went
            print("right" if went else "WRONG", name, flush=True)
    return int(not right)


if __name__ == "__main__":
    raise SystemExit(main())

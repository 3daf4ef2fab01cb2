"""What Open WebUI 0.12 and LibreChat send when somebody draws there, by their sources."""

import base64
import io
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from PIL import Image

from tests.studio.conftest import png
from tests.studio.talker import Talker
from tests.web.conftest import Program, Site

EXECUTOR = Talker
ABOUT_USER: dict[str, str | None] = {"X-OpenWebUI-User-Name": "Ada", "X-OpenWebUI-User-Role": "admin"}
OPEN_WEBUI = {"model": "dall-e-2", "prompt": "a red house", "n": 1, "size": "512x512"}
LIBRECHAT = {"model": "gpt-image-1", "prompt": "a red house", "n": 1, "background": "auto"}
LIBRECHAT |= {"output_format": "png", "quality": "auto", "size": "auto"}
DALLE = {
    "model": "dall-e-3",
    "quality": "standard",
    "style": "vivid",
    "size": "1792x1024",
    "prompt": "a boat",
}


@pytest.fixture
async def program(site: Site) -> Program:
    return await site.program("look", "draw", "ask")


async def opened(program: Program, answer: Any) -> list[Image.Image]:
    """The pictures of an answer, read as both programs read them."""
    found = []
    assert answer.status == 200, answer.body
    for one in answer.data["data"]:
        if "url" in one:  # Open WebUI fetches links of the studio with its token
            shown = await program.get(one["url"].removeprefix(program.url))
            assert shown.headers["Content-Type"].startswith("image/")
            data = shown.body
        else:
            data = base64.b64decode(one["b64_json"])
        found.append(Image.open(io.BytesIO(data)))
    return found


@pytest.mark.parametrize(
    ("sent", "count"),
    [
        ({**OPEN_WEBUI, "response_format": "b64_json"}, 1),
        ({**OPEN_WEBUI, "response_format": "url", "n": 2, "size": "1536x1024"}, 2),
        ({**OPEN_WEBUI, "model": "gpt-image-1.5", "size": "auto"}, 1),
        (LIBRECHAT, 1),
        ({**LIBRECHAT, "n": 3, "quality": "high"}, 3),
        ({**DALLE, "n": 1}, 1),
    ],
)
async def test_they_draw(program: Program, sent: dict[str, Any], count: int) -> None:
    answer = await program.post("/v1/images/generations", sent, headers=ABOUT_USER)
    assert [one.format for one in await opened(program, answer)] == ["PNG"] * count


async def test_a_dall_e_answers_by_links_unless_it_is_told_otherwise(program: Program) -> None:
    for more, key in (({}, "url"), ({"response_format": "b64_json"}, "b64_json")):
        answer = await program.post("/v1/images/generations", {**DALLE, **more})
        assert list(answer.data["data"][0]) == [key]


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 1000):
        yield data[at : at + 1000]


@pytest.mark.parametrize(
    ("fields", "name", "count"),
    [
        ({"model": "", "prompt": "make it green", "response_format": "b64_json"}, "image", 1),
        ({"model": "gpt-image-1", "prompt": "make it green", "n": "2", "size": "512x512"}, "image[]", 1),
        (
            {"model": "gpt-image-1", "prompt": "put 2 into it", "quality": "auto", "size": "auto"},
            "image[]",
            2,
        ),
    ],
)
async def test_they_edit(program: Program, fields: dict[str, str], name: str, count: int) -> None:
    form = aiohttp.FormData(fields)
    for number in range(count):
        more = {"filename": f"{number}.png", "content_type": "image/png"}
        picture = png(64, 64)
        form.add_field(name, chunks(picture) if name == "image[]" else picture, **more)  # LibreChat streams
    answer = await program.ask("POST", "/v1/images/edits", ABOUT_USER, data=form)
    assert len(await opened(program, answer)) == int(fields.get("n", 1))

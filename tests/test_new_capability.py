"""A new thing to ask for is one file in each folder and one line in each of two tuples: tried with toys in a
copy of the program, one for each kind of answer: pictures, captions, weights of words, labels."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.settings import ROOT

COPIED = (
    "core",
    "storage",
    "vision",
    "jobs",
    "studio",
    "bot",
    "host",
    "tools",
    "proofs",
    "tests",
    "web/static/drawn",
    "pyproject.toml",
)

MIRROR = {
    "core/requests/mirror.py": '''"""The request of the toy."""

from dataclasses import dataclass
from typing import ClassVar

from core.prompt.values import Picture
from core.prompt.parameters import param
from core.requests.images import GenerateRequest


@dataclass(frozen=True, kw_only=True)
class MirrorRequest(GenerateRequest):
    """Draw ``prompt`` as it is seen in ``glass``, with ``motto`` on the frame."""

    kind: ClassVar[str] = "mirror"
    called: ClassVar[str] = "Mirror"
    glass: str | None = param(None, value=Picture(), moderated=False)
    motto: str = ""
''',
    "vision/capabilities/mirror.py": '''"""The toy in the worker."""

from core.events import Output


def run(request, images, models, reporter):
    """See vision.capabilities."""
    reporter.step(1, 1)
    return Output(parameters={"prompt": request.prompt[::-1], "size": images[request.glass].size})
''',
    "bot/cogs/mirror.py": '''"""/mirror: the toy in Discord."""

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from bot.discord_api.interactions import actor_of
from core.requests.mirror import MirrorRequest
from studio.new_job import NewJob


class Mirror(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="A picture, turned around")
    async def mirror(
        self, interaction: discord.Interaction, prompt: str, glass: discord.Attachment, motto: str = ""
    ) -> None:
        async def build() -> NewJob:
            source = await self.bot.asking.picture(actor_of(interaction), glass, None)
            return NewJob(MirrorRequest(prompt=prompt, glass=source.sha256, motto=motto, num_images=1))

        await self.bot.answers.ask(interaction, build)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Mirror(bot))
''',
    "tests/bot/test_mirror.py": '''"""The toy in Discord, in the worker, and before those who guard."""

from PIL import Image

from core.requests import from_json, to_json
from core.requests.mirror import MirrorRequest
from studio.moderation.rules import texts_of
from tests.bot.conftest import Studio, open_studio
from vision.capabilities import capability
from vision.reporter import Reporter

GLASS = "a" * 64
REQUEST = MirrorRequest(prompt="abc", motto="know thyself", glass=GLASS)


async def test_a_member_asks_and_gets_a_picture_and_can_delete_it_all(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "mirror", prompt="a red house", glass=picture)
    job, _ = await studio.built.queue.job_of_message(studio.last().id)
    assert isinstance(job.request, MirrorRequest) and studio.last().attachments
    assert studio.built.files.exists(job.request.glass)
    await studio.built.privacy.delete(studio.alice.id)
    assert (await studio.built.privacy.holdings(studio.alice.id)).jobs == 0
    assert not studio.built.files.exists(job.request.glass)


async def test_words_of_a_field_that_only_the_toy_has_are_moderated(tmp_path, picture) -> None:
    async with open_studio(tmp_path, MODERATION="standard") as strict:
        words = {"prompt": "a house", "motto": "a nude"}
        result = await strict.alice.slash(strict.channel, "mirror", glass=picture, **words)
        assert "sexual content" in [m.content for m in result.followups if m.ephemeral][-1]
        assert strict.channel.history() == []


def test_guards_see_its_words_and_its_pictures() -> None:
    assert {"abc", "know thyself"} <= set(texts_of(REQUEST)) and GLASS not in texts_of(REQUEST)
    assert REQUEST.pictures == (GLASS,)


def test_it_is_stored_as_json_and_the_worker_finds_it() -> None:
    request = from_json("mirror", to_json(REQUEST))
    assert request == REQUEST
    output = capability("mirror")(request, {GLASS: Image.new("RGB", (3, 2))}, None, Reporter())
    assert output.parameters == {"prompt": "cba", "size": (3, 2)}
''',
}
READING = {  # toys that answer in words or scores
    "riddle": {
        "answer": "CAPTIONS",
        "fields": "    topic: str\n    image: str | None = param(None, value=Picture(), moderated=False)\n",
        "options": "topic: str",
        "made": "RiddleRequest(topic=topic)",
        "asked": {"topic": "a boat"},
        "shown": ("Riddle by ", "a picture, telling number 2"),
    },
    "rhythm": {
        "answer": "WEIGHTS",
        "fields": "    prompt: str\n",
        "options": "prompt: str",
        "made": "RhythmRequest(prompt=prompt)",
        "asked": {"prompt": "a red house by the sea"},
        "shown": ("Rhythm by ", "house", "Press a button"),
    },
    "colours": {
        "answer": "LABELS",
        "fields": "    names: tuple[str, ...] = ()\n",
        "options": "names: str",
        "made": "ColoursRequest(names=tuple(names.split()))",
        "asked": {"names": "red blue"},
        "shown": ("Colours by ", "**house** 50.0%"),
    },
}
REQUEST = '''"""The request of a toy that answers in {answer}."""

from dataclasses import dataclass
from typing import ClassVar

from core.prompt.values import Picture
from core.prompt.parameters import param
from core.requests.base import Answer, Request


@dataclass(frozen=True, kw_only=True)
class {name}Request(Request):
    """Ask for {answer}."""

    kind: ClassVar[str] = "{kind}"
    called: ClassVar[str] = "{name}"
    answer: ClassVar[Answer] = Answer.{answer}
    role: ClassVar[str] = "caption"
{fields}'''
CAPABILITY = '''"""A toy in the worker."""

from core.events import Output


def run(request, images, models, reporter):
    """See vision.capabilities."""
    return Output(captions=("one",), scores=(("one", 1.0),))
'''
COG = '''"""/{kind}: a toy in Discord."""

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from core.requests.{kind} import {name}Request
from studio.new_job import NewJob


class {name}(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Ask for {answer}")
    async def {kind}(self, interaction: discord.Interaction, {options}) -> None:
        async def build() -> NewJob:
            return NewJob({made})

        await self.bot.answers.ask(interaction, build)


async def setup(bot: Atelier) -> None:
    await bot.add_cog({name}(bot))
'''
TEST = '''"""A toy in Discord, and in the order of the queue."""

from jobs.waitlist import cost_key
from tests.bot.conftest import Studio
from tests.support.messages import names_of, text_of


async def test_a_member_is_answered_and_asks_again(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "{kind}", **{asked})
    first = studio.last()
    assert all(words in text_of(first) for words in {shown}), text_of(first)
    job, _ = await studio.built.queue.job_of_message(first.id)
    assert cost_key(job.request) == "{kind}||caption"
    pressed = names_of(first)
    if "Imagine all" in pressed:  # of captions
        await studio.alice.click(first, label="Imagine all")
        assert "telling number" in text_of(studio.last()) and studio.last().attachments
'''
TEMPLATES = {
    "core/requests/{kind}.py": REQUEST,
    "vision/capabilities/{kind}.py": CAPABILITY,
    "bot/cogs/{kind}.py": COG,
    "tests/bot/test_{kind}.py": TEST,
}
NAMES = ("mirror", *READING)
LINES = {  # file → before what, the line of each toy, and the import that it needs
    "core/requests/__init__.py": (
        "REQUESTS: tuple[type[Request], ...] = (\n",
        "    {name}Request,\n",
        "from core.requests.{kind} import {name}Request\n",
    ),
    "bot/cogs/__init__.py": ("EXTENSIONS = (\n", '    "bot.cogs.{kind}",\n', ""),
}


def _reading_toys() -> dict[str, str]:
    """Files of the toys that answer in words or scores."""
    return {
        path.format(kind=kind): text.format(kind=kind, name=kind.title(), **values)
        for kind, values in READING.items()
        for path, text in TEMPLATES.items()
    }


def _copy(to: Path) -> None:
    skipped = shutil.ignore_patterns("__pycache__", "*.png", "*.json", "benchmarks")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=skipped)
        else:
            shutil.copy(ROOT / name, to / name)
    (to / "demo").symlink_to(ROOT / "demo")


def _add(file: Path, before: str, line: str, imported: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1
    text = text.replace(before, before + line)
    if imported:
        anchor = "from core.requests.images import (\n"
        assert text.count(anchor) == 1
        text = text.replace(anchor, imported + anchor)
    file.write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_a_new_capability_is_a_file_in_each_folder_and_a_line_in_two_tuples(tmp_path: Path) -> None:
    _copy(tmp_path)
    for name, text in (MIRROR | _reading_toys()).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for name, (before, *lines) in LINES.items():
        for kind in NAMES:
            line, imported = (text.format(kind=kind, name=kind.title()) for text in lines)
            _add(tmp_path / name, before, line, imported)
    tests = [*(f"tests/bot/test_{kind}.py" for kind in NAMES), "tests/test_structure.py"]
    chosen = " or ".join((*NAMES, "extensions", "capability"))
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, "-k", chosen],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "9 passed" in run.stdout

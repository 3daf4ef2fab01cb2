"""What agents can do here by the Model Context Protocol: each tool with what it takes, the scope that a token
needs for it, and the job that it asks for or what it looks up."""

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from core.errors import ImageError, UserError
from core.requests import ReadRequest
from core.requests.images import MAX_MORE_IMAGES
from studio.new_job import NewJob, Source
from studio.programs import Scope
from studio.requests import actions
from studio.requests.video import Asked, Material
from web.call import Call, Gone
from web.handlers.gallery import find_pictures
from web.handlers.jobs import find_job
from web.handlers.openai_chat import picture_of
from web.handlers.projects import verdicts_of_job

MOST_FOUND, MOST_SHOWN = 20, 8  # pictures of a search; of an answer, as images
SIDE = 512  # px of an image in an answer; its link has all of it
Content = list[dict[str, Any]]
NAME = "A picture's name such as abcd2345efgh/2, a link to it, or data:image/png;base64,…"
Picture = Annotated[str, Meta(min_length=1, description=NAME)]
Words = Annotated[str, Meta(max_length=4000)]


class Asking(Struct, frozen=True, kw_only=True):
    """What a tool takes that asks for a job."""

    wait: Annotated[bool, Meta(description="False: return at once, and ask `job` later")] = True

    async def asks(self, call: Call) -> NewJob:
        """Return the job that is asked for."""
        raise NotImplementedError


class Finding(Struct, frozen=True):
    """What a tool takes that finds something at once."""

    async def finds(self, call: Call) -> Content:
        """Return what is found."""
        raise NotImplementedError


class Draw(Asking, frozen=True):
    """Draw pictures from a prompt. Flags such as --ar 3:2, --draft or --no trees may end it. Pictures that
    come along are the prompt's image prompts."""

    prompt: Words
    pictures: Annotated[list[Picture], Meta(max_length=4)] = []

    async def asks(self, call: Call) -> NewJob:
        """Return the job that is asked for."""
        chosen = await call.studio.own.preferences(call.actor)
        names = [await picture_of(call, one) for one in self.pictures]
        typed = await call.studio.requests.imagine(call.actor, self.prompt, chosen, attached=len(names))
        if typed.count > 1:
            raise UserError("`prompt` makes several jobs; leave out sets in braces and `--repeat`.")
        made = await typed.job_or_question({f"<{number}>": name for number, name in enumerate(names, 1)})
        assert isinstance(made, NewJob)
        return made


class Edit(Asking, frozen=True):
    """Change a picture as words say, and keep the rest. The words may name more pictures as 2, 3 and 4."""

    picture: Picture
    prompt: Annotated[str, Meta(max_length=4000, description="What to change, such as: make the house blue")]
    more: Annotated[list[Picture], Meta(max_length=MAX_MORE_IMAGES)] = []

    async def asks(self, call: Call) -> NewJob:
        """Return the job that is asked for."""
        chosen = await call.studio.own.preferences(call.actor)
        words = await (await call.studio.requests.edit(call.actor, self.prompt, chosen)).words()
        first, *others = [await _source(call, one) for one in (self.picture, *self.more)]
        return await _chosen(call, actions.edit_picture(first, words, others))


class Animate(Asking, frozen=True):
    """Make a short video that begins with a picture. The prompt says what moves."""

    picture: Picture
    prompt: Words = ""
    motion: Literal["low", "high"] = "high"

    async def asks(self, call: Call) -> NewJob:
        """Return the job that is asked for."""
        chosen = await call.studio.own.preferences(call.actor)
        asked = Asked(self.prompt, "new", {"motion": self.motion})
        begins = Material(await picture_of(call, self.picture))
        return await (await call.studio.requests.video(call.actor, asked, begins, chosen)).job()


class Enlarge(Asking, frozen=True):
    """Enlarge a picture two or four times: "subtle" stays close to it, "creative" draws detail anew."""

    picture: Picture
    factor: Literal[2, 4] = 2
    mode: Literal["subtle", "creative"] = "subtle"

    async def asks(self, call: Call) -> NewJob:
        """Return the job that is asked for."""
        source = await _source(call, self.picture)
        return await _chosen(call, actions.upscale(source, self.factor, self.mode))


class CutOut(Asking, frozen=True):
    """Cut the object out of a picture, on a transparent background."""

    picture: Picture

    async def asks(self, call: Call) -> NewJob:
        """Return the job that is asked for."""
        return await _chosen(call, actions.cut_out(await _source(call, self.picture)))


class Ask(Asking, frozen=True):
    """Ask a question about pictures, and get the answer as text."""

    question: Words
    pictures: Annotated[list[Picture], Meta(max_length=8)]

    async def asks(self, call: Call) -> NewJob:
        """Return the job that is asked for."""
        chosen = await call.studio.own.preferences(call.actor)
        pictures = [await picture_of(call, one) for one in self.pictures]
        return await call.studio.requests.ask(call.actor, self.question, pictures, chosen)


class ReadText(Asking, frozen=True):
    """Read the text in a picture, line by line."""

    picture: Picture

    async def asks(self, call: Call) -> NewJob:
        """Return the job that is asked for."""
        one = await _source(call, self.picture)
        new = NewJob(ReadRequest(image=one.sha256), parent=one.parent, private=one.private)
        return await _chosen(call, new)


class Search(Finding, frozen=True):
    """Find pictures that may be seen here by words for what they show; without words, the newest."""

    words: Annotated[str, Meta(max_length=400)] = ""
    limit: Annotated[int, Meta(ge=1, le=MOST_FOUND)] = 8

    async def finds(self, call: Call) -> Content:
        """Return what is found."""
        found = await find_pictures(call, self.limit, q=self.words)
        pictures = [
            {"name": f"{one['job']}/{one['n']}", "prompt": one["prompt"], "made": one["created"]}
            for one in found.pictures
        ]
        shown = [
            part for one in found.pictures[:MOST_SHOWN] for part in await _images(call, one["job"], one["n"])
        ]
        return [_text({"pictures": pictures, "note": found.note}), *shown]


class Inspect(Asking, frozen=True):
    """Let the model of a project judge pictures: is each part as it should be? A heat map shows where not."""

    project: Annotated[str, Meta(max_length=100, description="A project's name or id")]
    pictures: Annotated[list[Picture], Meta(max_length=64)]

    async def asks(self, call: Call) -> NewJob:
        """Return the job that is asked for."""
        pictures = [await picture_of(call, one) for one in self.pictures]
        return await call.studio.inference.try_(call.actor, self.project, pictures)


class JobState(Finding, frozen=True):
    """Look at a job: how far it is, or what it made."""

    job: Annotated[str, Meta(max_length=12, description="A job's id such as abcd2345efgh")]

    async def finds(self, call: Call) -> Content:
        """Return what is found."""
        if not await call.studio.sources.is_seen(call.actor, self.job):
            raise Gone()
        return await describe_result(call, self.job)


@dataclass(frozen=True)
class Tool:
    """A tool. What it takes asks for a job, or finds something at once."""

    name: str
    takes: type[Asking | Finding]
    scope: Scope

    @property
    def shape(self) -> dict[str, Any]:
        """What agents are told of it."""
        _unused, shapes = msgspec.json.schema_components((self.takes,))
        takes = shapes[self.takes.__name__]
        text = " ".join(takes.pop("description").split())
        told = {"name": self.name, "description": text, "inputSchema": takes}
        return told | {
            "annotations": {"readOnlyHint": issubclass(self.takes, Finding), "openWorldHint": False}
        }


async def _source(call: Call, picture: str) -> Source:
    return await call.studio.sources.meant(call.actor, await picture_of(call, picture))


async def _chosen(call: Call, new: NewJob) -> NewJob:
    chosen = await call.studio.own.preferences(call.actor)
    return new.chosen(chosen.lane, private=chosen.private)


TOOLS = {
    tool.name: tool
    for tool in (
        Tool("draw", Draw, Scope.DRAW),
        Tool("edit", Edit, Scope.DRAW),
        Tool("animate", Animate, Scope.DRAW),
        Tool("enlarge", Enlarge, Scope.DRAW),
        Tool("cut_out", CutOut, Scope.DRAW),
        Tool("ask", Ask, Scope.ASK),
        Tool("read_text", ReadText, Scope.DRAW),
        Tool("search", Search, Scope.LOOK),
        Tool("inspect", Inspect, Scope.INSPECT),
        Tool("job", JobState, Scope.LOOK),
    )
}
TOLD = ("id", "name", "prompt", "status", "position", "eta", "error", "answer", "text", "captions", "notes")


async def describe_result(call: Call, job_id: str) -> Content:
    """Return how far a job is, or what it made: in words, as small images, and as links to the whole ones."""
    shape = await find_job(call, job_id)
    told = {name: shape[name] for name in TOLD if shape[name]}
    origin = call.studio.shares.origin
    pictures, images = list[dict[str, Any]](), Content()
    for one in shape["pictures"]:
        name, video = f"{job_id}/{one['n']}", one["video"]
        link = origin + (video["src"] if video else one["original"])
        pictures.append({"name": name, "link": link, "width": one["width"], "height": one["height"]})
        images += await _images(call, job_id, one["n"]) if len(pictures) <= MOST_SHOWN else []
        kind = "video/mp4" if video else "image/png"
        images.append({"type": "resource_link", "uri": link, "name": name, "mimeType": kind})
    if shape["grid"] is not None:
        images += await _images(call, job_id, 0)
    if shape["kind"] == "inspect" and shape["over"]:
        kept = ("strange", "label", "score", "sentence")
        verdicts = await verdicts_of_job(call, job_id)
        told["verdicts"] = [{name: one[name] for name in kept} for one in verdicts]
    return [_text(told | ({"pictures": pictures} if pictures else {})), *images]


async def _images(call: Call, job_id: str, number: int) -> Sequence[dict[str, Any]]:
    """Return a picture as an image, nothing of one that a rule holds back. number: 0 = the job's chart."""
    try:
        shown = await call.studio.gallery.thumbnail(call.actor, job_id, number - 1, SIDE)
    except ImageError:
        return ()
    if shown.data is None:
        return ()
    data = await asyncio.to_thread(base64.b64encode, shown.data)
    return ({"type": "image", "data": data.decode(), "mimeType": shown.media_type},)


def _text(told: Any) -> dict[str, Any]:
    return {"type": "text", "text": json.dumps(told, ensure_ascii=False)}

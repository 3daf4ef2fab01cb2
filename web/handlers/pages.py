"""The pages: HTML that shows what there is at once, until its script takes over."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from core.errors import ImageError, NotAllowedError
from core.job import Job
from core.requests import GenerateRequest
from core.requests.base import Answer as Kind
from core.results import text_of_lines
from jobs.queue import Result
from storage.job_queries import StoredPicture
from studio.library.gallery import Lineage
from studio.new_job import picture_of
from studio.requests.prompts import remix_text
from studio.studio import Studio
from studio.texts import job_name
from web import views
from web.auth import Visitors
from web.call import Answer, Call, Gone, Html, Person, Refused, SeeOther
from web.handlers import gallery, jobs
from web.handlers.collections import folders_for
from web.handlers.shares import share_form
from web.schemas import number_of, way_in

EXAMPLES = 6
CHANNELS = "https://discord.com/channels"
# Of a result's parameters: shown in another way, or to nobody, such as an address inside the host's network
HIDDEN = ("notes", "prompt", "kind", "image", "model", "box", "server")

TABS = {  # pages that every page leads to
    "/": "Create",
    "/pictures": "Pictures",
    "/explore": "Explore",
    "/ask": "Ask",
    "/examples": "Examples",
    "/projects": "Custom models",
    "/folders": "Folders",
    "/documents": "Documents",
    "/queue": "Queue",
    "/trash": "Trash",
    "/shares": "Shares",
    "/settings": "Settings",
    "/sessions": "Sessions",
    "/keys": "Shortcuts",
}


class Frame:
    """What every page has. elsewhere: what else of this studio is open, such as a simulated Discord. policy:
    the address of what the host says of privacy."""

    def __init__(
        self, studio: Studio, visitors: Visitors, elsewhere: Callable[[], str | None], policy: str
    ) -> None:
        self._studio, self._visitors, self._elsewhere, self._policy = studio, visitors, elsewhere, policy

    def around(self, person: Person | None, page: Html) -> dict[str, Any]:
        """Return the values that every page has."""
        others = self._visitors.others(person) if person else []
        address, asks = self._elsewhere(), self._studio.talking.is_possible
        here = page.tab or f"/{page.name.rpartition('/')[2]}"
        return {
            "page": page.name,
            "person": person
            and {
                "name": person.name,
                "id": str(person.user_id),
                "guest": person.name == "guest" and bool(others),
            },
            "nav": [
                {"href": href, "label": label, "current": href == here}
                for href, label in TABS.items()
                if asks or href != "/ask"
            ],
            "policy": self._policy,
            "other": {"name": others[0], "discord": address} if others and address else None,
            "simulated": address is not None,
            "videos": self._studio.video_requests.is_possible,
        }


async def create_page(call: Call) -> Answer:
    """The prompt bar and what became of the newest prompts; a word on signing in for a stranger."""
    if call.person is None:
        return SeeOther(way_in(f"/?{urlencode(call.query)}" if call.query else "/"))
    values = {
        "jobs": await jobs.list_stream(call),
        "prompt": (await _words(call) or call.query.get("prompt", ""))[:4000],
        "hints": list(call.studio.hints.prompts[:EXAMPLES]),
    }
    return Html("create", values, tab="/")


async def pictures_page(call: Call) -> Answer:
    """A page of the person's pictures."""
    page = await gallery.find_pictures(call)
    months = await call.studio.gallery.months(call.actor, call.zone)
    shown = [
        {"month": month, "pictures": count, "href": gallery.page_address(call.query, month=month)}
        for month, count in months
    ]
    return Html("pictures", {**gallery.page_values(call, page), "months": shown})


async def explore_page(call: Call) -> Answer:
    """A page of what channels that the person reads have made."""
    return Html("explore", await gallery.explore_values(call))


async def picture_page(call: Call) -> Answer:
    """One picture with all that is known of it."""
    studio, index = call.studio, number_of(call.path["n"]) - 1
    seen = await studio.gallery.look(call.actor, call.path["job"])
    if index in seen.trashed and seen.job.origin.user_id == call.actor.user_id:
        return SeeOther("/trash")
    if seen.result is None or index in seen.trashed:
        raise Gone()
    stored = picture_of(seen.result, index)
    may = await jobs.allowed_actions(call, seen.job)
    shape = views.describe_job(seen, call.actor.user_id, may=may, **jobs.made_here(call))
    lineage = await studio.gallery.lineage(call.actor, seen.job.id, index)
    asker = None if shape["mine"] else await studio.explore.asker(call.actor, seen.job)
    asked = [{"name": "Asked by", "value": asker}] if asker else []
    message = await studio.explore.message(call.actor, seen.job)  # on Discord, if it shows the job
    values = {
        "job": shape,
        "picture": next(one for one in shape["pictures"] if one["n"] == index + 1),
        "facts": [*asked, *_facts(seen.result, stored), *_video(seen.result, index)],
        "parent": _link(*lineage.parent) if lineage.parent else None,
        "children": [_link(*child) for child in lineage.children if not _is_reading(child[0])],
        "text": await _text(call, lineage),
        "actions": shape["picture_actions"],
        "may": sorted(may),
        "can_edit": "region" in may,
        "can_ask": "question" in may and studio.talking.is_possible,
        "message": message and f"{CHANNELS}/{message.guild_id or '@me'}/{message.channel_id}/{message.id}",
        "folders": await folders_for(call, seen.job),
        "share": share_form(call, job=seen.job.id, n=index + 1) if shape["mine"] else None,
    }
    return Html("picture", values, tab="/pictures" if shape["mine"] else "/explore")


async def queue_page(call: Call) -> Answer:
    """The person's jobs that run or wait, and all of servers that they manage."""
    live = await call.studio.own.jobs(call.actor)
    values = {
        "jobs": jobs.describe_waiting(call, live),
        "total_waiting": live.total_waiting,
        "paused": live.paused,
        "queues": await jobs.describe_queues(call),
    }
    return Html("queue", values)


async def keys_page(call: Call) -> Answer:
    """The shortcuts."""
    return Html("keys", {})


async def components_page(call: Call) -> Answer:
    """Every component of the pages, in light and in dark; only without a Discord token."""
    return Html("components", {})


async def _words(call: Call) -> str:
    """Return the words of the job that the address names in ``from``: its answer, its caption ``n``, or its
    prompt; "" for one that isn't there. An address is too short for long words in any alphabet."""
    if not (name := call.query.get("from")):
        return ""
    try:
        job = await jobs.find_job(call, name)
    except (ImageError, NotAllowedError, Refused):
        return ""
    captions, n = job["captions"], call.query.get("n", "")
    chosen = dict(zip(map(str, range(1, len(captions) + 1)), captions, strict=True))
    return str(chosen.get(n) or job["answer"] or job["prompt"])


def _is_reading(job: Job) -> bool:
    return job.request.answer is Kind.LINES


async def _text(call: Call, lineage: Lineage) -> str:
    """Return the text that was last read in a picture, "" where there is none to be shown."""
    for child, _ in sorted(lineage.children, key=lambda pair: pair[0].created_at, reverse=True):
        if _is_reading(child) and child.status.over:
            result = (await call.studio.gallery.look(call.actor, child.id)).result
            if result is not None and result.lines:
                return text_of_lines(result.lines)
    return ""


def _link(job: Job, index: int) -> dict[str, Any]:
    number = index + 1
    drawn = isinstance(job.request, GenerateRequest)
    return {
        "href": f"/pictures/{job.id}/{number}",
        "thumb": f"/files/{job.id}/{number}/256.webp" if drawn and job.status.over else None,
        "label": remix_text(job) or job_name(job.request),
    }


def _video(result: Result, index: int) -> list[dict[str, str]]:
    """Return what is known of the video whose poster a picture is."""
    video = next((video for video in result.videos if video.index == index), None)
    if video is None:
        return []
    facts = {
        "Length": f"{video.seconds:.2f} s, {video.frames} frames at {video.fps:g} a second",
        "Video": f"{video.size / 2**20:.1f} MB{', with sound' if video.sound else ''}",
    }
    return [{"name": name, "value": value} for name, value in facts.items()]


def _facts(result: Result, stored: StoredPicture) -> list[dict[str, str]]:
    """Return what is known of a picture: names and values for a list."""
    job, used = result.job, result.parameters
    facts = {
        "Prompt": remix_text(job),
        "Made by": job_name(job.request),
        "Model": str(used.get("model", "")),
        "Seed": "" if stored.seed is None else str(stored.seed),
        "Size": f"{stored.width} × {stored.height} px, {stored.size / 1024:.0f} kB",
        "Job": f"{job.id} {stored.index + 1}",
        "Asked": job.created_at.strftime("%d %B %Y, %H:%M UTC"),
        "Speed": job.lane.value,
    }
    others = {
        name.replace("_", " ").capitalize(): str(value)
        for name, value in used.items()
        if name not in HIDDEN and value not in (None, "", [], False)
    }
    return [{"name": name, "value": value} for name, value in (facts | others).items() if value]

"""The pages: HTML that shows what there is at once, until its script takes over."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any
from urllib.parse import urlencode

from core.errors import ImageError, NotAllowedError
from core.job import Job
from core.language import N_, _
from core.requests.base import Answer as Kind
from core.requests.custom_models import STYLE
from jobs.executors.base import is_processor
from jobs.queue import Result
from storage.job_queries import StoredPicture
from studio.new_job import picture_of
from studio.studio import Studio
from studio.texts import job_name
from web import views
from web.auth import Visitors
from web.call import Answer, Call, Gone, Html, Person, Refused, SeeOther
from web.handlers import gallery, jobs, talk
from web.handlers.project_views import describe_card
from web.handlers.shares import share_form
from web.schemas import number_of, way_in

EXAMPLES = 6
SCENES = (  # prompts for models of which nothing else is known
    "a lighthouse on a cliff at dawn, oil painting",
    "a fox asleep in fresh snow, soft light",
    "a small library in a hollow tree, storybook illustration",
    "a bowl of lemons on a blue table, still life",
    "a night market in the rain, neon reflections",
    "a hot-air balloon over green hills, watercolor",
)
CHANNELS = "https://discord.com/channels"
FACTS = {  # of a result's parameters that neither its prompt nor its picture tells
    "num_inference_steps": N_("Steps"),
    "guidance_scale": N_("Guidance"),
    "variety": N_("Variety"),
    "strength": N_("Strength"),
    "sampler": N_("Sampler"),
}

TABS = {  # pages that every page leads to, the first five beside it, the others under More
    "/": N_("Create"),
    "/pictures": N_("Pictures"),
    "/explore": N_("Explore"),
    "/ask": N_("Ask"),
    "/projects": N_("Custom models"),
    "/wall": N_("Styles"),
    "/folders": N_("Folders"),
    "/documents": N_("Documents"),
    "/examples": N_("Examples"),
    "/taste": N_("Taste"),
    "/queue": N_("Queue"),
    "/trash": N_("Trash"),
    "/shares": N_("Shares"),
    "/settings": N_("Settings"),
    "/sessions": N_("Sessions"),
    "/keys": N_("Shortcuts"),
}


@dataclass(frozen=True)
class Frame:
    """What every page has. elsewhere: what else of this studio is open, such as a simulated Discord. policy:
    the address of what the host says of privacy. talks: words change pictures here. inside: pages stand in
    Discord's frame."""

    studio: Studio
    visitors: Visitors
    elsewhere: Callable[[], str | None]
    policy: str
    talks: bool
    inside: bool = False

    def around(self, person: Person | None, page: Html) -> dict[str, Any]:
        """Return the values that every page has."""
        others = self.visitors.others(person) if person else []
        address, asks = self.elsewhere(), self.studio.talking.is_possible
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
                {"href": href, "label": _(label), "current": href == here}
                for href, label in TABS.items()
                if asks or href != "/ask"
            ],
            "policy": self.policy,
            "other": {"name": others[0], "discord": address} if others and address else None,
            "simulated": address is not None,
            "videos": self.studio.video_requests.is_possible,
            "talks": self.talks,
            "inside": self.inside,
        }


async def create_page(call: Call) -> Answer:
    """The prompt bar and what became of the newest prompts; a word on signing in for a stranger."""
    if call.person is None:
        return SeeOther(way_in(f"/?{urlencode(call.query)}" if call.query else "/"))
    seconds = call.studio.own.picture_seconds
    promise = _("The first four take longer while the model loads.")
    if seconds is not None:
        takes = f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"
        promise = _("Four pictures take about {takes} here.", takes=takes)
    stream = await jobs.list_stream(call)
    values = {
        **stream,
        "rows": jobs.fold_rows(stream["jobs"]),
        "show": call.query.get("show", ""),
        "groups": {name: _(shown) for name, shown in views.NARROWED.items()},
        "prompt": (await _words(call) or call.query.get("prompt", ""))[:4000],
        **await _examples(call),
        "chip": await talk.chip_of(call),
        "promise": _("Write what you want to see and press Enter. {promise}", promise=promise),
    }
    return Html("create", values, tab="/")


async def _examples(call: Call) -> dict[str, Any]:
    """Return prompts to begin with, and whether there are pictures of them."""
    known = (await call.studio.own.examples(call.actor))[:EXAMPLES]
    drawn = bool(known) and known == call.studio.hints.prompts[:EXAMPLES]
    return {"hints": list(known or SCENES), "drawn": drawn}


async def pictures_page(call: Call) -> Answer:
    """A page of the person's pictures."""
    page = await gallery.find_pictures(call)
    months = await call.studio.gallery.months(call.actor, call.zone)
    shown = [
        {"month": month, "pictures": count, "href": gallery.page_address(call.query, month=month)}
        for month, count in months
    ]
    values = {**gallery.page_values(call, page), "months": shown, "days": await gallery.find_days(call)}
    return Html("pictures", values)


async def explore_page(call: Call) -> Answer:
    """A page of what channels that the person reads have made."""
    return Html("explore", await gallery.explore_values(call) | await _examples(call))


async def picture_page(call: Call) -> Answer:
    """One picture with all that is known of it."""
    studio, index = call.studio, number_of(call.path["n"]) - 1
    seen = await studio.gallery.look(call.actor, call.path["job"], index)
    if index in seen.trashed and seen.job.origin.user_id == call.actor.user_id:
        return SeeOther("/trash")
    if seen.result is None or index in seen.trashed:
        raise Gone()
    stored = picture_of(seen.result, index)
    may = await jobs.allowed_actions(call, seen.job)
    shape = views.describe_job(seen, call.actor.user_id, may=may, **jobs.made_here(call))
    lineage = await studio.gallery.lineage(call.actor, seen.job.id, index)
    asker = None if shape["mine"] else await studio.explore.asker(call.actor, seen.job)
    asked = [{"name": _("Author"), "value": asker}] if asker else []
    message = await studio.explore.message(call.actor, seen.job)  # on Discord, if it shows the job
    values = {
        "job": shape,
        "picture": next(one for one in shape["pictures"] if one["n"] == index + 1),
        "facts": [*asked, *_facts(seen.result, stored, call.zone)],
        "parent": _link(*lineage.parent) if lineage.parent else None,
        "made": await jobs.describe_looked(call, lineage.children),
        "actions": shape["picture_actions"],
        "may": sorted(may),
        "can_edit": "region" in may,
        "can_talk": bool({"question", "edit"} & may) and not shape["pictures"][0]["video"],
        "changes": await talk.list_changes(call, seen.job.id, index),
        "can_ask": "question" in may and studio.talking.is_possible,
        "message": message and f"{CHANNELS}/{message.guild_id or '@me'}/{message.channel_id}/{message.id}",
        "share": share_form(call, job=seen.job.id, n=index + 1) if shape["mine"] else None,
    }
    return Html("picture", values, tab="/pictures" if shape["mine"] else "/explore")


async def queue_page(call: Call) -> Answer:
    """The person's jobs that run or wait, and all of servers that they manage."""
    live = await call.studio.own.jobs(call.actor)
    waiting = jobs.describe_waiting(call, live)
    values = {
        "jobs": waiting,
        "rows": jobs.fold_rows(waiting),
        "total_waiting": live.total_waiting,
        "paused": live.paused,
        "queues": await jobs.describe_queues(call),
    }
    return Html("queue", values)


async def share_page(call: Call) -> Answer:
    """What can be done with a picture that a phone shares with the studio."""
    shelf = call.studio.projects
    cards = [describe_card(await shelf.card(call.actor, one.id)) for one in await shelf.all(call.actor)]
    judges = [one for one in cards if one["version"] and one["task"] != STYLE and "use" in one["may"]]
    return Html("share", {"judges": judges, "can_ask": call.studio.talking.is_possible})


async def offline_page(call: Call) -> Answer:
    """What a browser shows for any page while it doesn't reach the studio: it is nobody's."""
    return Html("offline", shared=True)


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


def _link(job: Job, index: int) -> dict[str, Any]:
    href, thumb = f"/pictures/{job.id}/{index + 1}", f"/files/{job.id}/{index + 1}/256.webp"
    return {"href": href, "thumb": thumb, "video": job.request.answer is Kind.VIDEOS}


def _facts(result: Result, stored: StoredPicture, zone: tzinfo) -> list[dict[str, str]]:
    """Return what is known of a picture or video, for a list: names and values. What its prompt says isn't
    said again. zone: whose clock the time of asking is told by."""
    job, used, asked = result.job, result.parameters, result.job.created_at.astimezone(zone)
    clip = next((video for video in result.videos if video.index == stored.index), None)
    took = (job.rendered_at - job.started_at).total_seconds() if job.rendered_at and job.started_at else None
    size = _(
        "{width} × {height} px, {size:.0f} kB",
        width=stored.width,
        height=stored.height,
        size=stored.size / 1024,
    )
    device = _("a processor") if is_processor(job.device or "") else job.device
    facts = {
        _("Made by"): job_name(job.request),
        _("Model"): used.get("model"),
        _("Seed"): stored.seed,
        _("Size"): size
        if clip is None
        else _(
            "{width} × {height} px, {size:.1f} MB",
            width=stored.width,
            height=stored.height,
            size=clip.size / 2**20,
        ),
        _("Length"): clip
        and _(
            "{seconds:.2f} s, {frames} frames at {fps:g} a second",
            seconds=clip.seconds,
            frames=clip.frames,
            fps=clip.fps,
        ),
        _("Sound"): _("yes") if clip and clip.sound else None,
        **{_(name): used.get(key) for key, name in FACTS.items()},
        _("Asked"): _(
            "{day} {month} {year}, {time}",
            day=asked.day,
            month=_(f"{asked:%B}"),
            year=asked.year,
            time=f"{asked:%H:%M}",
        ),
        _("Took"): took and (f"{took:.2g} s" if took < 100 else f"{took / 60:.1f} min"),
        _("Cost"): None
        if job.run_seconds is None
        else _(
            "{run_seconds:.3g} s of {device}, {lane}",
            run_seconds=job.run_seconds,
            device=device,
            lane=job.lane,
        ),
        _("Note"): " ".join(views.notes_of(used)).replace("`", ""),
        _("Made with"): used.get("versions"),
        _("Job"): f"{job.id} {stored.index + 1}",
    }
    shown = {name: f"{value:g}" if isinstance(value, float) else value for name, value in facts.items()}
    return [{"name": name, "value": str(value)} for name, value in shown.items() if value not in (None, "")]

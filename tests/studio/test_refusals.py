"""Every public method of the studio checks the right of its actor itself: each is called, found by
introspection, by somebody from elsewhere and by somebody who is banned."""

import ast
import hashlib
import inspect
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.convert import Preferences
from core.errors import ImageError, NotAllowedError, UserError
from core.prompt.parser import Prompt
from core.requests import ImagineRequest
from core.settings import ROOT
from storage import tastes
from storage.collections import Shared
from storage.gallery import Filter
from storage.people import RoleLimit, RoleTokens
from studio.account import Own
from studio.admin import Checks, Server
from studio.authority import Action, Actor, Place
from studio.duels import Duels
from studio.editor import document as documents
from studio.editor.editor import Documents, Editor, Wanted
from studio.example_sets import Copies, Sets
from studio.inputs import Sources
from studio.library.collections import NOTHING, Folders, Trash
from studio.library.downloads import Zips
from studio.library.gallery import Explore, Gallery
from studio.library.shares import Posting, Shares
from studio.library.wall import Wall
from studio.media import masks
from studio.media.uploads import MASK_GONE
from studio.new_job import NewJob, source_of
from studio.programs import Programs
from studio.projects.dataset import Pictures
from studio.projects.inference import Styles, Trying
from studio.projects.labels import Labelling
from studio.projects.projects import NO_PROJECT, Shelf
from studio.projects.trainings import Training
from studio.projects.watches import Watches
from studio.pushes import Pushes
from studio.requests.chat import Feedback, Talking
from studio.requests.prompts import Regions, Requests
from studio.requests.video import Asked, Material, VideoRequests
from studio.rights import Rights
from studio.search import Found, Query, Search
from studio.server_tastes import ServerTastes
from studio.studio import Studio
from studio.talk.dialogues import Dialogues
from studio.taste_loras import TasteLoras
from studio.tastes import Tastes
from studio.webhooks import Webhooks
from tests.studio.conftest import ALICE, BOB, MIRA, Opened, Sent, open_studio, png
from tests.support.videos import animation, plain

STRANGER = Actor(7, 20, 200)  # of another server
MESSAGE = 5  # shows Alice's job
PARTS: dict[type, Callable[[Studio], Any]] = {
    Studio: lambda studio: studio,
    Rights: lambda studio: studio.rights,
    Sources: lambda studio: studio.sources,
    Own: lambda studio: studio.own,
    Server: lambda studio: studio.server,
    Requests: lambda studio: studio.requests,
    Regions: lambda studio: studio.regions,
    Editor: lambda studio: studio.editor,
    Documents: lambda studio: studio.editor.documents,
    Gallery: lambda studio: studio.gallery,
    Explore: lambda studio: studio.explore,
    Search: lambda studio: studio.search,
    Talking: lambda studio: studio.talking,
    Dialogues: lambda studio: studio.dialogues,
    VideoRequests: lambda studio: studio.video_requests,
    Sets: lambda studio: studio.examples,
    Copies: lambda studio: studio.copies,
    Wall: lambda studio: studio.wall,
    Trash: lambda studio: studio.trash,
    Folders: lambda studio: studio.folders,
    Zips: lambda studio: studio.zips,
    Shares: lambda studio: studio.shares,
    Posting: lambda studio: studio.posting,
    Checks: lambda studio: studio.checks,
    Programs: lambda studio: studio.programs,
    Webhooks: lambda studio: studio.webhooks,
    Pushes: lambda studio: studio.pushes,
    Feedback: lambda studio: studio.feedback,
    Shelf: lambda studio: studio.projects,
    Pictures: lambda studio: studio.dataset,
    Labelling: lambda studio: studio.labelling,
    Training: lambda studio: studio.training,
    Trying: lambda studio: studio.inference,
    Watches: lambda studio: studio.watches,
    Styles: lambda studio: studio.styles,
    Tastes: lambda studio: studio.tastes,
    TasteLoras: lambda studio: studio.taste_loras,
    ServerTastes: lambda studio: studio.server_tastes,
    Duels: lambda studio: studio.duels,
}


def _methods(kind: type) -> list[tuple[type, str]]:
    """The public methods of a class that take an actor."""
    public = {name: m for name, m in vars(kind).items() if inspect.isfunction(m) and not name.startswith("_")}
    if kind is Rights:  # by which all others check; the doors call these
        public = {name: public[name] for name in ("check", "job", "picture", "result")}
    return [(kind, name) for name, m in public.items() if "actor" in inspect.signature(m).parameters]


METHODS = [pair for kind in PARTS for pair in _methods(kind)]
LAST = ((Shelf, "forget"), (Own, "delete"))  # which leave nothing to the others
METHODS.sort(key=lambda pair: LAST.index(pair) if pair in LAST else -1)
NAMING = set(
    "job job_id message_id draft_id sha256 named names parent follows turn turn_id".split()
)  # somebody's object


def _named(**names: str) -> set[str]:
    """Methods as "Class.name", of words with the names of each class."""
    return {f"{kind}.{name}" for kind, those in names.items() for name in those.split()}


# What a ban doesn't take: one's own data, the end of one's own jobs, and words alone, which are refused when
# they are asked for.
KEPT_BY_THE_BANNED = _named(
    Requests="imagine imagine_each video edit read_prompt confirmed",
    Studio="news",
    Sources="is_seen read",  # `read` of what `check_upload` has let pass
    Own="preferences options image_models examples suggestions marks hint warning favourite recent jobs info"
    " holdings export delete let_go sign_out",
    Editor="mask",
    Documents="all one create save extend rename delete",  # `create` up to a bound
    Gallery="pictures days months newest sent is_own visible page",  # the last two of tiles that they have
    Explore="servers pictures channels",  # of no server where they are barred
    Server="queues cancellable talks",  # `cancellable` tells only of what the actor may cancel
    Search="find within copies keep kept",  # `copies` of what was found
    Talking="index_of",  # which is none
    Dialogues="newest turn tree conversations of_message said_with",  # of their own
    Feedback="withdraw",  # of their own
    Sets="all last forget",
    Copies="mine sheet",  # `sheet` of what they have been shown
    Programs="all end",
    Webhooks="projects all end",
    Pushes="unsubscribe calls",
    Shelf="all forget",  # `all` of those that they own
    Styles="ready check offered",  # `ready` of words that name none, `offered` none
    Trying="styles",
    Wall="find one picture mosaic",
    Tastes="ready added names own card direction codes next_page take_back",  # `ready`: refused later
    TasteLoras="card forget forget_with",  # of their own
    ServerTastes="card cards count_me",  # of members, and to be forgotten
    Trash="put take_back delete empty count",
    Folders="all one create rename delete put take_out",
    Shares="all revoke",
)
OPEN_TO_STRANGERS = _named(
    Requests="edit",  # whose caller has the row of the job whose pictures are meant
    Sources="is_seen",  # says no
    Own="let_go",  # one's own mark
    Feedback="withdraw",  # the same
    Server="cancellable queues talks",  # of none; yes
    Gallery="is_own",  # no
    Folders="put take_out",  # finds no such folder
    Talking="index_of",  # none
    Dialogues="of_message",  # none
)


@dataclass
class World:
    """A studio where Alice has drawn and sent something, and Bob has been banned since he asked."""

    opened: Opened
    values: dict[str, Any]  # of arguments, by name
    bobs: dict[str, Any]  # what is Bob's own
    special: dict[str, dict[str, Any]]  # of those that mean something else in one method

    async def call(self, kind: type, name: str, actor: Actor) -> None:
        method = getattr(PARTS[kind](self.opened.studio), name)
        values = self.values | self.special.get(name, {})
        known = [p for p in inspect.signature(method).parameters.values() if p.name in values]
        by_place = [values[p.name] for p in known if p.kind is p.POSITIONAL_OR_KEYWORD]
        by_name = {p.name: values[p.name] for p in known if p.kind is p.KEYWORD_ONLY}
        made = method(actor, *by_place, **by_name)
        if inspect.isasyncgen(made):
            await anext(made)
        elif inspect.isawaitable(made):
            await made


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_studio(tmp_path, VLM_URL="http://127.0.0.1:9/v1") as opened:
        studio = opened.studio
        result = await opened.drawn(ALICE)
        job, prompt = result.job, Prompt(text="a boat", images=(("<1>", 1.0),))
        sent = await studio.sources.given(ALICE, Sent(png(31, 31)))
        await opened.services.queue.add_view(job.id, MESSAGE, ALICE.channel_id, ALICE.guild_id)
        page = await studio.gallery.pictures(ALICE, Filter(), limit=1)
        layers = [{"id": "a", "source": {"job": job.id, "n": 1}}]
        mask = masks.write_mask(masks.Bits(16, 16, b"\xff" * 32))
        drawn = {"v": 1, "width": 64, "height": 64, "layers": layers}
        values = {
            **dict.fromkeys(("document_id", "folder_id", "share_id"), "abcdabcdabcd"),
            **dict.fromkeys(("keep", "index", "page", "offset", "position"), 0),
            **dict.fromkeys(
                ("version", "example_id", "target_id", "role_id", "voices", "number", "first"), 1
            ),
            "strokes": [],
            "jobs": [],
            "tastes": (),
            **dict.fromkeys(("tiles", "liked", "passed", "styles"), []),
            **dict.fromkeys(("members_only", "right", "shared", "on"), True),
            **dict.fromkeys(("job_id", "follows"), job.id),
            "document": documents.read_document(drawn),
            "data": drawn,
            "job": job,
            "duel_id": "abcd2345efgh",
            "channel_id": 100,
            "message_id": MESSAGE,
            "draft_id": (await studio.requests.keep_question(ALICE, [Prompt(text="a boat")])).draft_id,
            "sha256": sent.sha256,
            "source": source_of(result, 0),
            "named": f"{job.id} 1",
            "label": "a browser",
            "url": "https://hooks.example.org/",
            "events": ["job.ended"],
            **dict.fromkeys(("webhook_id", "watch_id", "camera"), "a" * 12),
            "rules": {},
            **dict.fromkeys(("session", "endpoint", "p256dh", "auth"), "a" * 12),
            "query": Query(),
            "found": Found(page.tiles, page.visible),
            "what": Shared(job.id),
            "names": [(job.id, 0)],
            "action": Action.VARY,
            "indexes": [0],
            "actions": [Action.VARY],
            "text": "a boat",
            "language": "de",
            "texts": ["a boat"],
            "chosen": None,
            "prompt": prompt,
            "prompts": [prompt],
            "given": {"<1>": Sent(png())},
            "parent": (job.id, 0),
            "picture": Sent(png()),
            "video": Sent(animation([plain((9, 9, 9)), plain((99, 9, 9))])),
            "pictures": {},
            "mask": Sent(png()),
            "new": NewJob(job.request),
            "current": "a",
            "limit": 10**7,
            "name": "raw",
            "value": "in snow",
            "user_id": ALICE.user_id,
            "tokens": RoleTokens(1, 5),
            "minutes": 5,
            "word": "clown",
            "files": [Sent(png())],
            "question": "What is it?",
            "content": {},
            "wanted": Filter(),
            "side": 64,
            "answer": "A boat.",
            "place": Place(ALICE.guild_id, 100),
            "asked": Asked(text="a boat"),
            "material": Material(),
            "do": "new",
            "request": ImagineRequest(prompt="a boat"),
            "task": "anomaly",
            "alike": "auto",
            "rights": ("use",),
            "sha256s": [sent.sha256],
            "file": Sent(png()),
            "form": "csv",
            "move": "usual",
            "second": 2,
            "chart": "roc",
            "said": "a boat",
            "steps": -1,
            "others": [f"{job.id} 1"],
            "turn": (turn := await studio.dialogues.say(ALICE, "a boat")),
            "turn_id": turn.id,
            "scopes": ["look"],
            "token_id": "a" * 12,
        }
        special = {
            "find": {"picture": None},
            "keep_mask": {"data": mask},
            "mask": {"sha256": hashlib.sha256(mask).hexdigest()},
            "select": {"source": documents.Source(job.id, 1), "wanted": Wanted(words="boat")},
            "say": {"given": []},
            "preview": {"sent": 0},
            "meant": {"kind": "draw"},
            "from_button": {"action": "exthigh"},
            "from_upload": {"action": "describe"},
            "set_role_limit": {"limit": RoleLimit(1, 1, 1)},
            "set_language": {"language": "de"},
            "set_alerts": {"channel_id": None},
            "allow": {"kind": "role"},
            "disallow": {"kind": "role"},
            "export": {"pictures": False},
            "latest": {"since": datetime(2026, 1, 1, tzinfo=UTC)},
            "material": {"given": [Sent(png())]},
            "ask": {"given": [Sent(png())], "chosen": Preferences()},
            "of_job": {"right": Action.USE},
            "clip": {"given": f"{job.id} 1", "right": Action.USE},
            "create": {"query": None, "what": Shared(job.id)},
        }
        bobs_job = (await opened.drawn(BOB)).job.id
        await studio.trash.put(BOB, [(bobs_job, 1)])
        special["delete"] = {"names": [(bobs_job, 1)]}
        await studio.editor.keep_mask(BOB, mask)
        bobs = {
            "names": [(bobs_job, 0)],
            "search_id": await studio.search.keep(BOB, "a boat"),
            "sha256": (await studio.sources.given(BOB, Sent(png(30, 30)))).sha256,
            "draft_id": (await studio.requests.keep_question(BOB, [Prompt(text="a boat")])).draft_id,
        }
        code = partial(tastes.add_code, user_id=BOB.user_id, name="me", rows=[tastes.Row(bobs_job, 0, True)])
        code = partial(code, guild_id=BOB.guild_id, now=datetime(2026, 1, 1, tzinfo=UTC))
        bobs["code"] = await opened.services.database.write(code)
        bobs["turn"] = await studio.dialogues.say(BOB, "a boat", after=None)
        bobs["turn_id"] = bobs["turn"].id
        await studio.projects.new(BOB, "raw")
        await studio.examples.create(BOB, "raw")
        values["contents"] = await studio.examples.add(BOB, "raw", "a browser", [Sent(png(29, 29))])
        await studio.server.ban(MIRA, BOB.user_id)
        yield World(opened, values, bobs, special)


async def _granted(world: World, actor: Actor, methods: list[tuple[type, str]]) -> set[str]:
    """Those of ``methods`` that don't refuse the actor, by right or because it isn't theirs to know of."""
    granted = set()
    for kind, name in methods:
        try:
            await world.call(kind, name, actor)
        except NotAllowedError:
            continue
        except ImageError as error:
            assert actor == STRANGER, (name, error)
            assert "picture is gone" in str(error) or str(error) in (NOTHING, MASK_GONE), (name, error)
            continue
        except UserError as error:
            assert (actor, str(error)) == (STRANGER, NO_PROJECT), (name, error)
            continue
        granted.add(f"{kind.__name__}.{name}")
    return granted


async def test_who_is_banned_is_refused_all_but_what_is_their_own(world: World) -> None:
    assert len(METHODS) > 60
    studio = world.opened.studio
    parts = [part for name, part in vars(studio).items() if not name.startswith("_")]
    parts.append(studio.editor.documents)
    assert {type(part) for part in parts if _methods(type(part))} | {Studio} == set(PARTS)
    world.values |= world.bobs
    assert await _granted(world, BOB, METHODS) == KEPT_BY_THE_BANNED


async def test_who_is_not_there_is_refused_what_is_somebody_elses(world: World) -> None:
    naming = [
        (kind, name)
        for kind, name in METHODS
        if NAMING & set(inspect.signature(getattr(kind, name)).parameters) or kind is Server
    ]
    assert len(naming) > 35
    assert await _granted(world, STRANGER, naming) == OPEN_TO_STRANGERS


def test_no_text_of_the_studio_is_written_for_discord_alone() -> None:
    """Other doors read the same texts; times and mentions are each door's to draw."""
    marks = re.compile(r"<(?:t:|@|#|:\w)")
    texts = [
        (path, node.value)
        for path in (ROOT / "studio").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert len(texts) > 1000 and [text for _, text in texts if marks.search(text)] == []

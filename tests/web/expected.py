"""What the rules say of every route, written down apart from the program, one line a route.

A route that isn't here fails a test. Say in its line who may do it, what it takes and what it then answers.
"""

from dataclasses import dataclass, field
from typing import Any

from studio.requests.actions import OF_VIDEOS
from tests.studio.conftest import png
from tests.web import world
from tests.web.world import Somebody, Subject

EVERYBODY = "everybody"  # nobody has to be signed in
SIGNED_IN = "signed in"  # about oneself: also for those who are banned
NOT_BARRED = "not barred"  # asks for something new, or changes a setting
LOOK = "look"  # at a job: its author, and who reads a channel where it is shown, unless they are barred there
ASK = "ask"  # for something made from a job: whoever may look, unless they are barred from asking alone
STOP = "stop"  # a job: its author always, the host, and managers of its server
END = "end"  # a job for good: the same, but of a private one no manager
SHARED = "shared"  # what a link shows, to whoever has it; nothing else by that link
GIVE = "give"  # a link to something of one's own: its author, unless they are barred
OWN = "own"  # a job's pictures put away or sorted: its author always, nobody else ever
AUTHOR_ONLY = "author only"  # the author's own thing, which isn't named by a job
SPENT = frozenset({400, 403, 404, 422})  # what is answered to whom it doesn't belong, if not "nothing here"
STRANGERS = (world.NOBODY, world.EXPIRED, world.FORGED)


@dataclass(frozen=True)
class Rule:
    """A line. who: of those above. good: what is answered when it is done. body, query: what is sent.

    given: what stands in the address for these names. headers: what is sent besides.

    blocked: what is answered for a picture that moderation blocks. changes: it changes something. kept: for
    other people's objects the answer is as good as for one's own, but nothing happens.
    """

    who: str
    good: frozenset[int]
    body: Any = None
    query: str = ""
    blocked: frozenset[int] | None = None
    changes: bool = False
    kept: bool = False
    given: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def when_blocked(self) -> frozenset[int]:
        return self.good if self.blocked is None else self.blocked


def _rule(who: str, *good: int, **more: Any) -> Rule:
    return Rule(who, frozenset(good), **more)


STOPPED = frozenset({403})  # a rule of moderation stops the job that is made from an unfit picture
NEVER = {"pictures": [f"{world.GONE}/1"]}
OF_JOB = {"job": "{job}"}
PICTURE = png(33, 33)
THIS = {"picture": "{upload}", "label": "good"}
POSTED = {"job": "{job}", "n": 1, "server": "10", "channel": "100"}
HIDDEN = frozenset({400})  # by a rule of moderation
LABELLED = {"set": "boats", "label": "a boat", "pictures": ["{job} 1"]}
NO_PICTURE = frozenset({451})
PICTURED = {"width": 4096, "height": 64}
PICTURED |= {"layers": [{"id": "a", "source": {"job": "{job}", "n": 1}, "y": 0.5}]}
EDIT = {"document": {"v": 1, **PICTURED}}
VERSION = {"If-Match": '"1"'}
RULES: dict[str, Rule] = {
    # pages
    "GET /": _rule(SIGNED_IN, 200),
    "GET /in": _rule(EVERYBODY, 200),
    "GET /in/discord": _rule(EVERYBODY, 404),
    "GET /in/discord/back": _rule(EVERYBODY, 404),
    "GET /pictures": _rule(SIGNED_IN, 200),
    "GET /pictures/{job}/{n}": _rule(LOOK, 200),
    "GET /edit/{job}/{n}": _rule(LOOK, 200, blocked=frozenset({404})),  # nothing is asked yet
    "GET /edit/d/{document}": _rule(AUTHOR_ONLY, 200),
    "GET /documents": _rule(SIGNED_IN, 200),
    "GET /explore": _rule(SIGNED_IN, 200),
    "GET /queue": _rule(SIGNED_IN, 200),
    "GET /ask": _rule(NOT_BARRED, 200),
    "GET /settings": _rule(SIGNED_IN, 200),
    "GET /sessions": _rule(SIGNED_IN, 200),
    "GET /programs": _rule(SIGNED_IN, 200),
    "GET /programs/calls": _rule(SIGNED_IN, 200),
    "GET /privacy": _rule(SIGNED_IN, 200),
    "GET /keys": _rule(SIGNED_IN, 200),
    "GET /share": _rule(SIGNED_IN, 200),
    "GET /offline": _rule(EVERYBODY, 200),
    "GET /_components": _rule(SIGNED_IN, 200),
    "GET /trash": _rule(SIGNED_IN, 200),
    "GET /folders": _rule(SIGNED_IN, 200),
    "GET /folders/{folder}": _rule(AUTHOR_ONLY, 200),
    "GET /examples": _rule(SIGNED_IN, 200),
    "GET /examples/{set}": _rule(AUTHOR_ONLY, 200),
    "GET /shares": _rule(SIGNED_IN, 200),
    "GET /s/{token}": _rule(EVERYBODY, 200, changes=True),  # a visit is counted
    "GET /s/{token}/embed.json": _rule(EVERYBODY, 404),  # it was not asked for
    # conversations: test_talks.py has questions, which are jobs
    "GET /talk": _rule(SIGNED_IN, 200),
    "GET /talk/{turn}": _rule(AUTHOR_ONLY, 200),
    "GET /api/talk/{turn}": _rule(AUTHOR_ONLY, 200),
    "POST /api/talk/{turn}": _rule(AUTHOR_ONLY, 202, body={"said": "make it blue"}, changes=True),
    "POST /api/talk/preview": _rule(NOT_BARRED, 200, body={"said": "a red house"}),
    "POST /api/talk/without": _rule(
        ASK, 400, body={"picture": "{job}/1", "number": 1}
    ),  # nothing was changed
    "POST /api/talk/replay": _rule(LOOK, 400, body={"picture": "{job}/1", "pictures": ["{job}/1"]}),
    "POST /api/talk/{turn}/show": _rule(AUTHOR_ONLY, 422, body={"job": "{job}", "n": 1}),  # it has no picture
    "POST /api/talk/{turn}/step": _rule(AUTHOR_ONLY, 400, body={"steps": -1}),  # nothing to undo
    "POST /api/talk/{turn}/meant": _rule(AUTHOR_ONLY, 202, body={"kind": "draw"}, changes=True),
    "POST /api/talk/{turn}/offer": _rule(AUTHOR_ONLY, 400, body={"number": 0}),  # it offers nothing
    "GET /files/{job}/frames/{n}.webp": _rule(LOOK, 422),  # the jobs here have no videos
    "POST /api/videos": _rule(NOT_BARRED, 422, body=b"no video"),
    "POST /api/clips": _rule(NOT_BARRED, 422, body=b"no video"),
    "POST /api/talk": _rule(NOT_BARRED, 202, body={"said": "a red house"}, changes=True),
    "GET /files/{job}/table.{kind}": _rule(LOOK, 422),
    # data
    "POST /api/sign-in/look": _rule(EVERYBODY, 404, body={"token": "no such link"}),
    "POST /api/session": _rule(EVERYBODY, 404, body={"token": "no such link"}),
    "DELETE /api/session": _rule(SIGNED_IN, 204, changes=True),
    "DELETE /api/sessions/{session}": _rule(AUTHOR_ONLY, 204, changes=True, kept=True),
    "PUT /api/push": _rule(
        NOT_BARRED,
        400,  # no service that the operator allows
        body={"endpoint": "https://push.example.org/", "p256dh": "", "auth": ""},
        changes=True,
    ),
    "DELETE /api/push": _rule(SIGNED_IN, 204, changes=True),
    "GET /api/tokens": _rule(SIGNED_IN, 200),
    "POST /api/tokens": _rule(NOT_BARRED, 201, body={"name": "a script", "scopes": ["look"]}, changes=True),
    "GET /api/webhooks": _rule(SIGNED_IN, 200),
    "POST /api/webhooks": _rule(
        NOT_BARRED,
        403,  # the operator allows no host
        body={"url": "https://hooks.example.org/", "events": ["job.ended"], "token": "a" * 12},
        changes=True,
    ),
    "DELETE /api/webhooks/{session}": _rule(AUTHOR_ONLY, 404),  # it is a session's id
    "POST /api/webhooks/{session}/resume": _rule(AUTHOR_ONLY, 404),
    "POST /api/webhooks/{session}/test": _rule(AUTHOR_ONLY, 404),
    "DELETE /api/tokens/{session}": _rule(AUTHOR_ONLY, 404),  # it is a session's id
    "GET /api/jobs": _rule(SIGNED_IN, 200),
    "POST /api/jobs": _rule(NOT_BARRED, 202, body={"prompt": "a red house"}, changes=True),
    "POST /api/drafts/{draft}": _rule(AUTHOR_ONLY, 202, body={}, changes=True),
    "GET /api/jobs/{job}": _rule(LOOK, 200),
    "GET /api/jobs/{job}/events": _rule(LOOK, 200),
    "DELETE /api/jobs/{job}": _rule(END, 204, changes=True),
    "POST /api/jobs/{job}/cancel": _rule(STOP, 200, body={}),
    "POST /api/jobs/{job}/{n}/{action}": _rule(ASK, 202, body={}, blocked=STOPPED, changes=True),
    "GET /api/complete": _rule(SIGNED_IN, 200, query="?text=a+house"),
    "POST /api/uploads": _rule(NOT_BARRED, 422, body=b"no picture"),
    "POST /api/uploads/{sha256}/{asked}": _rule(AUTHOR_ONLY, 202, body={}, changes=True),
    "GET /api/pictures": _rule(SIGNED_IN, 200),
    "GET /api/explore": _rule(SIGNED_IN, 200),
    "GET /api/queues": _rule(SIGNED_IN, 200),
    "GET /api/months": _rule(SIGNED_IN, 200),
    "GET /api/days": _rule(SIGNED_IN, 200),
    "PUT /api/favourites/{job}/{n}": _rule(LOOK, 204, changes=True),
    "DELETE /api/favourites/{job}/{n}": _rule(SIGNED_IN, 204),
    "GET /api/privacy": _rule(SIGNED_IN, 200),
    "GET /api/privacy/export": _rule(SIGNED_IN, 200, query="?pictures=0"),
    "DELETE /api/privacy": _rule(SIGNED_IN, 204, changes=True),
    "GET /api/settings": _rule(SIGNED_IN, 200),
    "PATCH /api/settings": _rule(NOT_BARRED, 200, body={"lane": "relax"}, changes=True),
    "POST /api/trash": _rule(SIGNED_IN, 422, body=NEVER),
    "POST /api/trash/restore": _rule(SIGNED_IN, 422, body=NEVER),
    "POST /api/trash/delete": _rule(SIGNED_IN, 422, body=NEVER),
    "DELETE /api/trash": _rule(SIGNED_IN, 200),
    "GET /api/folders": _rule(SIGNED_IN, 200),
    "POST /api/folders": _rule(SIGNED_IN, 201, body={"name": "boats"}, changes=True),
    "PATCH /api/folders/{folder}": _rule(AUTHOR_ONLY, 204, body={"name": "boats"}, changes=True),
    "DELETE /api/folders/{folder}": _rule(AUTHOR_ONLY, 204, changes=True),
    "POST /api/folders/{folder}/items": _rule(AUTHOR_ONLY, 422, body=NEVER),
    "POST /api/folders/{folder}/items/remove": _rule(AUTHOR_ONLY, 200, body=NEVER),
    "GET /taste": _rule(SIGNED_IN, 200),
    "GET /api/taste": _rule(SIGNED_IN, 200),
    "POST /api/taste/codes": _rule(NOT_BARRED, 400, body={"name": "me"}),  # nothing is liked
    "DELETE /api/taste/codes/{code}": _rule(NOT_BARRED, 400, given={"code": "p234567abc"}, kept=True),
    # of a server that nobody here is in
    "PUT /api/taste/struck/{word}": _rule(NOT_BARRED, 204, given={"word": "watercolor"}, changes=True),
    "DELETE /api/taste/struck/{word}": _rule(NOT_BARRED, 204, given={"word": "watercolor"}),
    "PUT /api/taste/servers/{server}": _rule(SIGNED_IN, 403, given={"server": "999"}),
    "DELETE /api/taste/servers/{server}": _rule(SIGNED_IN, 403, given={"server": "999"}),
    "PATCH /api/taste/servers/{server}": _rule(SIGNED_IN, 403, given={"server": "999"}, body={"on": True}),
    "POST /api/taste/loras": _rule(NOT_BARRED, 400, body={"name": "me"}),  # nothing is liked
    "PUT /api/taste/loras/{project}": _rule(NOT_BARRED, 404, body={"on": True}),  # that isn't a taste's
    "DELETE /api/taste/loras/{project}": _rule(SIGNED_IN, 404),
    "POST /api/taste/loras/{project}/compare": _rule(NOT_BARRED, 404, body={}),
    "POST /api/taste/loras/{project}/choices": _rule(NOT_BARRED, 404, body={"pair": 1, "first": True}),
    "GET /taste/blind/{project}": _rule(SIGNED_IN, 404),
    "GET /files/taste/{project}/{pair}/{half}.webp": _rule(SIGNED_IN, 404),
    "GET /taste/nine": _rule(SIGNED_IN, 200),
    "GET /api/taste/nine": _rule(SIGNED_IN, 200),
    "POST /api/taste/nine": _rule(NOT_BARRED, 400, body={"page": "0" * 16, "liked": [2], "passed": []}),
    "GET /api/examples": _rule(SIGNED_IN, 200),
    "POST /api/examples": _rule(ASK, 201, body=LABELLED, blocked=HIDDEN, changes=True),
    "POST /api/examples/new": _rule(NOT_BARRED, 201, body={"name": "boats"}, changes=True),
    "DELETE /api/examples/{set}": _rule(AUTHOR_ONLY, 204, changes=True),
    "POST /api/examples/{set}/try": _rule(AUTHOR_ONLY, 400, body={"picture": world.GONE}),  # it has one label
    "GET /api/zip": _rule(LOOK, 200, query="?job={job}"),
    "POST /api/zip": _rule(LOOK, 200, body={"pictures": "{job}/1"}),
    "GET /api/shares": _rule(SIGNED_IN, 200),
    "GET /api/channels": _rule(NOT_BARRED, 200),
    "POST /api/posts": _rule(OWN, 403, body=POSTED),  # nobody may write here
    "POST /api/shares": _rule(GIVE, 201, body=OF_JOB, blocked=HIDDEN, changes=True),
    "DELETE /api/shares/{share}": _rule(AUTHOR_ONLY, 204, changes=True),
    "POST /api/edits": _rule(ASK, 202, body=EDIT, blocked=STOPPED, changes=True),
    "POST /api/edits/look": _rule(ASK, 200, body=EDIT),
    "POST /api/selects": _rule(ASK, 429, body={"source": {"job": "{job}", "n": 1}}),  # nobody looks here
    "POST /api/masks": _rule(NOT_BARRED, 201, body=world.MASK_FILE, changes=True),
    "GET /api/documents": _rule(SIGNED_IN, 200),
    "POST /api/documents": _rule(SIGNED_IN, 201, body={"document": world.DOCUMENTED}, changes=True),
    "GET /api/documents/{document}": _rule(AUTHOR_ONLY, 200),
    "PUT /api/documents/{document}": _rule(
        AUTHOR_ONLY, 200, body={"document": world.DOCUMENTED}, headers=VERSION, changes=True
    ),
    "PATCH /api/documents/{document}": _rule(
        AUTHOR_ONLY, 200, body={"strokes": [{"tool": "invert"}]}, headers=VERSION, changes=True
    ),
    "PUT /api/documents/{document}/name": _rule(AUTHOR_ONLY, 204, body={"name": "boats"}, changes=True),
    "DELETE /api/documents/{document}": _rule(AUTHOR_ONLY, 204, changes=True),
    # OpenAI's form: test_openai.py has what comes of it
    "GET /v1/models": _rule(SIGNED_IN, 200),
    "GET /v1/models/{model}": _rule(SIGNED_IN, 200, given={"model": "atelier"}),
    "POST /v1/images/generations": _rule(NOT_BARRED, 400, body={"prompt": "a house", "n": 0}),
    "POST /v1/images/edits": _rule(NOT_BARRED, 400, body=b"no field of that form"),
    "POST /v1/chat/completions": _rule(
        NOT_BARRED, 400, body={"messages": [{"role": "user", "content": "?"}], "n": 2}
    ),
    "POST /v1/moderations": _rule(NOT_BARRED, 200, body={"input": "a house"}),
    "POST /v1/responses": _rule(NOT_BARRED, 400, body={"input": "?", "background": True}),
    "POST /v1/videos": _rule(NOT_BARRED, 400, body=b"no field of that form"),
    "GET /v1/videos": _rule(SIGNED_IN, 200),
    "GET /v1/videos/video_{job}": _rule(LOOK, 404),
    "DELETE /v1/videos/video_{job}": _rule(END, 404),
    "GET /v1/videos/video_{job}/content": _rule(LOOK, 404),
    "POST /v1/videos/video_{job}/remix": _rule(ASK, 422, body={"prompt": "at night"}),
    "POST /mcp": _rule(SIGNED_IN, 200, body={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
    "GET /api/openapi.json": _rule(SIGNED_IN, 200),
    # custom models
    # the wall of styles
    "GET /wall": _rule(SIGNED_IN, 200),
    "GET /api/wall": _rule(SIGNED_IN, 200, query="?q=mist"),
    "POST /api/wall/{style}/like": _rule(NOT_BARRED, 204, body={"liked": True}, changes=True),
    "POST /api/wall/code": _rule(NOT_BARRED, 400, body={"pictures": []}),
    "GET /files/wall/{style}.webp": _rule(SIGNED_IN, 404),
    "GET /projects": _rule(SIGNED_IN, 200),
    "GET /projects/{project}": _rule(AUTHOR_ONLY, 200),
    "GET /projects/{project}/label": _rule(AUTHOR_ONLY, 200),
    "GET /projects/{project}/report": _rule(AUTHOR_ONLY, 200),
    "GET /projects/{project}/try": _rule(AUTHOR_ONLY, 200),
    "GET /projects/{project}/watch": _rule(AUTHOR_ONLY, 200),
    "GET /projects/{project}/settings": _rule(AUTHOR_ONLY, 200),
    "GET /api/projects": _rule(SIGNED_IN, 200),
    "POST /api/projects": _rule(NOT_BARRED, 201, body={"name": "boats"}, changes=True),
    "GET /api/projects/{project}": _rule(AUTHOR_ONLY, 200),
    "PATCH /api/projects/{project}": _rule(AUTHOR_ONLY, 204, body={"name": "boats"}, changes=True),
    "DELETE /api/projects/{project}": _rule(AUTHOR_ONLY, 204, changes=True),
    "PUT /api/projects/{project}/rights": _rule(AUTHOR_ONLY, 400, body={"role": "0"}),  # it is theirs alone
    "POST /api/projects/{project}/labels": _rule(AUTHOR_ONLY, 204, body={"label": "dent"}, changes=True),
    "POST /api/projects/{project}/labels/drop": _rule(AUTHOR_ONLY, 400, body={"label": "dent"}),
    "POST /api/projects/{project}/import": _rule(AUTHOR_ONLY, 422, body=b"no labels"),
    "POST /api/projects/{project}/versions/{version}/use": _rule(AUTHOR_ONLY, 204, body={}),  # it is already
    "POST /api/projects/{project}/versions/{version}/threshold": _rule(
        AUTHOR_ONLY, 200, body={"move": "stricter"}, changes=True
    ),
    "POST /api/projects/{project}/versions/{version}/bundle": _rule(
        AUTHOR_ONLY, 400, body={}, given={"version": "2"}
    ),  # there is one
    "POST /api/projects/{project}/look": _rule(AUTHOR_ONLY, 400, body={}),  # every picture has its label
    "POST /api/projects/{project}/describe": _rule(AUTHOR_ONLY, 200, body={}),
    "GET /api/projects/{project}/pictures": _rule(AUTHOR_ONLY, 200),
    "POST /api/projects/{project}/pictures": _rule(AUTHOR_ONLY, 200, body=PICTURE, changes=True),
    "POST /api/projects/{project}/remove": _rule(
        AUTHOR_ONLY, 200, body={"pictures": ["{upload}"]}, changes=True
    ),
    "POST /api/projects/{project}/leave-out": _rule(
        AUTHOR_ONLY, 204, body={"pictures": ["{upload}"]}, changes=True
    ),
    "POST /api/projects/{project}/next": _rule(AUTHOR_ONLY, 200, body={}),
    "POST /api/projects/{project}/marks": _rule(AUTHOR_ONLY, 200, body=THIS, changes=True),
    "POST /api/projects/{project}/train": _rule(AUTHOR_ONLY, 400, body={"pixels": 7}),
    "GET /api/projects/{project}/versions": _rule(AUTHOR_ONLY, 200),
    "POST /api/projects/{project}/try": _rule(AUTHOR_ONLY, 422, body=b"no picture"),
    "GET /api/projects/{project}/watches": _rule(AUTHOR_ONLY, 200),
    "POST /api/projects/{project}/watches": _rule(
        AUTHOR_ONLY, 400, body={"source": "line"}
    ),  # the operator names none
    "PATCH /api/projects/{project}/watches/{watch}": _rule(
        AUTHOR_ONLY, 400, body={"on": False}
    ),  # it has no camera
    "POST /api/projects/{project}/watches/{watch}/pictures": _rule(
        AUTHOR_ONLY, 400, body=PICTURE
    ),  # it has no camera
    "DELETE /api/projects/{project}/watches/{watch}": _rule(AUTHOR_ONLY, 400),
    "GET /api/verdicts/{job}": _rule(LOOK, 200),  # none: the jobs here are pictures
    "POST /api/verdicts/{job}/{n}": _rule(LOOK, 422, body={"right": True}),
    "GET /files/verdicts/{job}.csv": _rule(LOOK, 404),
    "GET /files/bundles/{job}": _rule(LOOK, 404),
    "GET /files/projects/{project}/{sha256}.{suffix}": _rule(AUTHOR_ONLY, 200),
    "GET /files/projects/{project}/{sha256}/masks/{mask}.png": _rule(AUTHOR_ONLY, 404),  # nothing is painted
    "GET /files/projects/{project}/versions/{version}/{chart}": _rule(AUTHOR_ONLY, 200),
    "GET /files/projects/{project}/labels-{form}.zip": _rule(AUTHOR_ONLY, 200),
    # bytes
    "GET /files/s/{token}/{job}/{n}": _rule(SHARED, 200),
    "GET /files/s/{token}/{job}/{n}/{side}.webp": _rule(SHARED, 200),
    "GET /files/s/{token}/{job}/{n}.mp4": _rule(SHARED, 404),
    "GET /files/{job}/{n}": _rule(LOOK, 200, blocked=NO_PICTURE),
    "GET /files/{job}/{n}/{side}.webp": _rule(LOOK, 200, blocked=NO_PICTURE),
    "GET /files/{job}/{n}.mp4": _rule(LOOK, 422),
    "GET /files/{job}/{n}.gif": _rule(LOOK, 422),
    "GET /files/uploads/{sha256}": _rule(AUTHOR_ONLY, 200),
    "GET /files/uploads/{sha256}.webp": _rule(AUTHOR_ONLY, 200),
    "GET /files/examples/{set}/{example}.webp": _rule(AUTHOR_ONLY, 200),
    "GET /files/masks/{sha256}.png": _rule(AUTHOR_ONLY, 200, given={"sha256": world.MASK}),
    "GET /previews/{job}/{step}": _rule(LOOK, 200, blocked=frozenset({404})),
}
# Buttons that make no sense here: pictures are square and four of a kind, none has a label or is of a
# sheet or a video
WITHOUT_SENSE = {
    **dict.fromkeys(("square", "why", "three", "next", "others"), frozenset({400})),
    **dict.fromkeys(OF_VIDEOS, frozenset({400, 422})),
}


def named(job: str, upload: str, session: str) -> dict[str, str]:
    """What stands in an address, by the names that the table of routes uses."""
    made = {"job": job, "n": "1", "side": "256", "kind": "csv", "step": "1", "session": session}
    made |= {
        "turn": world.TURN,
        "draft": world.DRAFT,
        "folder": world.FOLDER,
        "set": world.SET,
        "project": world.PROJECT,
        "watch": world.GONE,
        "word": "watercolor",
        "pair": "1",
        "half": "1",
    }
    made |= {
        "style": "2",
        "code": "p234567abc",
        "version": "1",
        "chart": "roc",
        "form": "csv",
        "suffix": "webp",
        "mask": world.MASK,
    }
    made |= {"example": "1", "document": world.DOCUMENT, "share": world.SHARE, "token": world.LINK}
    made |= {"sha256": upload, "asked": "describe", "model": "atelier", "server": str(world.HERE)}
    return made


def owns(person: Somebody, subject: Subject) -> bool:
    """Return whether a job is the person's own."""
    return person.id is not None and subject.owner in (0, person.id)


def may_look(person: Somebody, subject: Subject) -> bool:
    """What is asked on the web is asked alone: one's own jobs are seen, unless one is barred. So is what is
    shown in a channel that one reads, unless one is barred in its server."""
    if owns(person, subject) and not person.banned and not person.timed_out:
        return True
    shown = not subject.private and subject.guild is not None and subject.channel in person.reads
    return shown and not person.banned and not (person is world.BANNED_HERE and subject.guild == world.HERE)


def knows_of(person: Somebody, subject: Subject) -> bool:
    """Return whether the person may know that a job exists: their own, or shown in a channel they read."""
    if subject is world.LOST or person.id is None:
        return False
    return owns(person, subject) or (
        not subject.private and subject.guild is not None and subject.channel in person.reads
    )


def may(person: Somebody, rule: Rule, subject: Subject) -> bool:
    """Return whether the rules let a person do what a route does, to a job where it names one."""
    if rule.who == EVERYBODY:
        return True
    if rule.who == SHARED:
        return subject is world.ON_WEB
    if person in STRANGERS:
        return False
    if rule.who == SIGNED_IN:
        return True
    if rule.who == NOT_BARRED:
        return not person.banned and not person.timed_out
    if rule.who == AUTHOR_ONLY:
        return person.id == 1
    if subject is world.LOST:
        return False
    if rule.who == GIVE:
        return owns(person, subject) and not person.banned and not person.timed_out
    if rule.who == OWN:
        return owns(person, subject)
    if rule.who in (STOP, END):
        manages = subject.guild in person.manages and not (subject.private and rule.who == END)
        return owns(person, subject) or person.host or manages
    if rule.who == ASK and person.timed_out:
        return False
    return may_look(person, subject)

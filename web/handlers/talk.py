"""Conversations with the studio: the page of one, what is said in it, and the changes behind a picture."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any

from core.errors import ImageError, NotAllowedError, UserError
from core.language import N_, _
from core.talk import MAKES, Decision, Kind
from storage.turns import Sent
from studio.new_job import picture_of
from studio.requests.video import is_clip
from studio.talk.changes import MOST_OF_FOLDER
from studio.talk.history import Turn
from web import schemas, views
from web.call import Answer, Call, Gone, Handler, Html, Json, there
from web.handlers import chat, gallery, jobs
from web.schemas import chosen_of, key_of, number_of, read_body

MOST_SHOWN = 30  # turns of a way that the page shows, the last ones
LONGEST_SAID = 200  # characters of a turn in the tree
LONGEST_NAME = 40  # characters of a picture's name on the chip
FIRST_ONLY = N_("Of this folder the first {} are taken, the newest before others. ")
OF_FRAMES: tuple[Kind, ...] = ("change", "upscale", "cutout")  # are done to the first frame of a video
OF_VIDEOS: tuple[Kind, ...] = ("video", "extend", "again")
SWITCHED_OFF = N_("Conversations are turned off in this studio.")
ON_CREATE = N_("Create's bar extends, loops and changes a video: add it there. Here it is asked about.")
ON_PAGES = {  # commands that a sentence asked for, and what does the same on these pages
    "/privacy delete": N_("Open Settings, then Your data: there you can delete everything."),
    "/privacy": N_("A picture's page moves it to the trash. To delete all, open Settings, then Your data."),
    "/stealth": N_("Open Settings and turn on Stealth."),
    "/settings": N_("Open Settings."),
    "/queue": N_("Press Cancel under the job."),
    "/help": N_("Say what to draw, or what to change: such as “make it blue”, “add a boat” or “go back”."),
}
MEANT = {  # kinds of turns that somebody may have meant instead, as a page calls them
    "draw": N_("A new picture"),
    "change": N_("A change"),
    "again": N_("The same again"),
    "video": N_("A video"),
    "upscale": N_("A larger picture"),
    "cutout": N_("A cut-out"),
    "extend": N_("More around it"),
    "ask": N_("A question"),
    "find": N_("A search"),
}


async def conversations_page(call: Call) -> Answer:
    """Where the person's conversations stand, the newest first."""
    found = await call.studio.dialogues.conversations(call.actor)
    talks = [
        {
            "href": f"/talk/{one.id}",
            "said": (one.said or sentence(one.understood))[:LONGEST_SAID],
            "understood": sentence(one.understood) or _reply(one.decision, one.reply)[:LONGEST_SAID],
            "created": one.created_at.isoformat(),
        }
        for one in found
    ]
    return Html("talks", {"talks": talks}, tab="/")


async def conversation_page(call: Call) -> Answer:
    """The conversation up to a turn, or up to a question that no turn has asked."""
    turn = await _turn(call)
    if turn is None:
        return await _of_question(call, chat.conversation_page)
    told = await _dialogue(call, turn)
    shown = told["shown"] or {"number": None, "picture": None}
    number = str(shown["number"] or "")
    named = (
        (number, _("picture {number}", number=number))
        if number
        else (_("this conversation"), _("this conversation"))
    )
    values = {
        **told,
        "meant": [(kind, _(said)) for kind, said in MEANT.items()],
        "chip": _chip(*named, shown["picture"]),
    }
    return Html("dialogue", values, tab="/")


async def show_conversation(call: Call) -> Answer:
    """Return the conversation up to a turn, or up to a question that no turn has asked."""
    turn = await _turn(call)
    if turn is None:
        return await _of_question(call, chat.show_conversation)
    return Json(await _dialogue(call, turn))


async def say(call: Call) -> Answer:
    """Take a sentence, the first of a conversation or one that follows a turn, and queue what it asks
    for; or a question with the form of its answer, which is no turn."""
    given = read_body(call, schemas.NewTalk)
    if not given.said:
        if "question" not in call.body:
            raise UserError("`said` is missing.")
        return await ask(call)
    after, once, dialogues = call.path.get("turn"), key_of(call) or "", call.studio.dialogues
    if after is not None:
        there(await _turn(call))
    pictures = given.pictures
    if clips := [name for name in pictures if is_clip(name)]:
        heard = await dialogues.preview(call.actor, given.said, after=None, sent=1)
        if heard.decision.kind in OF_VIDEOS:
            raise UserError(ON_CREATE)
        if heard.decision.kind not in OF_FRAMES or len(pictures) > 1:
            return await _ask_of(call, given.said, pictures, once)
        pictures = [await call.studio.video_requests.first_frame(call.actor, clips[0])]
    turn = await dialogues.say(
        call.actor, given.said, after=after, given=pictures, once=once, offer=given.offer
    )
    return await _done(call, turn)


async def _ask_of(call: Call, question: str, pictures: Sequence[str], once: str) -> Json:
    """Queue a question that is no turn, about a video that was sent and the pictures that came with it."""
    studio, chosen = call.studio, await call.studio.own.preferences(call.actor)
    given = [
        await studio.video_requests.sent(call.actor, name) if is_clip(name) else name for name in pictures
    ]
    new = await studio.requests.ask(call.actor, question, given, chosen)
    job = (await studio.submit(call.actor, new, once=once or None)).job
    return Json({"job": job.id, "href": f"/talk/{job.id}"}, HTTPStatus.ACCEPTED)


async def ask(call: Call) -> Answer:
    """Queue a question of a conversation about pictures, the first or one that follows."""
    if "question" not in call.body:
        raise UserError(SWITCHED_OFF)
    return await _of_question(call, chat.ask_question)


async def preview(call: Call) -> Answer:
    """Return what a sentence would be understood as; nothing is kept."""
    typed = read_body(call, schemas.Typed)
    after, named = typed.after or None, [typed.picture] if typed.picture else []
    if after is not None:
        there(await _turn(call, after))
    heard = await call.studio.dialogues.preview(
        call.actor, typed.said, after=after, given=named, sent=typed.sent
    )
    shape = {"understood": heard.understood, "kind": heard.decision.kind}
    reply = _reply(heard.decision, heard.reply)
    return Json(shape | {"about": list(heard.decision.about), "reply": reply, "offers": list(heard.offers)})


async def show(call: Call) -> Answer:
    """Go back to a picture of the conversation, or choose one of a grid."""
    given, turn = read_body(call, schemas.Picked), there(await _turn(call))
    index = number_of(str(given.n)) - 1
    return await _done(call, await call.studio.dialogues.show(call.actor, turn.id, given.job, index))


async def step(call: Call) -> Answer:
    """Undo or redo."""
    steps, turn = read_body(call, schemas.Steps).steps, there(await _turn(call))
    return await _done(call, await call.studio.dialogues.step(call.actor, turn.id, steps))


async def correct(call: Call) -> Answer:
    """Take a sentence for what was meant instead."""
    given, turn = read_body(call, schemas.Meant), there(await _turn(call))
    return await _done(call, await call.studio.dialogues.meant(call.actor, turn.id, given.kind, given.about))


async def take_offer(call: Call) -> Answer:
    """Do what a button under an unclear sentence says."""
    number, turn = read_body(call, schemas.Offered).number, there(await _turn(call))
    return await _done(call, await call.studio.dialogues.offer(call.actor, turn.id, number))


async def take_out(call: Call) -> Answer:
    """Make a picture again without one of the changes behind it, or with other words in its place."""
    given, once = read_body(call, schemas.Without), key_of(call) or ""
    [(job_id, index)] = chosen_of([given.picture])
    dialogues, words = call.studio.dialogues, given.words.strip()
    turn = await dialogues.without(call.actor, job_id, index, given.number, words=words, once=once)
    return await _done(call, turn)


async def replay(call: Call) -> Answer:
    """Queue the changes behind a picture for other pictures, or for those of a folder, a job for each. For a
    folder it asks first what that takes."""
    given = read_body(call, schemas.Replay)
    [(job_id, index)] = chosen_of([given.picture])
    replayed = partial(call.studio.dialogues.replay, call.actor, job_id, index)
    if not given.folder:
        new = await replayed([f"{name} {at + 1}" for name, at in chosen_of(given.pictures)])
        return await jobs.queue_all(call, new, key_of(call))
    page = await gallery.find_pictures(call, MOST_OF_FOLDER, folder=given.folder)
    others = [f"{one['job']} {one['n']}" for one in page.pictures if one["seconds"] is None]
    new = await replayed(others, most=MOST_OF_FOLDER)
    if given.confirmed:
        return await jobs.queue_all(call, new, key_of(call))
    more = _(FIRST_ONLY).format(MOST_OF_FOLDER) if page.older else ""
    return Json({"jobs": [], "asks": f"{more}{call.studio.dialogues.cost(new)}"})


async def list_changes(call: Call, job_id: str, index: int) -> list[dict[str, Any]]:
    """Return the changes behind picture ``index`` (from 0) of a job, its drawing first."""
    lines = await call.studio.dialogues.changes(call.actor, job_id, index)
    return [{"number": one.number, "words": one.words, "again": one.again} for one in lines]


async def _done(call: Call, turn: Turn) -> Json:
    """Queue what a turn asks for, and return the conversation up to it; where that isn't possible, the turn
    says why."""
    if turn.asks:
        with suppress(UserError):
            await call.studio.dialogues.submit(call.actor, turn)
    return Json(await _dialogue(call, turn, new=True), HTTPStatus.ACCEPTED)


async def _turn(call: Call, turn_id: str = "") -> Turn | None:
    """Return a turn, else the one that the address names; None where the person may see none."""
    try:
        return await call.studio.dialogues.turn(call.actor, turn_id or call.path["turn"])
    except (ImageError, NotAllowedError):
        return None


async def _of_question(call: Call, work: Handler) -> Answer:
    """Return the answer to a call about a question's job, which looks like one that never was where the
    person may not see it."""
    job_id = call.path.get("turn")
    try:
        return await work(call if job_id is None else replace(call, path={"job": job_id}))
    except (ImageError, NotAllowedError) as error:
        if job_id is not None and not await call.studio.sources.is_seen(call.actor, job_id):
            raise Gone() from error
        raise


async def _dialogue(call: Call, turn: Turn, *, new: bool = False) -> dict[str, Any]:
    """Return the conversation up to a turn. new: it was said just now, and what it asks for besides is done
    in turns that follow it."""
    tree = await call.studio.dialogues.tree(call.actor, turn.id)
    by_id = {one.id: one for one in tree}
    here = by_id[turn.id]
    further = {one.before_id: one for one in tree if not one.said and one.kind in MAKES}
    while new and here.id in further:
        here = further[here.id]
    way = [here]
    while (before := by_id.get(way[0].before_id or "")) is not None:
        way.insert(0, before)
    path = [await _said(call, one) for one in way[-MOST_SHOWN:]]
    shown = await _shown(call, here)  # after the jobs: what is over there is there
    changes: list[dict[str, Any]] = []
    if shown and shown["job"] and shown["picture"]:
        changes = await list_changes(call, shown["job"], shown["n"] - 1)
    begun = changes[0]["words"] if changes else way[0].said
    return {
        "turn": here.id,
        "title": ": ".join(dict.fromkeys(filter(None, (begun[:LONGEST_NAME], here.said)))) or _("Talk"),
        "href": f"/talk/{here.id}",
        "tree": [_branch(one, level) for one, level in ordered(tree, {one.id for one in way})],
        "path": path,
        "cut": len(way) > MOST_SHOWN or way[0].before_id is not None,
        "shown": shown,
        "changes": changes,
        "undo": here.can_undo,
        "redo": here.can_redo,
    }


def ordered(tree: Sequence[Turn], way: set[str]) -> list[tuple[Turn, int]]:
    """Return the turns of a tree from its root on, each with its level from 1: what branches off stands
    before what goes on, one level deeper. way: ids of those that go on."""
    after: dict[str, list[Turn]] = {}
    known = {one.id for one in tree}
    for one in tree:
        after.setdefault(one.before_id if one.before_id in known else "", []).append(one)
    found: list[tuple[Turn, int]] = []
    todo = [(one, 1) for one in reversed(after.get("", []))]
    while todo:
        one, level = todo.pop()
        found.append((one, level))
        following = after.get(one.id, [])
        main = next((next_ for next_ in following if next_.id in way), following[0] if following else None)
        todo += [(next_, level) for next_ in following if next_ is main]
        todo += [(next_, level + 1) for next_ in reversed(following) if next_ is not main]
    return found


def _branch(turn: Turn, level: int) -> dict[str, Any]:
    return {
        "id": turn.id,
        "before": turn.before_id,
        "said": (turn.said or turn.understood or turn.kind)[:LONGEST_SAID],
        "level": level,
        "number": turn.number if turn.kind in MAKES else None,
    }


async def _said(call: Call, turn: Turn) -> dict[str, Any]:
    """Return a turn with what came of it."""
    job = None
    if turn.job is not None:
        with suppress(ImageError, NotAllowedError, Gone):
            job = await jobs.find_job(call, turn.job.id)
    return {
        "id": turn.id,
        "before": turn.before_id,
        "said": turn.said,
        "kind": turn.kind,
        "mine": turn.user_id == call.actor.user_id,
        "sent": [{"number": one.number, "thumbs": await _sent_thumbs(call, one)} for one in turn.sent],
        "understood": sentence(turn.understood),
        "reply": _reply(turn.decision, turn.reply),
        "find": turn.decision.words if turn.kind == "find" else "",
        "waits": turn.waits_for if turn.asks else None,
        "offers": list(turn.offers),
        "job": job,
        "shows": await _shown(call, turn) if turn.kind in ("back", "pick") and not turn.reply else None,
        "number": turn.number if turn.kind in MAKES else None,
        "gone": job is None and not turn.asks and not turn.reply and turn.kind in (*MAKES, "ask"),
    }


async def _sent_thumbs(call: Call, one: Sent) -> list[str]:
    """Return where what came with a turn is, small, several of a grid; none where the reader can't be shown
    it."""
    if one.job_id is not None:
        numbers = range(1, one.made + 1) if one.position is None else [one.position + 1]
        return [f"/files/{one.job_id}/{n}/256.webp" for n in numbers]
    with suppress(ImageError):
        await call.studio.sources.check_sent(call.actor, one.sha256)
        return [f"/files/uploads/{one.sha256}.webp"]
    return []


def sentence(text: str) -> str:
    """Return a line as a sentence."""
    return f"{text[:1].upper()}{text[1:]}." if text else ""


async def _shown(call: Call, turn: Turn) -> dict[str, Any] | None:
    """Return the picture that "it" means after a turn, None before there is one."""
    number = turn.shows_number
    if turn.shows_sent is not None and number is not None:
        thumb = next(iter(await _sent_thumbs(call, Sent(number, turn.shows_sent))), None)
        return {"job": None, "n": 1, "number": number, "picture": _upload(number, thumb), "comes": False}
    if turn.shows is None:
        waits = {"job": None, "n": 1, "number": number, "picture": None, "comes": True}
        return waits if number is not None else None
    job_id, index = turn.shows
    shape: dict[str, Any] = {"job": job_id, "n": index + 1, "number": number, "picture": None}
    with suppress(ImageError, NotAllowedError):
        seen = await call.studio.gallery.look(call.actor, job_id)
        if seen.result is None:
            return shape | {"comes": not seen.job.status.over}
        how = dict(zip((one.index for one in seen.result.pictures), seen.visible, strict=False))
        if index in how and index not in seen.trashed:
            clip = next((one for one in seen.result.videos if one.index == index), None)
            stored = picture_of(seen.result, index)
            shape["picture"] = views.describe_picture(seen.job, stored, how[index], seen.kept, clip)
    return shape | {"comes": False}


def _upload(number: int, thumb: str | None) -> dict[str, Any] | None:
    """Return a picture that somebody has sent, as pictures of jobs are described."""
    if thumb is None:
        return None
    shape = {"n": 1, "width": None, "height": None, "seed": None, "favourite": False, "visibility": "show"}
    whole = {name: thumb.removesuffix(".webp") for name in ("href", "original", "thumb")}
    return shape | whole | {"small": thumb, "alt": _("Picture {number}", number=number), "video": None}


def _chip(label: str, name: str, picture: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the words of a bar are about, as its chip shows it."""
    thumb = picture["small"] if picture and picture["visibility"] == "show" else None
    return {"label": label, "name": name[:LONGEST_NAME], "thumb": thumb}


def _reply(decision: Decision, reply: str) -> str:
    """Return what is answered in place of a job, with the way of these pages where that names a command."""
    way = ON_PAGES.get(decision.command)
    if not way:
        return reply
    return way if decision.command == "/help" else _("That can't be done by talking. {way}", way=way)


async def chip_of(call: Call) -> dict[str, Any] | None:
    """Return what words are about that are typed on Create for a picture that the address names."""
    if not (job_id := call.query.get("talk")):
        return None
    try:
        job = await jobs.find_job(call, job_id)
    except (ImageError, NotAllowedError, Gone):
        return None
    n = call.query.get("n", "")
    picture = next((one for one in job["pictures"] if str(one["n"]) == (n or "1")), None)
    if picture is None or (picture["video"] and not job["parent"]):
        return None
    if not n and len(job["pictures"]) > 1 and not picture["video"]:
        name = _("one of {pictures} pictures", pictures=len(job["pictures"]))
        return {**_chip(_("these pictures"), name, picture), "picture": job["id"]}
    return {**_chip(_("this picture"), picture["alt"], picture), "picture": f"{job['id']} {picture['n']}"}

"""The text of a job's message in Discord's markdown: pure functions of a job, an event or a result.

Each text fits a message, and nobody's words in it can act as markdown or mention anybody.
"""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.convert import prompt_of, references
from core.events import Loading, Queued
from core.job import NOBODY, Job, Lane
from core.language import N_, _, retold
from core.prompt.parser import format_prompt
from core.requests import AskRequest, GenerateRequest, ImagineRequest, Request, TryRequest
from storage.job_queries import StoredPicture
from studio.texts import (
    code,
    duration,
    job_name,
    ordinal,
    plain,
    prompt_text,
    reader_text,
    shorter_prompts,
    unsupported_notes,
)

NO_FILES = N_(
    "Discord refused the files as too large, even at a smaller size. Use `/show` where larger files are"
    " allowed."
)
HELD_BACK = N_("{held} of {count} held back: not allowed here.")
WITHHELD = N_("*a rule here hides the words*")
FORGOTTEN = N_("I was restarted before I could save this. Please ask again.")
MAX_CONTENT = 2000  # characters of a message, https://discord.com/developers/docs/resources/message
BAR = 10  # parts of a progress bar
_LANES = {Lane.TURBO: N_("turbo"), Lane.FAST: N_("fast"), Lane.RELAX: N_("relaxed")}
_MARKDOWN = re.compile(r"([\\*_~`|>#\[\]()<@:-])")


def length(text: str) -> int:
    """Return the number of characters as Discord may count them at worst: in UTF-16 units."""
    return len(text) + sum(c > "\uffff" for c in text)


def cut_text(text: str, limit: int) -> str:
    """Return the beginning of ``text`` in at most ``limit`` UTF-16 units."""
    if length(text) <= limit:
        return text
    sizes = itertools.accumulate(length(c) for c in text)
    return "".join(c for c, size in zip(text, sizes, strict=True) if size <= limit)


def quote(text: str, limit: int = 1200) -> str:
    """Return user text that is safe inside a message: without markdown and mentions, in at most ``limit``
    characters, never cut within an escape."""
    out: list[str] = []
    room = limit
    for char in plain(text):
        piece = "\\" + char if _MARKDOWN.match(char) and char not in "-:()" else char
        room -= length(piece)
        if room < 0:
            while out and length("".join(out)) + 1 > limit:  # so that an ellipsis fits too
                out.pop()
            return "".join(out).rstrip() + "…"
        out.append(piece)
    return "".join(out)


def asker(user_id: int) -> str:
    """Return who asked for a job: a mention, or the studio itself."""
    return _("the studio itself") if user_id == NOBODY else f"<@{user_id}>"


Shape = tuple[int, int] | None  # of a picture: its aspect ratio, None for a square


def title(job: Job, shape: Shape = None) -> str:
    """Return what was asked and by whom: "**a house --ar 3:2** - Pan left by <@1>". ``shape``: of the result.
    Words that may not be told are left out."""
    request, user = job.request, asker(job.origin.user_id)
    if not job.worded:
        return _(
            "{withheld} - {request} by {user}", withheld=_(WITHHELD), request=job_name(request), user=user
        )
    match request:
        case AskRequest(question=question):
            words = f"**{quote(question, 250)}**"
        case TryRequest(name=name):
            words = _bold(name)
        case GenerateRequest():
            words = _bold(prompt_text(request, shape))
        case _:
            prompt = getattr(request, "prompt", "")
            words = _bold(prompt) if prompt else ""
    named = (
        user
        if isinstance(request, ImagineRequest)
        else _("{request} by {user}", request=job_name(request), user=user)
    )
    return f"{words} - {named}" if words else named


def _bold(text: str) -> str:
    if not text.strip() or text.startswith("--"):  # flags alone
        return _("*no prompt* {text}", text=quote(text)).rstrip()
    return f"**{quote(text)}**"


def placeholder_text(request: Request, user_id: int) -> str:
    """Return the text of a message that stands before there is a job. No rule has read the words yet, so it
    has none."""
    return _("{request} by {user_id} (Waiting to start)", request=job_name(request), user_id=asker(user_id))


def waiting_text(job: Job, queued: Queued) -> str:
    """Return the text while the job waits."""
    if queued.why and queued.eta is not None:
        again = _("It is tried again in {eta}; the job keeps its place.", eta=duration(queued.eta))
        return fit_message(f"{title(job)} (Waiting)\n-# {quote(queued.why, 400)} {again}")
    about = _(", about {eta}", eta=duration(queued.eta)) if queued.eta is not None else ""
    about = _(": the studio is getting ready") if queued.starting else about
    about = _(": an admin has paused the queue") if queued.held else about
    place = f", {ordinal(queued.position)}" if queued.position else ""  # where it stands may not be known
    late = _("\n-# If this takes over 15 minutes, it comes by direct message.") if job.origin.away else ""
    return fit_message(
        _("{job} (Waiting to start{place}{about}){late}", job=title(job), place=place, about=about, late=late)
    )


def loading(job: Job, event: Loading) -> str:
    """Return the text while the model is fetched or loads."""
    model, share = quote(event.model, 60), event.fraction
    if event.fetching:
        percent = f", {math.floor(share * 100)} %" if share is not None else ""
        about = _(", about {left}", left=duration(event.left)) if event.left is not None else ""
        return fit_message(
            _(
                "{job} (The model {model} is being downloaded{percent}{about})",
                job=title(job),
                model=model,
                percent=percent,
                about=about,
            )
        )
    percent = f" {share:.0%}" if share is not None else ""
    return fit_message(
        _(
            "{job} (Loading {model}{percent}, once after a start)",
            job=title(job),
            model=model,
            percent=percent,
        )
    )


def progress_text(job: Job, percent: int | None, detail: str = "") -> str:
    """Return the text while the job runs; None: before its first step. After its last one the pictures are
    still decoded, checked and sent. detail: of how far it is, beside the bar."""
    if percent is None:
        return fit_message(f"{title(job)} (Starting)")
    done = _("Finishing") if percent >= 100 else f"{percent}%"
    full = min(BAR, percent * BAR // 100)
    bar = " ".join(part for part in ("▰" * full + "▱" * (BAR - full), detail) if part)
    return fit_message(f"{title(job)} ({done}) ({_(_LANES[job.lane])})\n{bar}")


def paused(job: Job) -> str:
    """Return the text while the program restarts."""
    return fit_message(
        _("{job} (Paused while the studio restarts; this job then continues automatically)", job=title(job))
    )


def failed(job: Job, reason: str) -> str:
    """Return the text of a failed job. ``reason``: as the member is to read it."""
    return fit_message(f"{title(job)}\n❌ {retold(reason)}\n-# job {job.id}")


def kept(job: Job, address: str = "") -> str:
    """Return the text where Discord took no message with the result of ``job``. address: of the result on the
    web, if it is there."""
    web = _(", and it is at <{address}>", address=address) if address else ""
    return fit_message(
        _(
            "{job} (Done, but Discord refused the result)\n-# `/show job:{id}` brings it back{web}",
            job=title(job),
            id=job.id,
            web=web,
        )
    )


def held_back(job: Job) -> str:
    """Return the text of a result that may not be shown; it has nothing of the prompt."""
    return _(
        "{request} by <@{user_id}>\n🚫 The result isn't allowed here and was held back.\n-# job {id}",
        request=job_name(job.request),
        user_id=job.origin.user_id,
        id=job.id,
    )


def cancelled(job: Job) -> str:
    """Return the text of a cancelled job."""
    return fit_message(f"{title(job)} ({_('Cancelled')})\n-# job {job.id}")


def finished(
    job: Job,
    parameters: Mapping[str, Any],
    *,
    notes: Sequence[str] = (),
    shape: Shape = None,
    facts: Sequence[str] = (),
) -> str:
    """Return the final text of a picture or video job, whose pictures have ``shape``: its title, and below it
    its ids and ``notes``. facts: what is told in the place of the seed."""
    # what a member needs to ask for the same once more; Details has every other value
    seed = [_("seed {seed}", seed=job.request.seed)] if isinstance(job.request, GenerateRequest) else []
    told = [quote(fact, 60) for fact in facts] or seed
    ids = f"-# {' · '.join([*told, f'job {job.id}'])}"
    lines = [f"{title(job, shape)} ({_speed(job)})", ids]
    typed = unsupported_notes(job.request) if job.worded else ()
    lines += [f"-# {note}" for note in (*parameters.get("notes", ()), *typed, *notes)]
    return fit_message("\n".join(line for line in lines if line))


def _speed(job: Job) -> str:
    lane = _(_LANES[job.lane])
    return _("{lane}, stealth", lane=lane) if job.origin.private and not job.origin.away else lane


def single(
    job: Job,
    index: int,
    user_id: int,
    *,
    shape: Shape = None,
    seed: int | None = None,
    facts: Sequence[str] = (),
    noun: str = "",
) -> str:
    """Return the text above picture ``index`` (from 0) alone, for whoever pressed its U button. ``shape``,
    ``seed``: of the picture. facts: what is told in the place of the seed. noun: what it is."""
    drawn = job.request if isinstance(job.request, GenerateRequest) else None
    seed = drawn.seed_of(index) if drawn and seed is None else seed
    text = prompt_text(drawn.of_seed(seed), shape) if drawn else ""
    told = list(facts) or ([_("seed {seed}", seed=seed)] if seed is not None else [])
    detail = f"\n-# {' · '.join((*told, f'job {job.id} {index + 1}'))}" if told else ""
    head = _bold(text) if job.worded else _(WITHHELD)
    return fit_message(f"{head} - {noun or _('Image')} #{index + 1} <@{user_id}>{detail}")


def offer(times: Mapping[str, int]) -> str:
    """Return the question before several jobs are queued. ``times``: prompt → how often."""
    count = sum(times.values())
    lines = [
        f"- {quote(text, 150) or _('*no words*')}{(f' ({n} times)' if n > 1 else '')}"
        for text, n in list(times.items())[:8]
    ]
    rest = [_("- and {times} more", times=len(times) - 8)] if len(times) > 8 else []
    return fit_message(
        "\n".join(
            [_("This prompt makes **{count} jobs**:", count=count), *lines, *rest, "", _("Queue them all?")]
        )
    )


def shortened(job: Job, scores: Sequence[tuple[str, float]]) -> str:
    """Return the prompt with its strongest words bold and its weakest struck out, then shorter prompts by
    number. ``scores``: (word, weight)."""
    order = sorted((weight for _unused, weight in scores), reverse=True) or [0.0]
    strong = order[max(0, round(0.25 * len(order)) - 1)]
    weak = order[min(len(order) - 1, round(0.6 * len(order)))]
    words = []
    for word, weight in scores:
        mark = "**" if weight >= strong > weak else "~~" if weight <= weak < strong else ""
        words.append(f"{mark}{quote(word, 60)}{mark}")
    marked = " ".join(words)
    if len(marked) > 1000:
        marked = f"{marked[:1000].rpartition(' ')[0]} …"
    lines = [f"{_DIGITS[i]} {quote(text, 200)}" for i, text in enumerate(shorter_prompts(scores))]
    head = f"{job_name(job.request)} by <@{job.origin.user_id}>\n{marked}"
    tail = _("Press a button to imagine one of them") if lines else _("There is nothing to leave out")
    return fit_message("\n\n".join([head, *lines]) + _("\n-# {tail} · job {id}", tail=tail, id=job.id))


def weights(scores: Sequence[tuple[str, float]]) -> str:
    """Return every word with its weight, the strongest first. ``scores``: (word, weight)."""
    ordered = sorted(scores, key=lambda pair: -pair[1])
    return fit_message("\n".join(f"`{weight:4.2f}` {quote(word, 60)}" for word, weight in ordered[:60]))


def details(
    job: Job,
    parameters: Mapping[str, Any],
    pictures: Sequence[StoredPicture],
    index: int,
    more: Sequence[str] = (),
) -> list[str]:
    """Return everything about a job, to be copied, as texts that fit a message each. The picture with
    ``index`` (from 0) is marked. more: lines that are told as well."""
    lines = [
        _(
            "**Job** `{id}` · {request} · {status} · {job}",
            id=job.id,
            request=job_name(job.request),
            status=job.status,
            job=_speed(job),
        )
    ]
    if job.parent_id:
        lines.append(
            _(
                "**From** `{parent_id} {parent_index}`",
                parent_id=job.parent_id,
                parent_index=(job.parent_index or 0) + 1,
            )
        )
    if isinstance(job.request, GenerateRequest):
        typed = format_prompt(prompt_of(job.request, seed=True)).replace("```", chr(39) * 3)
        lines.append(_("**Prompt**\n```\n{typed}\n```", typed=cut_text(typed, MAX_CONTENT - 100)))
        named = references(job.request)
        if named:
            pictures_of = (f"<{n}> `{sha256[:12]}`" for n, sha256 in enumerate(named, 1))
            lines.append(_("**Its pictures** {pictures_of}", pictures_of=", ".join(pictures_of)))
    hidden = ("prompt", "notes", "kind", "image", "ways", "server", "candidates")
    shown = {k: v for k, v in parameters.items() if k not in hidden and v not in (None, "", [])}
    if shown:
        used = (f"{name} {code(str(value), 80)}" for name, value in shown.items())
        lines.append(_("**Used** {used}", used=" · ".join(used)))
    lines += more
    for number, picture in enumerate(pictures, 1):
        mark = " ←" if len(pictures) > 1 and number == index + 1 else ""
        size = f"{picture.width}×{picture.height}"
        lines.append(
            _(
                "**{number}** {size} · seed {seed} · `{sha256}`{mark}",
                number=number,
                size=size,
                seed=picture.seed,
                sha256=picture.sha256[:12],
                mark=mark,
            )
        )
    lines += [f"-# {note}" for note in (*parameters.get("notes", ()), *unsupported_notes(job.request))]
    return pages(lines)


_DIGITS = ("1️⃣", "2️⃣", "3️⃣", "4️⃣", "5️⃣", "6️⃣", "7️⃣", "8️⃣")


def described(
    job: Job,
    captions: Sequence[str | None],
    aspect: tuple[int, int] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> str:
    """Return the numbered captions of /describe, None = held back. ``aspect``: of the described picture.
    parameters: of the result, which say who wrote them."""
    flag = _(" --ar {aspect}:{aspect2}", aspect=aspect[0], aspect2=aspect[1]) if aspect else ""
    texts = (_("(held back)") if caption is None else f"{quote(caption, 400)}{flag}" for caption in captions)
    lines = [f"{digit} {text}" for digit, text in zip(_DIGITS, texts, strict=False)]
    given = parameters or {}
    reader = reader_text(given)
    foot = "\n".join(
        [
            _("-# {reader} · job {id}", reader=reader, id=job.id) if reader else _("-# job {id}", id=job.id),
            *notes_of(given),
        ]
    )
    return fit_message("\n\n".join([title(job), *lines]) + f"\n{foot}")


def classified(job: Job, scores: Sequence[tuple[str, float]], parameters: Mapping[str, Any]) -> str:
    """Return the best guess of /classify; the chart holds the others. ``scores``: (label, probability).
    parameters: of the result."""
    best, p = scores[0]
    reader = reader_text(parameters) or quote(str(parameters.get("model", "")), 60)
    lines = [
        title(job),
        f"**{quote(best, 80)}** {p:.1%}",
        _("-# {reader} · job {id}", reader=reader, id=job.id),
    ]
    return fit_message("\n".join([*lines, *notes_of(parameters)]))


def notes_of(parameters: Mapping[str, Any]) -> list[str]:
    """Return the notes of a result, a line each."""
    return [f"-# {quote(retold(str(note)), 400)}" for note in parameters.get("notes", ())]


def fit_message(text: str, limit: int = MAX_CONTENT) -> str:
    """Return ``text`` in at most ``limit`` characters. Of one that is too long the middle goes, because its
    end says whose it is and what became of it."""
    if length(text) <= limit:
        return text
    begin = len(text) - (limit // 2 - 400)
    if (begin - len(text[:begin].rstrip("\\"))) % 2:  # within an escape: what it took the sense of stays out
        begin += 1
    head, tail = text[: limit // 2 - 10], text[begin:]
    while length(head) + length(tail) + 1 > limit:
        head = head[:-1]
    return f"{head}…{tail}"


def pages(lines: Sequence[str], limit: int = MAX_CONTENT, between: str = "\n") -> list[str]:
    """Join ``lines`` to texts of at most ``limit`` characters each, without breaking a line. between: what
    stands between two of them."""
    found = [""]
    for line in (cut_text(line, limit) for line in lines):
        joined = f"{found[-1]}{between}{line}" if found[-1] else line
        if length(joined) <= limit:
            found[-1] = joined
        else:
            found.append(line)
    return found

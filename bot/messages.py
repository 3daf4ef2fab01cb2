"""The words of a job's message: pure functions from a job, an event and a result to text that fits Discord."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from core.job import Job, Lane
from core.prompt import format_prompt
from core.requests import ClassifyRequest, DescribeRequest, GenerateRequest, OutpaintRequest, VariationRequest
from core.wording import prompt_of

FORGOTTEN = "I was restarted before I could note this down. Please ask again."
MAX_CONTENT = 2000  # characters of a message, https://discord.com/developers/docs/resources/message
_LANES = {Lane.TURBO: "turbo", Lane.FAST: "fast", Lane.RELAX: "relaxed"}
_UNSEEN = ("Cc", "Cf", "Co", "Cs", "Cn")  # Unicode's categories of control, format (zero-width, bidirectional, tags), private, surrogate, unassigned
_BLANK = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {chr(c) for c in range(0xE0100, 0xE01F0)}  # look like nothing
_MARKDOWN = re.compile(r"([\\*_~`|>#\[\]()<@:-])")


def seen(text: str) -> str:
    """``text`` without control, bidirectional, zero-width and otherwise unseen characters; lines stay."""
    return "".join(c for c in text if c in "\n " or (unicodedata.category(c) not in _UNSEEN and c not in _BLANK))


def plain(text: str) -> str:
    """The same on one line, with single spaces."""
    return " ".join(seen(" ".join(text.split())).split())


def length(text: str) -> int:
    """Characters as Discord may count them at worst: UTF-16 units."""
    return len(text) + sum(c > "\uffff" for c in text)


def quote(text: str, limit: int = 1200) -> str:
    """Somebody's words, safe inside a message: no markdown, no mentions, at most ``limit`` characters, never cut in an escape."""
    out, room = [], limit
    for char in plain(text):
        piece = "\\" + char if _MARKDOWN.match(char) and char not in "-:()" else char
        room -= length(piece)
        if room < 0:
            return _ended(out, limit)
        out.append(piece)
    return "".join(out)


def _ended(pieces: list[str], limit: int) -> str:
    """Cut so that an ellipsis fits too."""
    while pieces and length("".join(pieces)) + 1 > limit:
        pieces.pop()
    return "".join(pieces).rstrip() + "…"


def code(text: str, limit: int = 100) -> str:
    """Somebody's words in a code span that they can't get out of."""
    return f"`{plain(text)[:limit].replace('`', chr(39)) or ' '}`"


def ordinal(n: int) -> str:
    suffix = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"


def duration(seconds: float) -> str:
    """ "8 s", "3 min", "2 h": one unit, for people."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{round(seconds / 3600)} h"


def words(request: GenerateRequest) -> str:
    """The prompt as its user would type it, without the values the model chose."""
    return format_prompt(prompt_of(request))


def title(job: Job) -> str:
    """ "**a red house --ar 3:2** - <@1>": what was asked, and by whom."""
    request, user = job.request, f"<@{job.origin.user_id}>"
    match request:
        case VariationRequest():
            return f"{_bold(words(request))} - Variations ({request.variation.title()}) by {user}"
        case OutpaintRequest():
            return f"{_bold(words(request))} - {_outpainted(request)} by {user}"
        case DescribeRequest():
            return f"Describe - {user}"
        case ClassifyRequest():
            return f"Classify - {user}"
        case GenerateRequest():
            return f"{_bold(words(request))} - {user}"
    raise TypeError(f"no title for {type(request).__name__}")


def _bold(text: str) -> str:
    return f"**{quote(text)}**" if text.strip() else "*no prompt*"


def _outpainted(request: OutpaintRequest) -> str:
    sides = {name: getattr(request, name) for name in ("left", "right", "top", "bottom")}
    used = [name for name, px in sides.items() if px]
    if len(used) == 1:
        return "Pan " + {"left": "Left", "right": "Right", "top": "Up", "bottom": "Down"}[used[0]]
    return "Zoom Out" if len(used) == 4 else "Outpaint"


def asked(prompt: str, user_id: int) -> str:
    """Before there is a job."""
    return fit(f"{_bold(prompt)} - <@{user_id}> (Waiting to start)")


def waiting(job: Job, position: int, eta: float | None) -> str:
    about = f", about {duration(eta)}" if eta is not None else ""
    return fit(f"{title(job)} (Waiting to start, {ordinal(position)}{about})")


def loading(job: Job, model: str, fraction: float | None) -> str:
    percent = f" {fraction:.0%}" if fraction is not None else ""
    return fit(f"{title(job)} (Loading {quote(model, 60)}{percent}, once after a start)")


def running(job: Job, percent: int | None) -> str:
    return fit(f"{title(job)} ({percent}%) ({_LANES[job.lane]})" if percent is not None else f"{title(job)} (Starting)")


def paused(job: Job) -> str:
    return fit(f"{title(job)} (Paused: the studio restarts; this job goes on by itself afterwards)")


def failed(job: Job, reason: str) -> str:
    return fit(f"{title(job)}\n❌ {reason}\n-# job {job.id}")


def held_back(job: Job) -> str:
    return f"/{job.request.kind} by <@{job.origin.user_id}>\n🚫 The result isn't fit to be shown here and was held back.\n-# job {job.id}"


def cancelled(job: Job) -> str:
    return fit(f"{title(job)} (Cancelled)\n-# job {job.id}")


def finished(job: Job, parameters: dict[str, Any], *, notes: Sequence[str] = ()) -> str:
    """The final line of a picture job, its parameters readable below it."""
    lines = [f"{title(job)} ({_LANES[job.lane]})", _parameters(job, parameters)]
    lines += [f"-# {note}" for note in (*parameters.get("notes", ()), *notes)]
    return fit("\n".join(line for line in lines if line))


def _parameters(job: Job, values: dict[str, Any]) -> str:
    parts = []
    if isinstance(job.request, GenerateRequest):
        parts.append(f"seed {job.request.seed}")
    if values.get("width") and values.get("height"):
        parts.append(f"{values['width']}×{values['height']}")
    if values.get("num_inference_steps"):
        parts.append(f"{values['num_inference_steps']} steps")
    if values.get("guidance_scale") is not None:
        parts.append(f"cfg {values['guidance_scale']:g}")
    if values.get("strength") is not None:
        parts.append(f"strength {values['strength']:g}")
    if values.get("sampler"):
        parts.append(str(values["sampler"]))
    if values.get("model"):
        parts.append(quote(str(values["model"]), 60))
    return f"-# {' · '.join([*parts, f'job {job.id}'])}"


def single(job: Job, index: int, user_id: int) -> str:
    """Of a U button pressed by ``user_id``: picture ``index`` (from 0) alone."""
    text = words(job.request) if isinstance(job.request, GenerateRequest) else ""
    seed = job.request.seed + index if isinstance(job.request, GenerateRequest) else None
    detail = f"\n-# seed {seed} · job {job.id} {index + 1}" if seed is not None else ""
    return fit(f"{_bold(text)} - Image #{index + 1} <@{user_id}>{detail}")


def described(job: Job, captions: Sequence[str]) -> str:
    """The numbered list of /describe."""
    digits = ("1️⃣", "2️⃣", "3️⃣", "4️⃣", "5️⃣", "6️⃣", "7️⃣", "8️⃣")
    lines = [f"{digits[i]} {quote(caption, 400)}" for i, caption in enumerate(captions)]
    return fit("\n\n".join([title(job), *lines]) + f"\n-# job {job.id}")


def classified(job: Job, scores: Sequence[tuple[str, float]], model: str) -> str:
    """Best guess in words; the chart holds the rest."""
    best, p = scores[0]
    return fit(f"{title(job)}\n**{quote(best, 80)}** {p:.1%}\n-# {quote(model, 60)} · job {job.id}")


def fit(text: str) -> str:
    """At most MAX_CONTENT: the middle of a text that is too long goes, for its end says whose it is and what became of it."""
    if length(text) <= MAX_CONTENT:
        return text
    head, tail = text[: MAX_CONTENT // 2 - 10], text[-(MAX_CONTENT // 2 - 400) :]
    while length(head) + length(tail) + 1 > MAX_CONTENT:
        head = head[:-1]
    return f"{head}…{tail}"


def pages(lines: Sequence[str], limit: int = MAX_CONTENT) -> list[str]:
    """``lines`` as texts of at most ``limit`` characters, no line broken."""
    found = [""]
    for line in (line[:limit] for line in lines):
        joined = f"{found[-1]}\n{line}" if found[-1] else line
        if len(joined) <= limit:
            found[-1] = joined
        else:
            found.append(line)
    return found

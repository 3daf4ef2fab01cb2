"""What a chat model answers, and sets of examples for it, as Discord's markdown: formatted as the model meant
it, but with no link, mention or footer of its own making, and no way out of a block of code."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bot.ui import messages
from bot.ui.buttons import MOST_IN_ROW, JobButton, Rows, rows_of
from bot.ui.layout import MOST_CHARACTERS
from bot.ui.messages import MAX_CONTENT, fit_message, length, quote
from core.events import ChatAnswer
from core.job import Job
from core.language import N_, _
from core.requests import AskRequest
from storage.conversations import ExampleSet, Feedback
from studio.example_sets import PAGE, Contents
from studio.texts import counted, may_be_drawn, visible

MAX_ANSWER = 3900  # characters of an answer in its message; the whole is in a file then
MAX_GROWING = 1900  # characters of one that is still written: its newest part
FILE = "answer.md"
ACTIONS = ("more", "again", "draw", "teach", "thread", "details", "delete")
LENGTH_LIMIT = N_("The answer reached the length limit. Press **Ask more** and write “continue”.")
MAY_BE_WRONG = N_("A model wrote this and may be wrong; check what matters.")
_FENCED = re.compile(r"```(.*?)(?:```|\Z)", re.DOTALL)
_INLINE = re.compile(r"(?<!`)(`{1,2})(?!`)([^`\n]+?)\1(?!`)")
_ADDRESS = re.compile(
    r"(?:\w+://|\bdiscord(?:app)?\.(?:gg|com)/|\bdsc\.gg/|\bwww\.)[^\s<>`]*[^\s<>`.,:;!?)\]'\"]"
)
_ACTIVE = re.compile(r"([\\`\[\]<>@|])")
_HEADING = re.compile(r"^(\s*)#{1,3}\s+(.*?)\s*$", re.MULTILINE)
_SUBTEXT = re.compile(r"^(\s*)-#", re.MULTILINE)


def safe(text: str) -> str:
    """Return an answer as markdown that can only look like text, lists, emphasis and code."""
    return "".join(_safe_parts(visible(text.expandtabs(4)).replace("\r", "")))


def _safe_parts(text: str) -> Iterator[str]:
    done = 0
    for block in _FENCED.finditer(text):
        yield from _safe_lines(text[done : block.start()])
        body = block[1].rstrip("`")
        if body.strip():
            yield f"```{body}{'' if body.endswith(chr(10)) else chr(10) if chr(10) in body else ''}```"
        done = block.end()
    yield from _safe_lines(text[done:])


def _safe_lines(text: str) -> Iterator[str]:
    done = 0
    for span in _INLINE.finditer(text):
        yield _plain(text[done : span.start()])
        yield f"`{span[2]}`"
        done = span.end()
    yield _plain(text[done:])


def _plain(text: str) -> str:
    """Return text outside of code. Addresses become code: nobody follows a link that a picture may have
    dictated."""
    done, parts = 0, list[str]()
    for address in _ADDRESS.finditer(text):
        parts += [_escaped(text[done : address.start()]), f"`{address[0]}`"]
        done = address.end()
    return "".join([*parts, _escaped(text[done:])])


def _escaped(text: str) -> str:
    text = _ACTIVE.sub(r"\\\1", text)
    text = _HEADING.sub(lambda found: f"{found[1]}**{found[2].replace('**', '')}**", text)
    return _SUBTEXT.sub(r"\1\\-#", text)


def beginning(text: str, limit: int = MAX_ANSWER) -> tuple[str, bool]:
    """Return as much of an answer as fits, made safe, and whether that is all of it. It ends with a paragraph
    or line where that leaves most of it."""
    whole = safe(text)
    if length(whole) <= limit:
        return whole, True
    room = _fitting(text, limit - 2, lambda size: text[:size])
    kept = text[:room]
    for end in ("\n\n", "\n", ". ", " "):
        place = kept.rfind(end)
        if place > room // 2:
            kept = kept[: place + len(end)]
            break
    return f"{safe(kept.rstrip())} …", False


def ending(text: str, limit: int = MAX_GROWING) -> str:
    """Return the newest part of a growing answer, made safe; what is inside a block of code stays so."""
    whole = safe(text)
    if length(whole) <= limit:
        return whole
    room = _fitting(text, limit - 10, lambda size: _inside(text, len(text) - size))
    start = len(text) - room
    line = text.find("\n", start, start + room // 2)
    return f"… {safe(_inside(text, line + 1 if line >= 0 else start))}"


def _inside(text: str, start: int) -> str:
    """Return the end of ``text`` from ``start`` on, opening the block of code in which that lies."""
    return ("```\n" if text.count("```", 0, start) % 2 else "") + text[start:]


def _fitting(text: str, limit: int, part: Any) -> int:
    """Return how many characters of ``text`` make a part that fits once it is safe."""
    size = min(len(text), limit)
    while size > 0 and (made := length(safe(part(size)))) > limit:
        size = min(size - 1, size * limit // made)
    return size


def title(job: Job, state: str = "") -> str:
    """Return the question and who asked it; ``state``: what is going on with its answer."""
    return f"{messages.title(job)}{f' ({state})' if state else ''}"


def answering(job: Job, text: str, formed: Mapping[str, Callable[[str], str]]) -> str:
    """Return the message while an answer grows. formed: how that of a form is shown."""
    head = title(job, _("Answering") if text.strip() else _("Thinking"))
    if isinstance(job.request, AskRequest) and job.request.form in formed and text.strip():
        return fit_message(f"{head}\n{formed[job.request.form](text)}")
    room = min(MAX_GROWING, MAX_CONTENT - length(head) - 5)
    return f"{head}\n{ending(text, room)} …" if text.strip() else head


def answered(
    job: Job, answer: ChatAnswer, parameters: Mapping[str, Any], body: str | None = None
) -> tuple[str, bool]:
    """Return the message with an answer, and whether that holds all of it. body: what is shown in place of
    its words."""
    head = title(job, _("Stopped") if answer.ended == "stopped" else "")
    notes = list(parameters.get("notes", ()))
    if answer.ended == "length":
        notes.insert(0, _(LENGTH_LIMIT))
    if answer.turns_dropped:
        notes.append(
            _("The model had no room for {turns}.", turns=counted(answer.turns_dropped, "earlier turn"))
        )
    if isinstance(job.request, AskRequest) and answer.tokens_out:  # what was measured says so itself
        if not job.request.follows or job.request.form in ("table", "boxes", "text"):  # these look exact
            notes.append(_(MAY_BE_WRONG))
    foot = "\n".join(f"-# {quote(note, 300)}" for note in notes[:4])
    foot = f"{foot}\n-# job {job.id}" if foot else f"-# job {job.id}"
    room = min(MAX_ANSWER, MOST_CHARACTERS - length(head) - length(foot) - 80)
    shown, whole = beginning(answer.text, room) if body is None else (body, True)
    if not shown.strip():
        shown = _("*The model gave an empty answer.*")
    more = "" if whole else _("\n-# The whole answer is in {file}", file=FILE)
    return fit_message(f"{head}\n{shown}{more}\n{foot}", MOST_CHARACTERS), whole


def rows_of_answer(job: Job, text: str) -> Rows:
    """Return how a conversation continues, and what can be done with an answer, which is ``text``."""
    private = job.origin.guild_id is None or job.origin.private
    idle = {"thread"} if private else set()  # there are none
    idle |= set() if may_be_drawn(text) else {"draw"}
    shown = [action for action in ACTIONS if action not in idle]
    return rows_of(
        *(JobButton(job.id, action, row=place // MOST_IN_ROW) for place, action in enumerate(shown))
    )


def details(answer: ChatAnswer, feedback: Feedback) -> list[str]:
    """Return what the model saw, how much it was, and what people found of it, a line each."""
    seen = ", ".join(f"{width}×{height}" for width, height in answer.pictures)
    dropped = f" · {counted(answer.turns_dropped, 'turn')} dropped" if answer.turns_dropped else ""
    ended = {"end": _("by itself"), "length": _("at the limit"), "stopped": _("when it was stopped")}[
        answer.ended
    ]
    found = _("**Rated** right by {right}, wrong by {wrong}", right=feedback.right, wrong=feedback.wrong)
    shown = _("**Pictures** {pictures} of this conversation")
    if seen:
        shown = _("**Pictures** {pictures} of this conversation, as the model saw them: {seen} px")
    return [
        shown.format(pictures=counted(len(answer.pictures), "picture"), seen=seen),
        _(
            "**Tokens** {tokens_in:,} in, {tokens_cached:,} of them known from before "
            "· {tokens_out:,} out · it ended {ended}{dropped}",
            tokens_in=answer.tokens_in,
            tokens_cached=answer.tokens_cached,
            tokens_out=answer.tokens_out,
            ended=ended,
            dropped=dropped,
        ),
        *([found] if any(feedback) else []),
    ]


LISTED = 20  # labels, or questions, of a message
NONE = N_(
    "You have no sets yet. `/examples new` makes one; then `/examples add` puts labelled pictures into it."
)
ROUNDED = 0.01  # of an example, by which a share that was counted may be off
FEW = 4  # pictures of a label, under which more would help most


def sets_text(found: Sequence[ExampleSet], user_id: int) -> str:
    """Return the names of somebody's sets, and of those that others share with them."""
    if not found:
        return _(NONE)
    lines = [f"**{quote(one.name, 80)}** {_whose(one, user_id)}" for one in found]
    return fit_message("\n".join(lines))


def _whose(found: ExampleSet, user_id: int) -> str:
    if found.user_id != user_id:
        return _("by <@{user_id}>, shared here", user_id=found.user_id)
    return _("shared with a server") if found.guild_id is not None else "private"


def contents_text(found: Contents, user_id: int, page: int) -> str:
    """Return what is in a set. page: of its pictures, from 0."""
    count = counted(len(found.examples), "example")
    head = f"**{quote(found.set.name, 80)}** · {count} · {_whose(found.set, user_id)}"
    if not found.examples:
        return fit_message(_("{head}\nIt is empty. `/examples add` puts pictures into it.", head=head))
    if found.answers:
        asked = enumerate(found.examples[:LISTED], 1)
        lines = [f"{n}. {quote(one.question, 60)} → {quote(one.label, 60)}" for n, one in asked]
        more = len(found.examples) - LISTED
        lines += [_("-# and {more} more", more=more)] if more > 0 else []
    else:
        lines = [*_labels(found), _numbers(found, page)]
    last = -(-len(found.examples) // PAGE)
    pages = (
        _("\n-# Page {page} of {last}: `/examples show` with `page`", page=page + 1, last=last)
        if last > 1
        else ""
    )
    return fit_message("\n".join([head, *lines]) + pages)


def _labels(found: Contents) -> list[str]:
    lines = [f"{quote(label, 80)}: {count}" for label, count in found.labels.items()]
    few = [quote(label, 40) for label, count in found.labels.items() if count < FEW]
    if len(found.labels) < 2:
        lines.append(_("-# A set needs at least two labels."))
    elif few:
        lines.append(
            _("-# Add at least {few} pictures per label; {few2} has fewer.", few=FEW, few2=", ".join(few[:5]))
        )
    return lines


def _numbers(found: Contents, page: int) -> str:
    """Return which labels the numbers on a page of pictures have."""
    first, parts = page * PAGE, list[str]()
    shown = found.examples[first : first + PAGE]
    for label, some in itertools.groupby(enumerate(shown, first + 1), lambda pair: pair[1].label):
        numbers = [number for number, _unused in some]
        range_ = (
            _("{numbers} to {numbers2}", numbers=numbers[0], numbers2=numbers[-1])
            if len(numbers) > 1
            else f"{numbers[0]}"
        )
        parts.append(f"{range_}: {quote(label, 40)}")
    return f"-# {' · '.join(parts)}"


def trial_text(job: Job, scores: Sequence[tuple[str, float]], parameters: Mapping[str, Any]) -> str:
    """Return the label that fits best, and how far either way can be trusted. scores: (label, probability).
    parameters: of the result."""
    best, chance = scores[0]
    ways = sorted(parameters.get("ways", ()), key=lambda way: way["name"] != parameters.get("model"))
    lines = [f"-# {_way(way, place)}" for place, way in enumerate(ways)]
    head = f"{messages.title(job)}\n**{quote(best, 80)}** {chance:.1%}"
    return fit_message("\n".join([head, *lines, *messages.notes_of(parameters), f"-# job {job.id}"]))


def _way(way: Mapping[str, Any], place: int) -> str:
    name = quote(str(way["name"]), 60)
    said = f"{name} answered"
    if place > 0:
        said = _(
            "{name} says {label} ({chance:.0%})",
            name=name,
            label=quote(str(way["label"]), 60),
            chance=way["chance"],
        )
    if way["accuracy"] is None:
        return _("{said}; not tested: that needs two examples per label", said=said)
    counts = _("{right} of {tested} test examples right", right=way["right"], tested=way["tested"])
    estimated = abs(way["accuracy"] * way["tested"] - way["right"]) > ROUNDED
    about = _(", about {accuracy:.0%} of new pictures", accuracy=way["accuracy"]) if estimated else ""
    return f"{said}: {counts}{about}"

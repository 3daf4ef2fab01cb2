"""Words about requests, pictures, videos and tables that any door can show: pure functions to text with
backticks at most, CSV or JSON. Discord's markdown and its limits are left to ``bot/ui/messages.py``."""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from core.convert import prompt_of
from core.errors import UserError
from core.language import N_, _, n_
from core.limits import IMAGE_WEIGHT_CAP, MAX_ASPECT, STYLIZE_CAP
from core.prompt.parameters import Reach, parameters
from core.prompt.parser import SUPPORTED, Prompt, format_prompt, why_unsupported
from core.prompt.values import decimal, short
from core.requests import (
    BlendRequest,
    ComposeRequest,
    CutOutRequest,
    EditRequest,
    GenerateRequest,
    OutpaintRequest,
    RegionRequest,
    Request,
    UpscaleRequest,
    VariationRequest,
)
from core.requests.custom_models import ANOMALY, CLASSIFY, DETECT, STYLE, InspectRequest, ProjectRequest
from core.requests.video import VideoRequest
from core.results import Cell, Table
from jobs.queue import Result
from storage.videos import StoredVideo

# Unicode's categories of control, format (zero-width, bidirectional, tags), private, surrogate, unassigned
_INVISIBLE = ("Cc", "Cf", "Co", "Cs", "Cn")
# Letters that look like nothing, and the variation selectors
_BLANK = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {chr(c) for c in range(0xE0100, 0xE01F0)}
_LANDSCAPE = (Fraction(5, 4), Fraction(4, 3), Fraction(3, 2), Fraction(16, 9), Fraction(2), Fraction(21, 9))
COMMON = (Fraction(1), *_LANDSCAPE, *(1 / ratio for ratio in _LANDSCAPE))  # aspect ratios that people type
ROUNDED = 0.03  # how far a picture may be from the ratio that was asked: sides are whole blocks of pixels
# as is their shape
FROM_A_PICTURE = (
    ComposeRequest,
    CutOutRequest,
    EditRequest,
    OutpaintRequest,
    RegionRequest,
    UpscaleRequest,
    VariationRequest,
)
ARTICLES = frozenset(("a", "an", "the", "his", "her", "its", "their", "my", "your", "our", "no"))
LITTLE_WORDS = ARTICLES | frozenset(
    "above after against along among and around as at before behind below beneath beside between by for from"
    " in inside into like near of off on onto or over through to towards under up with without".split()
)
SHORTER = (0.8, 0.6, 0.45, 0.3, 0.2)  # shares of a prompt's words that are kept


def visible(text: str) -> str:
    """Return ``text`` without control, bidirectional, zero-width and other invisible characters. Line breaks
    stay."""
    return "".join(
        c for c in text if c in "\n " or (unicodedata.category(c) not in _INVISIBLE and c not in _BLANK)
    )


def plain(text: str) -> str:
    """Return the visible characters of ``text`` on one line, with single spaces."""
    return " ".join(visible(" ".join(text.split())).split())


def code(text: str, limit: int = 100) -> str:
    """Return user text as inline code, with backticks replaced so that it can't end the span."""
    return f"`{plain(text)[:limit].replace('`', chr(39)) or ' '}`"


def ordinal(n: int) -> str:
    """Return "1st", "2nd", "3rd" …"""
    if 10 <= n % 100 <= 20:
        return _("{n}th", n=n)
    return _({1: N_("{n}st"), 2: N_("{n}nd"), 3: N_("{n}rd")}.get(n % 10, N_("{n}th")), n=n)


def counted(number: int, noun: str) -> str:
    """Return "1 job", "2 jobs" in the language that holds."""
    return n_(f"{{n}} {noun}", f"{{n}} {noun}s", number)


def duration(seconds: float) -> str:
    """Return "8 s", "3 min" or "2 h": one unit, for people."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{round(seconds / 3600)} h"


def prompt_text(request: GenerateRequest, shape: tuple[int, int] | None = None) -> str:
    """Return the prompt as its user would type it, without the values that the model chose.

    shape: aspect ratio of the pictures; it is told where they took it from another picture or a button.
    """
    prompt = prompt_of(request)
    if isinstance(request, EditRequest) and request.then:
        prompt = replace(prompt, text=", then ".join(request.instructions), parts=())
    if isinstance(request, FROM_A_PICTURE) and shape is not None:
        prompt = replace(prompt, aspect_ratio=shape, size=None)
    return format_prompt(prompt)


_NOT_DRAWN = re.compile(
    r"(?:yes|no|none|zero|one|two|three|four|five|six|seven|eight|nine|ten|[\d.,\s%]+)\W*"
    r"|(?:yes|no|none|nothing)[,:].*"
    r"|I (?:have never learned|wasn't taught|see nothing|find no|don't know|count|looked again)\b.*"
    r"|(?:This is a single picture|Readers of)\b.*",
    re.IGNORECASE | re.DOTALL,
)


def may_be_drawn(answer: str) -> bool:
    """Return whether an answer says what a picture may show: "yes", a number or "I don't know" doesn't."""
    return bool(answer.strip()) and not _NOT_DRAWN.fullmatch(answer.strip())


def without_effect(request: Request) -> list[str]:
    """Return the flags, as a prompt has them, that were understood but have no effect here."""
    if not isinstance(request, GenerateRequest):
        return []
    return [flag for flag in (_missing_version(request), *request.unsupported) if flag]


def _missing_version(request: GenerateRequest) -> str:
    """Return the flag for a version of Midjourney's that no model here stands for, "" where there is none."""
    if not request.version or request.model:
        return ""
    return f"--{request.version}" if request.version.startswith("niji") else f"--v {request.version}"


def unsupported_notes(request: Request) -> list[str]:
    """Return sentences about what was understood but has no effect here."""
    if not isinstance(request, GenerateRequest):
        return []
    reasons: dict[str, list[str]] = {}
    for flag in request.unsupported:
        video = isinstance(request, VideoRequest)
        reasons.setdefault(why_unsupported(flag, video=video), []).append(code(flag))
    missing = _missing_version(request)
    notes = (
        [_("`{missing}` isn't installed here; the default model was used.", missing=missing)]
        if missing
        else []
    )
    for why, flags in reasons.items():
        notes.append(
            _("{flags}: {why}. Everything else in the prompt was used.", flags=", ".join(flags), why=why)
        )
    highest = (("stylize", request.stylize, STYLIZE_CAP), ("iw", request.image_weight, IMAGE_WEIGHT_CAP))
    for name, value, limit in highest:
        if value is not None and value > limit:
            notes.append(
                _(
                    "`--{name} {value:g}` counted as {limit}, the most here.",
                    name=name,
                    value=value,
                    limit=limit,
                )
            )
    return [*notes, *_weight_notes(request)]


def _weight_notes(request: GenerateRequest) -> Iterator[str]:
    """Name the weights of pictures that the request doesn't have."""
    weights = (
        ("iw", request.image_weight, request.image_prompts, _("image prompt")),
        ("cw", request.character_weight, request.character_references, "`--cref`"),
        ("sw", request.style_weight, (*request.style_references, *request.style_codes), "`--sref`"),
        ("ow", request.omni_weight, request.omni_references, "`--oref`"),
    )
    for name, value, pictures, what in weights:
        if value is not None and not pictures:
            yield _("`--{name}` had no effect: there is no {what}.", name=name, what=what)


def offered(result: Result) -> list[str]:
    """Return the words of a result that a button makes a prompt of."""
    answered = [" ".join(result.answer.text.split())] if result.answer else []
    return [*result.captions, *shorter_prompts(result.scores), *answered]


def shorter_prompts(scores: Sequence[tuple[str, float]]) -> list[str]:
    """Return up to five shorter prompts, each shorter than the one before. They consist of the words with the
    highest weights, in the prompt's order. ``scores``: (word, weight).

    Words that mean nothing alone ("in the") stay with those behind them, as long as one of those stays; and
    so does the last word of such a phrase, which the others describe.
    """
    phrases = _phrases([word for word, _unused in scores])
    order = sorted((i for _unused, content in phrases for i in content), key=lambda i: -scores[i][1])
    found: dict[str, int] = {}
    for share in SHORTER:
        kept = _whole_phrases(phrases, set(order[: max(1, round(share * len(order)))]), scores)
        text = " ".join(scores[i][0] for i in kept).strip(" ,.;:")
        if text and len(kept) < min(found.values(), default=len(scores)):
            found[text] = len(kept)
    return list(found)


def _phrases(words: Sequence[str]) -> list[tuple[list[int], list[int]]]:
    """Return (little words, words behind them) of each phrase, as indices. A phrase ends at a comma or before
    a little word; little words at the very end belong to none."""
    phrases: list[tuple[list[int], list[int]]] = []
    ended = True
    for i, word in enumerate(words):
        little = word.lower() in LITTLE_WORDS or (not ended and _is_doing(word) and bool(phrases[-1][1]))
        if ended or (little and phrases[-1][1]):
            phrases.append(([], []))
        phrases[-1][0 if little else 1].append(i)
        ended = word[-1] in ",.;:!?"
    return [phrase for phrase in phrases if phrase[1]]


def _is_doing(word: str) -> bool:
    """Return whether a word behind a noun says what that does: "standing" in "a fox standing in the snow"."""
    return len(word) > 5 and word.lower().endswith("ing")


def _whole_phrases(
    phrases: Sequence[tuple[list[int], list[int]]], kept: set[int], scores: Sequence[tuple[str, float]]
) -> list[int]:
    """Return the indices of ``kept`` and of what goes with them. A preposition goes with the phrase before
    it."""
    out: list[int] = []
    follows = False
    for little, content in phrases:
        mine = [i for i in content if i in kept or (i == content[-1] and kept & set(content))]
        if mine:
            out += [i for i in little if follows or scores[i][0].lower() in ARTICLES] + mine
        follows = bool(mine)
    return out


def aspect_ratio(width: int, height: int) -> tuple[int, int] | None:
    """Return a picture's aspect ratio in small whole numbers, as close as /imagine can draw it; None for a
    square."""
    near = Fraction(width, height)
    common = min(COMMON, key=lambda ratio: abs(near / ratio - 1))
    if abs(near / common - 1) <= ROUNDED:
        return None if common == 1 else common.as_integer_ratio()
    near = min(
        max(Fraction(width, height).limit_denominator(20), Fraction(1, MAX_ASPECT)), Fraction(MAX_ASPECT)
    )
    return None if near == 1 else near.as_integer_ratio()


def caption_prompt(caption: str, aspect: tuple[int, int] | None) -> str:
    """Return the prompt to type for imagining ``caption`` in the aspect ratio of the picture that it
    describes."""
    return format_prompt(Prompt(text=caption, aspect_ratio=aspect))


def typed_anew(made_by: GenerateRequest | None, prompt: Prompt, reaches: Sequence[Reach]) -> list[str]:
    """Return those flags with such a reach that ``prompt`` has and the parent's words had not, as typed."""
    before, found = prompt_of(made_by) if made_by else Prompt(), []
    for flag in SUPPORTED:
        value = getattr(prompt, flag.field)
        reach = parameters(Prompt)[flag.field].reach
        if (
            reach in reaches
            and flag.value.writes(value)
            and value not in (False, getattr(before, flag.field))
        ):
            found.append(flag.typed(value))
    return found


def differs(prompt: Prompt, request: GenerateRequest) -> bool:
    """Return whether the words of a prompt aren't the request's own."""
    before = prompt_of(request)
    own = (before.text, before.parts, before.negative_prompt)
    return (prompt.text, prompt.parts, prompt.negative_prompt) != own


SUBTLE, STRONG = 0.45, 0.65  # strengths of a remix up to which, and from which on, it is called so
_OPERATIONS = {
    "extend": N_("Extended"),
    "extend_back": N_("Extended back"),
    "blend": N_("Blend of 2"),
    "loop": N_("Loop"),
}
_TASKS = {
    ANOMALY: N_("an inspection"),
    DETECT: N_("a detector"),
    STYLE: N_("a style"),
    CLASSIFY: N_("own labels"),
}
_ASKED = {ANOMALY: N_("Inspection"), DETECT: N_("Detection")}


def job_name(request: Request) -> str:
    """Return what people call a job, by what was pressed: "Zoom out 2×", "Pan right", "Part redrawn"."""
    match request:
        case VariationRequest(remix=remix, variation=amount):
            if amount == "full":
                return _("Drawn in full")
            return f"{_('Remix' if remix else request.called)} ({_(amount.title())})"
        case UpscaleRequest(factor=factor, mode=mode):
            return f"{_(request.called)} {factor}× ({_(mode.title())})"
        case OutpaintRequest(zoom=zoom, left=left, right=right, top=top, bottom=bottom):
            sides = {"left": left, "right": right, "up": top, "down": bottom}
            match [side for side, px in sides.items() if px]:
                case [side]:
                    return _(
                        {"left": N_("Pan left"), "right": N_("Pan right"), "up": N_("Pan up")}.get(
                            side, N_("Pan down")
                        )
                    )
                case ["left", "right"]:
                    return _("Made wider")
                case ["up", "down"]:
                    return _("Made taller")
            return f"{_(request.called)} {zoom:g}×" if zoom else _(request.called)
        case BlendRequest(images=images):
            return _("{called} of {images}", called=_(request.called), images=len(images))
        case VideoRequest(operation="remix", strength=strength):
            if strength is None or SUBTLE < strength < STRONG:
                return _("Remix (Mild)")
            return _("Remix (Subtle)") if strength <= SUBTLE else _("Remix (Strong)")
        case VideoRequest(operation=operation):
            return _(_OPERATIONS.get(operation, request.called))
        case InspectRequest(task=task):
            return _(_ASKED.get(task, N_("Classification")))
        case ProjectRequest(task=task):
            return _("{called} of {tasks}", called=_(request.called), tasks=_(_TASKS[task]))
    return _(request.called)


def reader_text(parameters: Mapping[str, Any]) -> str:
    """Return whose work a result is where the demo's models or those for photographs could do it; "" else.

    parameters: of the result.
    """
    did = {UpscaleRequest.kind: _("Enlarged"), CutOutRequest.kind: _("Cut out")}
    who = {"drawings": _("the demo model"), "photographs": _("the model for photographs")}
    knows = parameters.get("knows")
    return (
        _("{get} by {who}", get=did.get(parameters.get("kind", ""), _("Read")), who=who[knows])
        if knows
        else ""
    )


def video_facts(video: StoredVideo, parameters: Mapping[str, Any] | None = None) -> list[str]:
    """Return what a video is, each in a few words: its length, size and frame rate, how it was drawn.

    parameters: of its job's result, None = not told.
    """
    told = parameters or {}
    steps, model = told.get("num_inference_steps"), told.get("model")
    found = [f"{video.seconds:.1f} s", f"{video.width}×{video.height}", f"{decimal(video.fps)} fps"]
    found += [_("with sound")] if video.sound else []
    found += [_("seed {seed}", seed=video.seed)] if video.seed is not None else []
    found += [counted(int(steps), "step")] if steps else []
    return [*found, str(model)] if model else found


def progress_text(step: int, total: int, left: float | None, *, previewed: bool) -> str:
    """Return how far a video is: "step 17 of 50 · about 3 min left". left: seconds, None = not known.
    previewed: a small picture of every frame is shown beside it."""
    parts = [_("step {step} of {total}", step=step, total=total)]
    parts += [_("about {left} left", left=duration(left))] if left is not None else []
    parts += [_("preview: every frame, small")] if previewed else []
    return " · ".join(parts)


def read_seconds(text: str) -> float | None:
    """Return the seconds that somebody typed, "1:05" among them; None for nothing. Raises UserError."""
    if not text:
        return None
    minutes, _unused, rest = text.strip().removesuffix("s").strip().rpartition(":")
    try:
        found = 60 * int(minutes or 0) + float(rest.replace(",", "."))
    except ValueError:
        found = -1.0
    if not 0 <= found < 3600:
        raise UserError(f"`{short(text)}` isn't a time in a video; write seconds, such as `2.5`.")
    return found


WIDTH, ROWS, COLUMNS = 60, 20, 30  # characters across, rows and columns at most, of text in columns
GROWN = 15  # rows that are shown while a table grows: the newest
NARROWEST = 4  # characters of a column
BETWEEN = "  "
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so is worked out by programs for tables


def as_text(table: Table) -> str:
    """Return the table in columns of text, WIDTH characters wide at most; what has no room is said to be in
    the file."""
    rows = table.rows[:ROWS]
    grid = [list(map(cell_text, row)) for row in rows]
    return _columns([list(map(cell_text, table.columns)), *grid], table) + _missing(
        len(table.rows) - len(rows), "row"
    )


def growing(text: str) -> str:
    """Return lines of "a | b | c", as a table is told while it grows, in columns; other lines as they are."""
    lines = text.split("\n")
    split = [[cell_text(cell) for cell in line.split(" | ")] for line in lines]
    wide = max(map(len, split))
    rows = [cells for cells in split if len(cells) > 1]
    if not rows:
        return text
    sizes = _sizes([[*row, *[""] * (wide - len(row))] for row in rows])
    drawn = [_line(row, sizes, rows[0]) if len(row) > 1 else _cut(row[0], WIDTH) for row in split]
    head = lines.index(next(line for line in lines if " | " in line)) + 1
    return "\n".join([*drawn[:head], *drawn[head:][-GROWN:]])


def as_csv(table: Table) -> str:
    """Return the table as CSV (RFC 4180). What a program would take for a formula begins with an
    apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_harmless(name) for name in table.columns])
    writer.writerows([[_harmless(cell) for cell in row] for row in table.rows])
    return out.getvalue()


def as_json(table: Table) -> str:
    """Return the table as JSON: its title, its columns, and rows of numbers, texts and nulls."""
    held = {"title": table.title, "columns": table.columns, "rows": table.rows}
    return json.dumps(held, ensure_ascii=False, indent=1)


def numeric_columns(table: Table) -> list[bool]:
    """Return which columns hold numbers, and nothing else but gaps."""
    columns = zip(*table.rows, strict=True)
    return [
        any(isinstance(cell, float) for cell in cells)
        and all(isinstance(cell, float | None) for cell in cells)
        for cells in columns
    ]


def _harmless(cell: Cell) -> str:
    if not isinstance(cell, str):
        return _plain(cell)
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _plain(cell: Cell) -> str:
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else f"{cell:.10g}"


def cell_text(cell: Cell) -> str:
    """Return a cell on one line, without signs that can't be seen."""
    text = visible(_plain(cell)).replace("`", "'")
    return " ".join(text.split())


def _columns(rows: Sequence[Sequence[str]], table: Table) -> str:
    count = min(len(table.columns), COLUMNS)
    while count > 1 and count * NARROWEST + len(BETWEEN) * (count - 1) > WIDTH:
        count -= 1
    rows = [row[:count] for row in rows]
    right = numeric_columns(table)[:count]
    sizes = _sizes(rows)
    head = [] if not any(rows[0]) else [_line(rows[0], sizes, right), "─" * (sum(sizes) + 2 * (count - 1))]
    lines = [*head, *(_line(row, sizes, right) for row in rows[1:])]
    return "\n".join(lines) + _missing(len(table.columns) - count, "column")


def _missing(count: int, what: str) -> str:
    return _("\n… {count} in the file", count=counted(count, f"more {what}")) if count > 0 else ""


def _sizes(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return how wide each column is, so that all have room: the widest give way."""
    sizes = [max(1, *(_wide(row[place]) for row in rows)) for place in range(len(rows[0]))]
    room = WIDTH - len(BETWEEN) * (len(sizes) - 1)
    while sum(sizes) > room and max(sizes) > NARROWEST:
        sizes[sizes.index(max(sizes))] -= 1
    return sizes


def _line(row: Sequence[str], sizes: Sequence[int], right: Sequence[object]) -> str:
    cells = []
    for place, (text, size) in enumerate(zip(row, sizes, strict=False)):
        fitted = _cut(text, size)
        space = " " * (size - _wide(fitted))
        cells.append(space + fitted if right[place] is True else fitted + space)
    return BETWEEN.join(cells).rstrip()


def _cut(text: str, size: int) -> str:
    if _wide(text) <= size:
        return text
    while text and _wide(text) >= size:
        text = text[:-1]
    return f"{text}…"


def _wide(text: str) -> int:
    """Return how many columns a text takes up: letters of East Asia are two wide, marks none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )

"""How a model is told when the frames of a film are seen: a text before each picture, in the words that its
family was taught. Pure.

plain: "Frame at 3.5 s:", which any model reads. smolvlm: SmolVLM2's own words for films, where whole seconds
tell the frames apart (``processing_smolvlm``). qwen: the marks that Qwen3-VL has before each moment of a film
(``processing_qwen3_vl``).
"""

from __future__ import annotations

from collections.abc import Sequence

from core.requests.frames import clock, frame_labels

WORDS = {"SmolVLMProcessor": "smolvlm", "Qwen3VLProcessor": "qwen"}  # the processor's class → how
INTRO = "You are provided the following series of {} frames from a {} [H:MM:SS] video.\n"
NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen eighteen nineteen"
).split()
TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
Part = dict[str, str]


def frame_words_for(processor: str) -> str:
    """Return how a processor's class wants the times of frames told."""
    return WORDS.get(processor, "plain")


def parts_of_turn(times: Sequence[float | None], words: str, seconds: float) -> list[Part]:
    """Return the pictures of a turn as parts of a message, each frame behind its time. times: None for a
    picture that is no frame. seconds: of the film that were looked at."""
    at = [time for time in times if time is not None]
    clocks = list(map(clock, at))
    if words == "smolvlm" and len(set(clocks)) < len(clocks):
        words = "plain"
    names = iter(clocks if words == "smolvlm" else frame_labels(at))
    found = list[Part]()
    for number, time in enumerate(times):
        if time is not None:
            is_first = times[:number].count(None) == number
            found.append(_text(_before(next(names), words, len(at), seconds, is_first, not number)))
        found.append({"type": "image"})
    if at and times[-1] is not None:
        found.append(_text("\n\n" if words == "smolvlm" else "\n"))
    return found


def _before(name: str, words: str, count: int, seconds: float, is_first: bool, begins: bool) -> str:
    """Return what stands before a frame: the first has the introduction, and no line ends before what
    ``begins`` a message."""
    if words == "smolvlm":
        intro = INTRO.format(_in_words(count), _duration(seconds)) if is_first else ""
        return f"{intro}\nFrame from {name}:"
    line = "" if begins else "\n"
    if words == "qwen":
        return f"{line}<{name.removesuffix(' s')} seconds>"
    return f"{line}Frame at {name}: "


def _in_words(count: int) -> str:
    """Return a number up to 99 as SmolVLM writes it, such as twenty-one."""
    if count < len(NUMBERS):
        return NUMBERS[count]
    ten, one = divmod(count, 10)
    return f"{TENS[ten]}-{NUMBERS[one]}" if one else TENS[ten]


def _duration(seconds: float) -> str:
    """Return a length as SmolVLM tells it, such as 0:00:03."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _text(text: str) -> Part:
    return {"type": "text", "text": text}

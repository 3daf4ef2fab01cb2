"""The conversations of the writers, and the state that each of their sentences meets.

A line of ``writer_*.jsonl`` is a conversation: ``turns``, each with what was said, its kind, the picture it
is ``about`` (where it isn't a new one), the ``parts`` of a change, the ``index`` of a pick, and ``also``:
other kinds that are as right. ``instead`` holds sentences of which each could come next. Writer 9 wrote
single sentences to teach the program, 46 and 83 to 92 single ones of many people; all others wrote
conversations without knowing of any: 1 to 21 marked characters, 22 to 45 and 59 to 82 ordinary people, 47 to
58 some of both, 93 to 108 short ones and what many people could say next. A single sentence comes ``after``
a change of the house in ``SINGLE``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

from core.talk import MAKES, MAX_STATE, Picture, State

HERE = Path(__file__).parent
TEACHER = "9"
OF_PATTERNS = range(1, 10)  # writers whose sentences the patterns were written from
Turn = dict[str, Any]
SINGLE = State(  # what a sentence meets that was written alone
    pictures=(
        Picture(number=1, words="a red house in the snow", count=4),
        Picture(number=2, words="add a cat beside it", kind="change", before=1),
    ),
    shown=2,
    undo=1,
)


def read_dialogues(path: Path) -> list[dict[str, list[Turn]]]:
    """Return the conversations of a file; a sentence that stands alone is one of its own."""
    names = {
        "film": "video",
        "enlarge": "upscale",
    }  # what these kinds were called where sentences were written
    found = []
    for line in path.read_text("utf-8").splitlines():
        if line.strip():
            read = json.loads(line)
            for turn in (*read.get("turns", ()), *read.get("instead", ()), read):
                if "kind" in turn:
                    turn["kind"] = names.get(turn["kind"], turn["kind"])
                    turn["also"] = [names.get(kind, kind) for kind in turn.get("also", ())]
            found.append({"turns": [], "single": [read]} if "say" in read else read)
    return found


def read_writers() -> dict[str, list[dict[str, list[Turn]]]]:
    """Return the conversations of each writer, by number."""
    return {
        path.stem.removeprefix("writer_"): read_dialogues(path)
        for path in sorted(HERE.glob("writer_*.jsonl"))
    }


def digest() -> int:
    """Return a number that changes with what the writers wrote, the patterns and the words."""
    total = 0
    for path in sorted((*HERE.glob("writer_*.jsonl"), *HERE.glob("*.json"))):
        total = crc32(path.read_bytes(), total)
    return total


def with_states(dialogue: dict[str, list[Turn]]) -> Iterator[tuple[Turn, State]]:
    """Give each turn with the state of the true turns before it."""
    pictures: list[Picture] = []
    shown: int | None = None
    redo: int | None = None
    asked = False

    def state() -> State:
        here = next((one for one in pictures if one.number == shown), None)
        undo = None if here is None else here.before or (here.number - 1 or None)
        told = tuple(pictures[-MAX_STATE:])
        return State(pictures=told, shown=shown, undo=undo, redo=redo, asked=asked)

    for turn in dialogue["turns"]:
        yield turn, state()
        kind = turn["kind"]
        if kind in MAKES:
            shown, redo = len(pictures) + 1, None
            count = 4 if kind in ("draw", "again") else 1
            before = None if kind == "draw" else turn.get("about")
            made = Picture(number=shown, words=turn["say"], kind=kind, count=count, before=before)
            pictures.append(made)
        elif kind == "back":
            shown, redo = turn["about"], shown if turn["about"] < (shown or 0) else None
        elif kind == "pick":
            pictures = [
                replace(one, index=turn.get("index")) if one.number == shown else one for one in pictures
            ]
        asked = kind == "ask"
    for turn in dialogue.get("instead", ()):
        yield turn, state()
    for turn in dialogue.get("single", ()):
        house, last = SINGLE.pictures
        last = replace(last, words=turn.get("after", last.words))
        yield turn, replace(SINGLE, pictures=(house, last))

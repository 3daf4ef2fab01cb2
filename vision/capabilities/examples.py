"""/examples try: which of a set's labels fits a picture, by a head on CLIP's features and by a chat model
that is shown similar examples; the way that is right more often on the set's own examples answers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from core.errors import ModelError, UserError
from core.events import Output
from core.requests import TryRequest
from vision import devices
from vision.chat.prompt import stored_picture
from vision.images import chart, encode
from vision.protocol import Talk, Turn
from vision.readers import few_shot
from vision.readers.clip import Matcher
from vision.readers.few_shot import Blocks, Learned, Lesson, learn_labels
from vision.reporter import Reporter, Stage
from vision.store import Models

LONGEST_SIDE = 512  # px; CLIP models look at 224 to 512
AT_ONCE = 32  # pictures that are open together
GAP = 12  # px between two charts
NO_CHAT = "The chat model had no room for the examples."


@dataclass(frozen=True)
class Found:
    """What one way of learning says of the picture. name: of the way."""

    name: str
    labels: tuple[str, ...]
    learned: Learned

    @property
    def scores(self) -> list[tuple[str, float]]:
        """The labels with their probabilities, the likeliest first."""
        pairs = zip(self.labels, self.learned.chances[0].tolist(), strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])

    @property
    def title(self) -> str:
        """What stands over its chart."""
        told = self.learned
        if told.expected is None:
            return f"{self.name} · not tested: a label needs two examples for that"
        counted = math.isclose(told.right, told.expected * told.tested, abs_tol=0.01)
        about = "" if counted else f", about {told.expected:.0%} of new pictures"
        return f"{self.name} · {told.right} of {told.tested} test examples right{about}"

    def told(self) -> dict[str, object]:
        """Return it as the result's parameters have it."""
        best, chance = self.scores[0]
        return {
            "name": self.name,
            "label": best,
            "chance": round(chance, 4),
            "tested": self.learned.tested,
            "right": self.learned.right,
            "accuracy": self.learned.expected and round(self.learned.expected, 4),
        }


def run(
    request: TryRequest,
    paths: Mapping[str, str],
    models: Models,
    reporter: Reporter,
    talk: Talk | None = None,
) -> Output:
    """Answer by the better way. paths: SHA-256 → file of every picture. talk: the examples as turns, and the
    question. ``Output.scores`` has every label, ``Output.grid`` is a chart of both ways. Raises UserError for
    a set with fewer than two labels."""
    talk = talk or Talk((Turn("user", "", (request.image,)),))
    lesson, asks = Lesson.of(talk), bool(models.config.models.get("ask"))
    first = Stage(reporter, 0, 0.5) if asks else reporter
    matcher = models.get("clip", first)
    *seen, asked = _features((*lesson.pictures, request.image), matcher, paths, first)
    found, notes = [_by_head(lesson, seen, asked, matcher, first)], list[str]()
    if asks:
        told = _by_chat(lesson, seen, asked, talk, paths, models, Stage(reporter, 0.5, 1), notes)
        found += [] if told is None else [told]
    best = max(found, key=lambda one: one.learned.expected or 0.0)  # the head, where they are the same
    sheet = reporter.in_thread(lambda: encode.png(_charts(found, best)))
    parameters: dict[str, Any] = {"kind": request.kind, "model": best.name, "examples": len(lesson.turns)}
    parameters |= {"ways": [one.told() for one in found], "notes": notes}
    return Output(grid=sheet, scores=tuple(best.scores), parameters=parameters)


def _by_head(
    lesson: Lesson, seen: Sequence[Blocks], asked: Blocks, matcher: Matcher, reporter: Reporter
) -> Found:
    batched = reporter.batched_as("clip")
    vectors = _vectors((*seen, asked))
    words = matcher.word_chances(vectors, lesson.labels, batched)
    given = (seen, lesson.places, len(lesson.labels), [asked], (words[:-1], words[-1:]), reporter.check)
    learned = reporter.in_thread(lambda: learn_labels(*given), thread="fetching")
    reporter.step(1, 1)
    return Found(f"Head on {matcher.name}", lesson.labels, learned)


def _vectors(blocks: Sequence[Blocks]) -> torch.Tensor:
    """Return what is compared with words, and pictures with each other: (N, D)."""
    return torch.stack([one["projected"].float() for one in blocks])


def _features(
    names: Sequence[str], matcher: Matcher, paths: Mapping[str, str], reporter: Reporter
) -> list[Blocks]:
    """Return the features of pictures; those that aren't kept from before are read."""
    reader = matcher.features

    def open_small(path: str) -> Image.Image:
        image = encode.open_picture(path)
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        return image

    found = {name: blocks for name in names if (blocks := reader.kept.get(name)) is not None}
    missing = [name for name in dict.fromkeys(names) if name not in found]
    for start in range(0, len(missing), AT_ONCE):
        some = missing[start : start + AT_ONCE]
        images = reporter.in_thread(lambda some=some: [open_small(paths[name]) for name in some])  # type: ignore[misc]
        for name, blocks in zip(some, reporter.batched("clip", reader.read_lists, images), strict=True):
            found[name] = blocks
            reader.kept[name] = blocks
        reporter.step(start + len(some), len(missing) + 1)
    return [found[name] for name in names]


def _by_chat(
    lesson: Lesson,
    seen: Sequence[Blocks],
    asked: Blocks,
    talk: Talk,
    paths: Mapping[str, str],
    models: Models,
    reporter: Reporter,
    notes: list[str],
) -> Found | None:
    """Return what the chat model says; None, and a note, when it can't."""
    vectors, names = _vectors((*seen, asked)), {*lesson.pictures, *lesson.asked.pictures}
    try:
        talker = models.get("ask", reporter)
        pictures = {name: stored_picture(name, paths[name], talk.max_pixels) for name in names}
        told = few_shot.tell_by_chat(lesson, talker, pictures, vectors[:-1], vectors[-1], talk, reporter)
    except (ModelError, UserError) as error:
        notes.append(str(error))
        return None
    except Exception as error:
        if not devices.is_out_of_memory(error):
            raise
        notes.append(NO_CHAT)
        return None
    return Found(talker.name, lesson.labels, told)


def _charts(found: Sequence[Found], best: Found) -> Image.Image:
    """Return one chart of each way, the one that answers first."""
    first = sorted(found, key=lambda one: one is not best)
    charts = [chart.draw_chart(one.scores, one.title) for one in first]
    height = sum(one.height for one in charts) + GAP * (len(charts) - 1)
    whole, top = Image.new("RGB", (charts[0].width, height), chart.ROW), 0
    for one in charts:
        whole.paste(one, (0, top))
        top += one.height + GAP
    return whole

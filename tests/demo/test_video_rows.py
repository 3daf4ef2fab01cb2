"""What videos are judged by, on frames whose truth is known."""

import random
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from demo.drawing import Placed, draw
from demo.evaluate import video
from demo.evaluate.video import Verdict, Verdicts, by_kind
from demo.judge import Judge
from demo.world import Group, Scene

pytestmark = pytest.mark.training


def frame(x: int, tint: int = 0) -> Image.Image:
    """A red ball at ``x`` on blue, a little lighter by ``tint``."""
    image = Image.new("RGB", (256, 256), (90 + tint, 160, 230))
    ImageDraw.Draw(image).ellipse((x - 40, 88, x + 40, 168), fill=(200, 40, 40))
    return image


def test_colours_drift_by_what_all_of_a_picture_does_and_not_by_what_moves_in_it() -> None:
    assert video.shift(frame(60), frame(300)) == 0
    assert video.shift(frame(60), frame(120, tint=5)) == 5


@pytest.mark.parametrize(("half", "turn"), [(0.09, 0), (0.2, 0), (0.44, 0), (0.2, -35), (0.2, 35)])
def test_things_are_read_at_any_size_and_turn(half: float, turn: int) -> None:
    judge, right = Judge(), list[bool]()
    for thing in ("cat", "boat", "tree"):
        scene = Scene((Group(1, "red", thing, "medium"),), "center", "blue", "flat")
        image = draw(scene, random.Random(1), (256, 256), [Placed(thing, "red", 0.5, 0.5, half, 0)])
        leaning = image.rotate(-turn, Image.BICUBIC, fillcolor=image.getpixel((2, 128)))
        view = video.look(judge, [leaning], [turn])
        right += video.seen_right(view, scene)
        other = Scene((Group(1, "red", "moon", "medium"),), "center", "blue", "flat")
        assert not any(video.seen_right(view, other))
    assert all(right)


def test_a_row_that_was_ended_goes_on_with_the_videos_that_are_missing(tmp_path: Path) -> None:
    made, asked = Verdict("left", [True, False], None, True, 0.2, 0.01, cpu=7.0, first=48.0), list[int]()

    def judged(case: int) -> Verdict | None:
        asked.append(case)
        return made if case else None  # the first one's picture isn't right

    path = tmp_path / "kept" / "row.jsonl"
    for count in (2, 4):
        verdicts = Verdicts(Verdict, path)
        said = [verdicts.of(case, lambda case=case: judged(case)) for case in range(count)]
        assert said == [None, *[made] * (count - 1)]
    assert asked == [0, 1, 2, 3]
    assert by_kind(("left", "up"), [("left", True), ("left", False)]) == {"left": "1/2", "up": "0/0"}

"""How far each frame goes, so that what is drawn beside a video has no seam."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from vision.video.cutout import compose
from vision.video.cutout.compose import Between


def way() -> Between:
    """From a dark picture to a bright one; each step of it changes the picture by some of 200."""
    return Between(Image.new("RGB", (32, 32), (20, 20, 20)), Image.new("RGB", (32, 32), (220, 220, 220)))


def changes(shares: list[float]) -> list[float]:
    frames = [np.asarray(way().at(share), float) for share in shares]
    return [float(np.abs(a - b).mean()) for a, b in pairwise(frames)]


@pytest.mark.parametrize(("begin", "end"), [(3.0, 3.0), (2.0, 8.0), (10.0, 1.0)])
def test_the_ends_take_steps_as_large_as_their_videos(begin: float, end: float) -> None:
    shares = compose.paced(way(), 10, begin, end)
    assert (len(shares), shares[0], shares[-1]) == (10, 0.0, 1.0)
    assert shares == sorted(shares)
    first, *_, last = changes(shares)
    assert first == pytest.approx(begin, abs=1.5)
    assert last == pytest.approx(end, abs=1.5)


def test_one_end_alone_may_be_given() -> None:
    shares = compose.paced(way(), 10, 3.0)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert changes(shares)[0] == pytest.approx(3.0, abs=1.5)


def test_after_a_fast_video_a_short_way_takes_even_steps_at_most_twice_as_large() -> None:
    steps = [b - a for a, b in pairwise(compose.paced(way(), 6, 250.0, 250.0))]
    assert min(steps) > 0
    assert max(steps) <= compose.MOST_STEP / 5 + 1e-6


@pytest.mark.parametrize("count", [1, 2])
def test_the_shortest_ways_have_their_ends(count: int) -> None:
    assert compose.paced(way(), count, 1.0, 1.0)[0] == 0.0
    assert len(compose.paced(way(), count, 1.0, 1.0)) == count


def test_changes_rise_slowly_from_known_frames_also_round_a_loop() -> None:
    shown = compose.shares_shown(16, first=True, last=False, loops=True)
    assert shown[0] == 0.0
    assert shown[1] == shown[-1] < 0.1
    assert shown[8] == 1.0
    both = compose.shares_shown(16, first=True, last=True, loops=False)
    assert both == both[::-1]
    assert compose.shares_shown(3, first=False, last=False, loops=False) == [1.0] * 3


def test_the_ground_keeps_its_tone_and_the_object_what_the_model_drew() -> None:
    mask = Image.new("L", (64, 48))
    mask.paste(255, (20, 14, 40, 34))
    change = np.full((48, 64, 3), (6.0, 5.0, 2.0), np.float32)  # the model's own white
    change[20:28, 26:34] += 40
    kept = compose.kept_around(change, mask)
    assert np.abs(kept[:13]).max() == 0 and np.abs(kept[24, 16:20]).max() == 0
    assert np.abs(kept[24, 30] - 40).max() < 0.01
    everywhere = compose.kept_around(change, Image.new("L", (64, 48), 255))
    assert np.array_equal(everywhere, change), "there is no ground to know its tone from"

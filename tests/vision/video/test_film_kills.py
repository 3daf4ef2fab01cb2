"""The short form of ``python -m tests.vision.video.film_kills``."""

import pytest

from tests.vision.video import film_kills


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_killed_film_goes_on_with_one_window_done_again_at_most() -> None:
    figures = film_kills.measure("animatediff", 16, 1)
    film_kills.check(figures)
    assert figures.windows == 16 and figures.steps == 16 * film_kills.STEPS


def test_a_step_done_again_is_counted_for_the_kill_before_it() -> None:
    drawn = ["0.1", "0.2", "killed", "0.2", "0.3", "killed", "killed", "0.3", "0.4", "0.95", "0.95"]
    assert film_kills.again(drawn) == (4, [1, 0, 1])

"""The short form of ``python -m tests.jobs.model_check``, and its negative control."""

import pytest

from tests.jobs.model_check import BUGS, check, counted


# On Python 3.14 hypothesis takes its own generator for one that nobody holds
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:It looks like `register_random` was passed")
def test_the_queue_does_what_a_plain_model_of_it_does() -> None:
    check(600, seed=1)
    assert counted["steps"] >= 600 and counted["jobs"] > 20 and counted["crashes"] > 0


@pytest.mark.parametrize("bug", ["forgets what ran"])
def test_a_seeded_bug_is_found(bug: str) -> None:
    assert bug in BUGS
    with pytest.raises(AssertionError):
        check(3000, bug=bug)

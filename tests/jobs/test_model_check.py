"""The short form of ``python -m proofs.jobs.model_check``, and its negative control."""

import pytest
from sqlalchemy.exc import IntegrityError

from proofs.jobs.model_check import BUGS, check, counted


# On Python 3.14 hypothesis takes its own generator for one that nobody holds
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:It looks like `register_random` was passed")
def test_the_queue_does_what_a_plain_model_of_it_does() -> None:
    check(600, seed=1)
    assert counted["steps"] >= 600 and counted["jobs"] > 20 and counted["crashes"] > 0


@pytest.mark.parametrize(
    "bug", [pytest.param(bug, marks=[pytest.mark.long] * (bug != "forgets what ran")) for bug in BUGS]
)
def test_a_seeded_bug_is_found(bug: str) -> None:
    """By what comes of it: a replacement that doesn't fit any more would raise something else."""
    with pytest.raises((AssertionError, IntegrityError)):
        check(5000, bug=bug)

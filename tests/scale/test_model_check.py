"""The short form of ``python -m proofs.jobs.model_check --postgres``, and its negative controls."""

from pathlib import Path

import pytest

from proofs.jobs.model_check import counted
from proofs.scale import model_on_server
from tests.scale.wire import WAYS
from tests.support import postgres
from tests.support.fresh import address_in

# On Python 3.14 hypothesis takes its own generator for one that nobody holds
pytestmark = [
    pytest.mark.postgres,
    pytest.mark.filterwarnings("ignore:It looks like `register_random` was passed"),
]


def test_the_queue_does_what_a_plain_model_does_whatever_commits_are_cut(tmp_path: Path) -> None:
    before = model_on_server.cuts.copy()
    model_on_server.check(*postgres.place_of(address_in(tmp_path)), steps=400, seed=3)
    assert counted["steps"] >= 400 and counted["jobs"] > 20 and counted["crashes"] > 0
    assert set(model_on_server.cuts - before) == set(WAYS)
    assert model_on_server.settled["asked of the server"] > 0


# What is stopped in the middle of such a fault tidies nothing up
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("bug", ["forgetful", "trusting"])
def test_a_program_that_does_not_ask_what_became_of_a_commit_is_found(bug: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        model_on_server.check(*postgres.place_of(address_in(tmp_path)), steps=3000, bug=bug)

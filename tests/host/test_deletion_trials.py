"""The short form of ``python -m proofs.host.deletion_trials``, and its negative control."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from proofs.host.deletion_trials import CASES, Trial, _name, measure
from tests.support import buckets


@pytest.fixture(autouse=True)
def silent() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.slow
@pytest.mark.parametrize("store", ["folder", pytest.param("s3", marks=pytest.mark.buckets)])
async def test_nothing_that_goes_wrong_loses_a_picture(tmp_path: Path, store: str) -> None:
    trial = Trial(tmp_path, 200)
    if store == "folder":
        assert set((await measure(trial)).values()) == {0}
        return
    with buckets.moto() as server:
        trial.url = server.address("trial")
        trial.keys = {"AWS_ACCESS_KEY_ID": buckets.KEY, "AWS_SECRET_ACCESS_KEY": buckets.SECRET}
        assert set((await measure(trial)).values()) == {0}


async def test_a_lost_picture_is_counted_and_a_healthy_studio_loses_none(tmp_path: Path) -> None:
    trial = Trial(tmp_path, 50)
    await trial.made()
    await CASES["healthy"](trial)
    assert await trial.lost() == 0
    (picture,) = (trial.data / "pictures").glob(f"*/*/{_name(7)}.png")
    picture.unlink()
    assert await trial.lost() == 1

"""What the launcher reaches into is there: a name that moved would fail each test that starts a bot."""

import importlib
from functools import reduce

import pytest

from proofs.wire.launch import CRASHES


@pytest.mark.parametrize("point", CRASHES)
def test_a_point_of_death_is_a_method_that_exists(point: str) -> None:
    module, _, names = CRASHES[point][0].partition(":")
    assert callable(reduce(getattr, names.split("."), importlib.import_module(module)))

"""The row of the start imports what a worker imports, by name."""

from __future__ import annotations

import re
from importlib.util import find_spec

from benchmarks.rows.bot import PARTS


def test_the_modules_of_a_start_are_there() -> None:
    names = [name for code in PARTS.values() for name in re.findall(r"\bvision\.\w+", code)]
    assert len(names) >= 2
    assert [name for name in names if find_spec(name) is None] == []

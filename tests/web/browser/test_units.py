"""Runs the modules' unit tests in Chromium: each exported function of ``tests/web/js/*.test.js`` is one."""

import re

import pytest

from tests.web.browser.conftest import UNITS

pytestmark = pytest.mark.asyncio(loop_scope="session")
_EXPORTED = re.compile(r"^export (?:async )?function (\w+)", re.M)
TESTS = [
    (file.name, name)
    for file in sorted(UNITS.glob("*.test.js"))
    for name in _EXPORTED.findall(file.read_text())
]


@pytest.mark.parametrize("file, name", TESTS, ids=[f"{file.split('.')[0]}-{name}" for file, name in TESTS])
async def test_unit(page, units: str, file: str, name: str) -> None:
    await page.goto(units)
    run = "async ([file, name]) => { const tests = await import(`/units/${file}`); await tests[name](); }"
    await page.evaluate(run, [file, name])

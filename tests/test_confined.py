"""Processes that tests fork in place of starting them end as those that asyncio starts."""

import asyncio
import subprocess
import sys

import pytest

from tests.support.confined import create_subprocess_exec


@pytest.mark.parametrize("turns", [1, 2])
async def test_one_whose_asker_is_cancelled_is_not_left_behind(turns: int) -> None:
    """What is left behind is told when it is collected, which fails the run."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    asked = create_subprocess_exec(
        sys.executable, "-m", "studio.media.media_process", "thumbnail", env={}, **pipes
    )
    starting = asyncio.create_task(asked)
    for _ in range(turns):
        await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(starting, 10)

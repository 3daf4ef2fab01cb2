"""How a run has ended, as its host says it: what it made is put together from what came in parts."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path

from core.errors import WireError
from jobs.agents.outputs import put_together
from jobs.agents.wire import Final
from jobs.elsewhere.lending import Receiving
from jobs.executor import Lost, Outcome
from vision.protocol import Broke, Done, Run, Stopped

log = logging.getLogger(__name__)


async def outcome_of(final: Final, run: Run, receiving: Receiving) -> Outcome:
    """Return how ``run`` ended; its files are in its folder then. Lost where that can't be told."""
    if final.done is None:
        outcome: Stopped | Broke | Lost | None = final.stopped or final.broke or final.lost
        if outcome is None or outcome.job_id != run.job_id:
            return Lost(run.job_id, "its end can't be read")
        return outcome
    read = partial(receiving.read, run.token)

    def take(sha256: str, name: str) -> str:
        if not run.folder or Path(name).name != name or name.startswith("."):
            raise WireError(f"{name[:80]!r} is no file that this job may make")
        target = Path(run.folder) / name
        receiving.take(run.token, sha256, target)
        return str(target)

    try:
        output = await asyncio.to_thread(put_together, final.done, final.sent, read, take)
    except (WireError, OSError) as error:
        log.error("job %s: what it made can't be had: %s", run.job_id, error)
        return Lost(run.job_id, "what it made can't be had")
    return Done(run.job_id, output)

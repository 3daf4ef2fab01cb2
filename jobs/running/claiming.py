"""A waiting job becomes a running one, in a transaction with what its asker has had of the devices."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from core.job import Job
from jobs.order.fairness import Waiting
from storage import jobs as rows
from storage import lookup, people

UNREADABLE = "This job was made by another version of Atelier and can't be run any more. Please ask again."


def claim(
    waiting: Waiting, token: str, device: str, served: int, connection: sa.Connection
) -> Job | lookup.UnreadableJob | None:
    """Claim a job for a device; None when it doesn't wait any more, UnreadableJob when it had to be ended.
    token: of the lease. served: what its asker will have had."""
    now = datetime.now(UTC)
    try:
        job = rows.claim(connection, waiting.job_id, token=token, device=device, now=now)
    except lookup.UnreadableJob as error:
        rows.fail(connection, waiting.job_id, UNREADABLE, token=token, now=now)
        return error
    if job is not None:
        people.set_served(connection, waiting.user_id, served)
    return job

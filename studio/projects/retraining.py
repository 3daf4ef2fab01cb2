"""Trains again what had learned from deleted pictures, and gives up files of versions that nobody uses."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import sqlalchemy as sa

from core.errors import StorageError, UserError
from core.job import NOBODY, Lane, Origin, Status, Surface
from core.requests import from_json
from core.requests.custom_models import TrainRequest
from jobs.queue import Queue
from storage.database import Database
from storage.projects import erasure, projects, versions
from storage.projects.erasure import Gone
from storage.projects.projects import Project
from studio.privacy import Privacy
from studio.projects.limits import ProjectLimits

EVERY = 20.0  # seconds between two looks where nothing was deleted
log = logging.getLogger(__name__)


class Retraining:
    """Looks whenever something was deleted, and from time to time. What is due is in the rows, so that a
    crash forgets nothing; a job is asked for by a key of its own, so that it doubles nothing."""

    def __init__(self, database: Database, queue: Queue, privacy: Privacy, limits: ProjectLimits) -> None:
        self._database, self._queue = database, queue
        self._privacy, self._limits = privacy, limits

    async def run_for_ever(self) -> None:
        """Look now, and again and again."""
        while True:
            self._privacy.cleared.clear()
            await self.look()
            try:
                async with asyncio.timeout(EVERY):
                    await self._privacy.cleared.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Ask for every training that is due, and give up files that nobody uses."""
        for project in await self._database.read(projects.due):
            try:
                await self._ask_again(project)
            except (
                UserError,
                StorageError,
            ) as error:  # a limit, or a full disk: the next look tries it again
                log.warning("project %s isn't trained again yet: %s", project.id, error)
        stale = await self._database.read(partial(versions.stale, keep=self._limits.versions))
        bundled = await self._database.read(erasure.tainted_bundles)
        if stale or bundled != Gone():
            await self._privacy.delete_learned(partial(self._retire, stale=stale))

    def _retire(self, connection: sa.Connection, stale: Sequence[tuple[str, int]]) -> Gone:
        files = versions.give_up(connection, stale)
        return Gone(frozenset(files)) | erasure.tainted_bundles(connection)

    async def _ask_again(self, project: Project) -> None:
        version = await self._database.read(
            partial(versions.version, project_id=project.id, number=project.due)
        )
        request = None
        if version is not None:
            request = from_json(TrainRequest.kind, json.dumps(version.settings))
        if not isinstance(request, TrainRequest):
            return await self._give_up(project)
        again = replace(request, settled=True, replaces=project.due)
        key = f"again {project.id} {project.due}"
        origin = Origin(NOBODY, 0, project.guild_id, private=True, surface=Surface.WEB, request_key=key)
        submitted = await self._queue.submit(again, origin, lane=Lane.RELAX)
        job = await self._queue.job(submitted.job.id)
        if job is not None and job.status in (Status.FAILED, Status.CANCELLED):
            await self._give_up(project)

    async def _give_up(self, project: Project) -> None:
        """Leave a project without a model: it has too little left to learn from."""
        log.info("project %s can't be trained again by itself", project.id)
        work = partial(projects.change, project_id=project.id, values={"due": 0})
        await self._database.write(work)

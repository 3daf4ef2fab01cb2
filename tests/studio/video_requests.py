"""An executor that makes videos at once, each a second of its seed's colour, and pictures as others do."""

from dataclasses import replace
from pathlib import Path

from core.requests import from_json
from core.requests.base import Answer
from jobs.executors.base import Outcome, Report
from tests.bot.pretend_worker import videos_of
from tests.studio.conftest import AtOnce
from vision.protocol import Done, Run


class VideosAtOnce(AtOnce):
    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        done = await super().run(device, run, report)
        request = from_json(run.kind, run.request)
        if request.answer is not Answer.VIDEOS or not isinstance(done, Done):
            return done
        return replace(done, output=videos_of(request, Path(run.folder)))

"""An executor that answers questions by telling what it was handed out with, in growing text."""

from core.events import ChatAnswer
from core.requests import from_json
from jobs.executors.base import Outcome, Report
from tests.studio.conftest import AtOnce
from vision.chat.output_parser import wanted_of_card
from vision.chat.output_renderer import finish_output
from vision.protocol import Done, Run, Step, Turn


def told(turn: Turn) -> str:
    """How a turn is told in an answer, on a line of its own."""
    return f"{turn.role}, {len(turn.pictures)} pictures: {turn.text.splitlines()[0]}"


class Talker(AtOnce):
    """``say``: question → its answer, instead of what the conversation was. ``talks``: what came, by job."""

    def __init__(self) -> None:
        super().__init__({"cpu": 8})
        self.say: dict[str, str] = {}
        self.talks: dict[str, tuple[Turn, ...]] = {}

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        if run.talk is None:
            return await super().run(device, run, report)
        turns = self.talks[run.job_id] = run.talk.turns
        assert {sha256 for turn in turns for sha256 in turn.pictures} <= set(run.paths)
        text = self.say.get(turns[-1].text, f"{len(turns)} turns\n" + "\n".join(map(told, turns)))
        for end in range(1, len(text), 7):
            report(Step(run.job_id, end, 1000, text=text[:end]))
        request = from_json(run.kind, run.request)
        sides = tuple((64, 48) for turn in turns for _ in turn.pictures)
        answer = ChatAnswer(text, "end", 10 * len(turns), 0, 7, sides)
        parameters = {"kind": request.kind, "model": "talker", "seed": request.seed}
        return Done(run.job_id, finish_output(run.talk, answer, wanted_of_card({}), run.paths, parameters))

"""An executor that learns what is dark: good parts of the tests are light, defects are dark."""

import asyncio
import io
from pathlib import Path

from PIL import Image

from core.events import File, Output, Picture
from core.requests import from_json
from core.requests.custom_models import ANOMALY, BundleRequest, InspectRequest, TrainRequest
from core.results import Learned, LearnedFrom, Verdict
from jobs.executors.base import Outcome, Report
from tests.studio.conftest import AtOnce
from vision.custom_models.snapshot import GOOD, Snapshot
from vision.protocol import Done, Run, Step

LIMIT = 0.5
CHARTS = ("scores", "roc", "mistakes")


def chart(colour: int, width: int = 320, height: int = 200) -> Picture:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (colour, colour, 160)).save(out, "PNG")
    return Picture(out.getvalue(), "image/png", width, height)


def darkness(path: str) -> float:
    """0 of a white picture, 1 of a black one."""
    with Image.open(path) as picture:
        return 1 - picture.convert("L").resize((1, 1)).getpixel((0, 0)) / 255


class Teacher(AtOnce):
    """``gate``: trainings wait until it is set."""

    def __init__(self) -> None:
        super().__init__({"cpu": 8})
        self.gate = asyncio.Event()
        self.gate.set()

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        request = from_json(run.kind, run.request)
        match request:
            case TrainRequest():
                report(Step(run.job_id, 3, 10, doing="compared 3 of 12"))
                await self.gate.wait()
                return Done(run.job_id, self._train(run, request))
            case InspectRequest():
                return Done(run.job_id, self._inspect(run, request))
            case BundleRequest():
                path = Path(run.folder) / "bundle.zip"
                path.write_bytes(b"PK\x05\x06" + bytes(18))
                name = f"{request.name}-v{request.version}.zip"
                return Done(run.job_id, Output(files=(File(name, str(path), "application/zip"),)))
        return await super().run(device, run, report)

    def _train(self, run: Run, request: TrainRequest) -> Output:
        folder = Path(run.folder)
        snapshot = Snapshot.read((folder / "snapshot.json").read_text())
        parts = ["test" if number % 4 == 3 else "train" for number in range(len(snapshot.items))]
        found = tuple(
            LearnedFrom(item.sha256, item.label, item.group, part)
            for item, part in zip(snapshot.items, parts, strict=True)
        )
        dark = {one.sha256: darkness(run.paths[one.sha256]) for one in found}
        tested = [one for one in found if one.part == "test"]
        (folder / "model.safetensors").write_bytes(snapshot.sha256.encode() + bytes([request.seed % 256]))
        right = sum((dark[one.sha256] > LIMIT) == (one.label != GOOD) for one in tested)
        metrics = {
            "good_scores": [dark[one.sha256] for one in found if one.label == GOOD and one.part == "train"],
            "bad_scores": [dark[one.sha256] for one in found if one.label != GOOD],
            "weak": False,
            "unsure": [],
            "test": [
                {"said": one.label, "score": dark[one.sha256], "strange": dark[one.sha256] > LIMIT}
                for one in tested
            ],
            "labels": {GOOD: {"precision": [right, len(tested)], "recall": [right, len(tested)], "f1": 0.9}},
            "accuracy": [right, len(tested)],
            "roc": 0.987,
        }
        learned = Learned(
            str(folder / "model.safetensors"),
            found,
            LIMIT if request.task == ANOMALY else None,
            0.2 if request.task == ANOMALY else None,
            metrics,
            CHARTS,
            f"It learned from {len(found)} pictures.",
        )
        charts = tuple(chart(60 * number) for number in range(1, 4))
        return Output(charts, chart(200), parameters={"model": "darkness", "notes": []}, learned=learned)

    def _inspect(self, run: Run, request: InspectRequest) -> Output:
        said = []
        for sha256 in request.images:
            score = darkness(run.paths[sha256])
            strange = score > (request.limit or LIMIT)
            words = (
                f"Not like the good ones: {score / LIMIT:.1f} × the limit."
                if strange
                else "Like the good ones."
            )
            names = (("scratch", 0.8), ("dent", 0.2)) if strange else ()
            label = "scratch" if strange else ""
            said.append(Verdict(sha256, score, strange, words, label, LIMIT, names))
        told = [{"sentence": one.sentence, "names": one.names, "strange": one.strange} for one in said]
        used = {"verdicts": told, "version": request.version, "notes": []}
        scores = said[0].names or (("good", 1.0),)
        return Output(grid=chart(90), scores=scores, verdicts=tuple(said), parameters=used)

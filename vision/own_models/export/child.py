"""Makes a bundle in a process of its own: torch's exporter changes what is the whole process's while it runs,
and others' drawings go on in the worker meanwhile."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelError

ORDER, SAID, ZIP = "order.pickle", "said.txt", "bundle.zip"  # in the folder
REFUSED = 3  # exit status of a process whose last line of stderr is for people


@dataclass(frozen=True)
class Order:
    """artefact: bytes of the model's file. task: of it. extractor: what it sees with. golden: files of
    pictures. name, figures, limit: see ``bundle``."""

    artefact: bytes
    task: str
    extractor: object
    name: str
    golden: Sequence[str]
    figures: Sequence[str]
    limit: float


class Making:
    """A bundle that another process makes in ``folder``."""

    def __init__(self, order: Order, folder: Path) -> None:
        self.folder = folder
        (folder / ORDER).write_bytes(pickle.dumps(order))  # read by this program only, in its own folder
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "vision.own_models.export.child", str(folder)]
        self._said = (folder / SAID).open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=self._said, stderr=self._said
        )

    def wait(self, seconds: float) -> bool:
        """Return whether it has ended within so many seconds."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def taken(self) -> Path:
        """Return the file of the bundle, once it has ended. Raises ModelError when there is none."""
        self._said.seek(0)
        last = (self._said.read().strip().splitlines() or [""])[-1]
        status = self._process.returncode
        if status:
            raise ModelError(last if status == REFUSED else f"The bundle can't be made: {last}")
        return self.folder / ZIP

    def close(self) -> None:
        """End the process if it still runs, and remove what it was told."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._said.close()
        for name in (ORDER, SAID):
            (self.folder / name).unlink(missing_ok=True)


def main(folder: Path) -> int:
    """Make what the order in ``folder`` asks for; return the exit status."""
    import torch

    from vision.own_models.export.bundle import bundle
    from vision.own_models.serving.held import unpack
    from vision.pictures import encode

    torch.set_num_threads(1)
    order = pickle.loads((folder / ORDER).read_bytes())
    try:
        model = unpack(order.artefact, order.task)
        golden = [encode.open_picture(path) for path in order.golden]
        data = bundle(model, order.extractor, order.name, golden, order.figures, limit=order.limit)
    except ModelError as error:
        print(error, file=sys.stderr)
        return REFUSED
    (folder / ZIP).write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

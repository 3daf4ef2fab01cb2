"""What the judge says of films, one by one: kept in a file, so that hundreds of them can be judged in several
goes, and a run that was ended goes on where it was."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, TypeVar


@dataclass(frozen=True)
class Verdict:
    """What is said of one film.

    hits: for each frame, whether thing and colour are right. moved: whether it moves as asked; None where
    that can't be seen. on_ground: whether the background is right in all frames. flicker, unsteadiness: see
    ``seen``. cpu: seconds. first, alone: PSNR of the first frame to the given picture, and of what the
    autoencoder alone makes of that, dB; None in films of words.
    """

    kind: str
    hits: list[bool]
    moved: bool | None
    on_ground: bool
    flicker: float | None
    unsteadiness: float
    cpu: float = 0.0
    first: float | None = None
    alone: float | None = None


@dataclass(frozen=True)
class Extended:
    """What is said of a film that was extended four times.

    right: whether thing and colour are, at its end. shift, pixels: by how much colours have drifted, with the
    kept end frames and from encoded pixels, see ``seen.shift``; None where that way wasn't gone.
    """

    kind: str
    right: bool
    shift: float
    pixels: float | None = None


T = TypeVar("T", Verdict, Extended)


class Verdicts(Generic[T]):
    """Those of one row, by the numbers of their cases. form: of each. path: the file, a line each; None =
    kept nowhere."""

    def __init__(self, form: type[T], path: Path | None = None):
        self.path, self._kept = path, dict[int, T | None]()
        for line in path.read_text().splitlines() if path is not None and path.exists() else ():
            told = json.loads(line)
            self._kept[told["case"]] = None if told["film"] is None else form(**told["film"])

    def of(self, case: int, judged: Callable[[], T | None]) -> T | None:
        """What is said of film ``case``; ``judged`` is asked once. None: there was nothing to make it of."""
        if case not in self._kept:
            self._kept[case] = found = judged()
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a") as file:
                    film = None if found is None else asdict(found)
                    file.write(json.dumps({"case": case, "film": film}) + "\n")
        return self._kept[case]


def by_kind(kinds: Iterable[str], some: list[tuple[str, bool]]) -> dict[str, str]:
    """How many of each kind of motion hit, of how many."""
    return {
        kind: f"{sum(hit for k, hit in some if k == kind)}/{sum(k == kind for k, _ in some)}"
        for kind in kinds
    }

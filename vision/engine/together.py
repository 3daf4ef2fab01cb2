"""Work without denoising passes (captions, labels, embeddings) of several jobs, done in one call for all that
wait for the same kind of it.

A call is a guest in the engine: it has a seat of its own, takes its turn between passes, and goes on while
one of those who asked still wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vision import devices

if TYPE_CHECKING:
    from vision.engine.engine import Seat

MOST = 8  # pieces in one call: a slice of it is what a generation may have to wait for

Turn = Callable[
    ..., None
]  # called between slices of the work, with the number of pieces in the next one (as a rule 1)
Work = Callable[[Sequence[Any], Turn], Sequence[Any]]  # for several items at once: one result for each
Share = Callable[..., Any]  # (work, item, like=()) → the item's result


class Unwanted(Exception):
    """Everybody who asked has gone."""


def alone(work: Work, item: Any, like: Hashable = ()) -> Any:
    """A Share for who has the device for itself."""
    return work([item], lambda count=1: None)[0]


class Promise(Future):
    """What a job waits for that asked: unlike other futures, it comes from a guest."""


@dataclass(eq=False)
class _Piece:
    item: Any
    seat: Seat
    future: Promise = field(default_factory=Promise)

    @property
    def wanted(self) -> bool:
        return self.seat.waits_for is self.future


class Together:
    """The pieces that wait, in a line for each kind of work. begin: takes a job in, see Engine.begin. most:
    pieces in one call."""

    def __init__(self, begin: Callable[..., Seat], most: int = MOST) -> None:
        self._begin, self._most = begin, most
        self._lines: dict[Hashable, list[_Piece]] = {}

    def ask(self, seat: Seat, kind: str, work: Work, item: Any, like: Hashable) -> Promise:
        """What ``work`` makes of ``item``, with others that have the same ``work`` and ``like``. kind: of its
        slices, which last about as long."""
        piece, line = _Piece(item, seat), self._lines.setdefault((work, like), [])
        line.append(piece)
        if len(line) == 1:
            self._call((work, like), kind, work)
        return piece.future

    def _call(self, key: Hashable, kind: str, work: Work) -> None:
        """One call for those in the line when its turn has come."""
        line, taken = self._lines[key], []

        def check() -> None:
            if not any(piece.wanted for piece in taken or line):
                raise Unwanted(kind)

        def run(seat: Seat) -> None:
            seat.pause(kind, lambda: min(self._most, len(line)))
            taken.extend(line[: self._most])
            del line[: self._most]
            if line:
                self._call(key, kind, work)
            else:
                del self._lines[key]
            _do(work, taken, lambda count=1: seat.pause(f"{kind}, on", lambda: count))

        def done(_: Any, error: BaseException | None) -> None:
            if not taken:  # all have gone before its turn
                del self._lines[key]
            for piece in taken:
                if error is not None and not piece.future.done():
                    piece.future.set_exception(error)

        self._begin(kind, run, check=check, done=done)


def _do(work: Work, pieces: Sequence[_Piece], turn: Turn) -> None:
    """Tell each its result. Where all at once fails, each alone, so that only the guilty one is told."""
    results = None
    try:
        results = work([piece.item for piece in pieces], turn)
    except Unwanted:
        raise
    except Exception as error:
        if len(pieces) == 1 or devices.is_sticky(error):
            raise
    if results is None:  # not in the except block: the traceback holds tensors
        for piece in pieces:
            _do_alone(work, piece, turn)
        return
    for piece, result in zip(pieces, results, strict=True):
        piece.future.set_result(result)


def _do_alone(work: Work, piece: _Piece, turn: Turn) -> None:
    try:
        piece.future.set_result(work([piece.item], turn)[0])
    except Unwanted:
        raise
    except Exception as error:
        piece.future.set_exception(error)

"""What was acknowledged and not answered outlives a kill; what was answered leaves nothing."""

import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.discord_api.interactions import SLOT_BYTES, PendingInteraction, PendingInteractions
from core.settings import ROOT

CODE = """
import os, signal, sys
from pathlib import Path
from bot.discord_api.interactions import PendingInteraction, PendingInteractions
pending = PendingInteractions(Path(sys.argv[1]))
for number in range(1, 4):
    pending.note(PendingInteraction(number, 9, f"token-{number}"))
pending.drop(2)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "unanswered"


@pytest.fixture
def notes(path: Path) -> Iterator[PendingInteractions]:
    with closing(PendingInteractions(path)) as opened:
        yield opened


def _left(path: Path) -> tuple[PendingInteraction, ...]:
    """What the next start would find."""
    with closing(PendingInteractions(path)) as opened:
        return opened.take_left()


def test_a_kill_leaves_what_was_not_answered(path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", CODE, path], check=False, cwd=ROOT)
    assert killed.returncode == -9
    with closing(PendingInteractions(path)) as found:
        _told_after_a_kill(path, found)


def _told_after_a_kill(path: Path, found: PendingInteractions) -> None:
    left = found.take_left()
    assert sorted(left, key=lambda p: p.interaction_id) == [
        PendingInteraction(1, 9, "token-1"),
        PendingInteraction(3, 9, "token-3"),
    ]
    assert found.take_left() == ()
    assert b"token-2" not in path.read_bytes()
    assert len(_left(path)) == 2, "until they are told"
    for pending in left:
        found.drop(pending.interaction_id)
    assert _left(path) == () and not path.read_bytes().strip(b"\0")


def test_only_the_owner_may_read_it_and_it_shows_no_token(path: Path) -> None:
    path.touch(0o644)
    PendingInteractions(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "secret" not in repr(PendingInteraction(1, 2, "secret"))


def test_one_that_was_answered_or_broke_is_pending_no_more(path: Path, notes: PendingInteractions) -> None:
    try:
        with notes.kept(PendingInteraction(1, 2, "t")):
            assert _left(path)
            raise RuntimeError
    except RuntimeError:
        pass
    assert not _left(path)


def test_the_file_grows_with_what_is_pending_at_once_alone(path: Path, notes: PendingInteractions) -> None:
    for number in range(1000):  # five at once
        notes.note(PendingInteraction(number, 2, "t"))
        notes.drop(number - 4)
    assert path.stat().st_size == 5 * SLOT_BYTES
    assert {p.interaction_id for p in _left(path)} == set(range(996, 1000))
    notes.note(PendingInteraction(10**6, 2, "t" * 5000))
    notes.drop(10**6)
    assert path.stat().st_size == 5 * SLOT_BYTES


def test_what_a_start_finds_keeps_its_slot_while_new_ones_come(path: Path) -> None:
    for number, token in ((1, "old"), (2, "new")):
        with closing(PendingInteractions(path)) as notes:
            notes.note(PendingInteraction(number, 2, token))
    assert {p.token for p in _left(path)} == {"old", "new"}


def test_a_damaged_file_does_not_stop_the_start(path: Path) -> None:
    path.write_bytes(b"\1{nonsense" + bytes(2000) + b"\1")
    with closing(PendingInteractions(path)) as notes:
        assert notes.take_left() == ()
        notes.note(PendingInteraction(1, 2, "t"))
    assert len(_left(path)) == 1

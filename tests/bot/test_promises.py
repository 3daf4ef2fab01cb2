"""What was acknowledged and not answered outlives a kill; what was answered leaves nothing."""

import stat
import subprocess
import sys
from pathlib import Path

from bot.wire.pending import SLOTS, Promise, Promises

CODE = """
import os, signal, sys
from pathlib import Path
from bot.promises import Promise, Promises
promises = Promises(Path(sys.argv[1]))
for number in range(1, 4):
    promises.note(Promise(number, 9, f"token-{number}"))
promises.drop(2)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_what_was_promised(tmp_path: Path) -> None:
    path = tmp_path / "unanswered"
    subprocess.run([sys.executable, "-c", CODE, path], check=False)
    found = Promises(path)
    assert sorted(found.left, key=lambda p: p.interaction_id) == [
        Promise(1, 9, "token-1"),
        Promise(3, 9, "token-3"),
    ]
    assert b"token-2" not in path.read_bytes()
    assert len(Promises(path).left) == 2, "until they are told"
    for promise in found.left:
        found.drop(promise.interaction_id)
    assert Promises(path).left == () and not path.read_bytes().strip(b"\0")


def test_only_the_owner_may_read_it_and_it_shows_no_token(tmp_path: Path) -> None:
    path = tmp_path / "unanswered"
    path.touch(0o644)
    Promises(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "secret" not in repr(Promise(1, 2, "secret"))


def test_one_that_was_answered_or_broke_is_not_promised_any_more(tmp_path: Path) -> None:
    promises = Promises(tmp_path / "unanswered")
    try:
        with promises.kept(Promise(1, 2, "t")):
            assert promises._taken
            raise RuntimeError
    except RuntimeError:
        pass
    assert not promises._taken and len(promises._free) == SLOTS


def test_more_than_there_is_room_for_does_no_harm(tmp_path: Path) -> None:
    promises = Promises(tmp_path / "unanswered")
    for number in range(SLOTS + 5):
        promises.note(Promise(number, 2, "t"))
    promises.note(Promise(10**6, 2, "t" * 5000))
    for number in range(SLOTS + 5):
        promises.drop(number)
    assert len(promises._free) == SLOTS


def test_a_damaged_file_does_not_stop_the_start(tmp_path: Path) -> None:
    path = tmp_path / "unanswered"
    path.write_bytes(b"\1{nonsense" + bytes(2000) + b"\1")
    assert Promises(path).left == ()

"""`atelier setup`: what it asks, takes, writes and keeps; once at a terminal that is pretended."""

import base64
import builtins
import getpass
import json
import os
import re
import select
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import discord
import pytest

from core.profiles import PROFILES
from core.settings import ROOT, basic_settings, env_example, load_settings, values_of
from host import doctor, setup
from vision import describe_models
from vision.weights import memory

ID = 123456789012345678
TOKEN = f"{base64.urlsafe_b64encode(str(ID).encode()).decode().rstrip('=')}.GabcDE.{'x' * 38}"
CARD = {"device": "cuda:0", "name": "a card", "memory": 12_600_000_000, "flops": 1e14}
CPU = {"device": "cpu", "name": "a processor", "memory": 16 * 2**30, "flops": 1e11}


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run it on a file with these answers, as a person at a terminal would → its exit status."""
    monkeypatch.setattr(describe_models, "probe_devices", lambda: [CPU, CARD])
    monkeypatch.setattr(doctor, "doctor", lambda settings: 0)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.chdir(tmp_path)
    for item in basic_settings():
        monkeypatch.delenv(item.name.upper(), raising=False)

    def answered(*words: str) -> int:
        said: Iterator[str] = iter(words)

        def say(prompt: str = "") -> str:
            print(prompt)
            word = next(said, None)
            if word is None:
                raise EOFError
            return word

        monkeypatch.setattr(builtins, "input", say)
        monkeypatch.setattr(getpass, "getpass", say)
        status = setup.setup(tmp_path / ".env")
        assert next(said, None) is None, "it asked less than was answered"
        return status

    return answered


def test_what_is_answered_is_written_for_its_owner_alone(answer, tmp_path, capsys) -> None:
    folder = "/srv/it's here #1"
    assert answer(TOKEN, "42, 43", "", folder, "", "", "", "https://studio.example.org", "") == 0
    file = tmp_path / ".env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = load_settings({}, file)
    assert (found.discord_token, found.owner_ids, found.backup_dir) == (TOKEN, (42, 43), Path(folder))
    assert (found.model_profile, found.web_port) == ("medium", 8080)
    printed = capsys.readouterr().out
    assert TOKEN not in printed and f"client_id={ID}" in printed
    assert all(f"# {item.metadata['help']}" in file.read_text() for item in basic_settings())
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_what_is_there_stays_and_nothing_changes_without_a_yes(answer, tmp_path, capsys) -> None:
    file = tmp_path / ".env"
    before = f"# mine\nexport DATA_DIR=/srv/old\nDISCORD_TOKEN={TOKEN}\nUSER_RUNNING=5\nWEB_PORT=0\n"
    file.write_text(before)
    assert answer("", "", "/srv/new", "", "small", "cpu", "", "n") == 1
    assert file.read_text() == before and "DATA_DIR=/srv/new (before: /srv/old)" in capsys.readouterr().out
    assert answer("", "", "/srv/new") == 1, "the answers end"
    assert file.read_text() == before
    assert answer("", "", "/srv/new", "", "small", "cpu", "", "y") == 0
    text = file.read_text()
    assert text.startswith(f"# mine\nDATA_DIR=/srv/new\nDISCORD_TOKEN={TOKEN}\nUSER_RUNNING=5\nWEB_PORT=0\n")
    assert values_of(text)["MODEL_PROFILE"] == "small" and values_of(text)["DEVICES"] == "cpu"
    assert answer("-", "", "", "", "", "", "", "y") == 0
    assert load_settings({}, file).discord_token == ""


def test_a_wrong_answer_is_asked_for_again_and_says_what_is_taken(answer, tmp_path, capsys) -> None:
    wrong = TOKEN.replace(".", " ", 1)
    answers = [wrong, "", "me", "", "", "", "huge", "", "gpu", "", "99999", "0", "y"]
    assert answer(*answers) == 0
    printed = capsys.readouterr().out
    for words in ("a bot's token", "Discord ids", "takes one of: demo", "takes auto, none", "0 to 65535"):
        assert words in printed
    assert load_settings({}, tmp_path / ".env").web_port == 0


def test_a_wrong_line_of_another_setting_is_named_at_the_end(answer, tmp_path, capsys) -> None:
    (tmp_path / ".env").write_text("USER_WAITNG=4\n")
    assert answer("", "", "", "", "", "", "0", "y") == 2
    assert "did you mean USER_WAITING?" in capsys.readouterr().out


def test_without_a_terminal_it_says_what_to_write(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert setup.setup(tmp_path / ".env") == 1
    assert env_example() in capsys.readouterr().out and not list(tmp_path.iterdir())


@pytest.mark.parametrize("token", ["", "x", "a.b.c", TOKEN[:40], "Bot " + TOKEN, "eHh4" * 6 + TOKEN[24:]])
def test_what_has_not_the_form_of_a_token_is_none(token: str) -> None:
    assert setup.application_of(TOKEN) == ID
    with pytest.raises(ValueError, match="Reset Token"):
        setup.application_of(token)


def test_the_invitation_asks_for_what_the_bot_needs() -> None:
    [number] = re.findall(r"permissions=(\d+)", setup.invite_link(ID))
    rights = {name for name, given in discord.Permissions(int(number)) if given}
    assert {"send_messages", "attach_files", "create_public_threads", "send_messages_in_threads"} < rights
    assert len(rights) == 6 and not rights & {"administrator", "manage_messages", "mention_everyone"}


@pytest.mark.parametrize(
    ("gigabytes", "profile"), [(6, "demo"), (8.4, "small"), (15.6, "medium"), (80, "xlarge")]
)
def test_the_largest_profile_that_the_card_has_room_for_is_proposed(gigabytes: float, profile: str) -> None:
    card = {"device": "cuda:0", "memory": gigabytes * 10**9}
    assert setup.proposed_profile([{"device": "cpu", "memory": 10**12}, card]) == profile


def test_the_downloads_are_those_of_all_models_of_the_profiles() -> None:
    for profile, models in PROFILES.items():
        if profile != "demo":
            hub = {
                name for spec in models.values() for name in re.findall(r"([\w.-]+/[\w.-]+)@\w+(?:,|$)", spec)
            }
            assert hub <= setup.DOWNLOADS.keys(), profile
    for measured in json.loads(memory.NEEDS.read_text(encoding="utf-8")).values():
        size = setup.DOWNLOADS.get(str(measured.get("repository")), 0)
        assert not size or size * 10**9 > 0.98 * int(measured["weights"])
    assert setup.downloads("small") == pytest.approx((22.1, 29.0))
    lines = list(setup.profile_lines([CPU, CARD]))
    assert "small     8 GB card  22 GB to download, 29 with all models, at least 1.1 s a picture" in lines
    assert "min a picture or more" in list(setup.profile_lines([CPU]))[1]


def test_the_pages_for_hosts_name_the_same_downloads_and_the_same_invitation() -> None:
    names = ("requirements", "discord-app")
    pages = {name: (ROOT / "docs" / "host" / f"{name}.md").read_text(encoding="utf-8") for name in names}
    for profile in setup.CARDS:
        least, most = setup.downloads(profile)
        assert re.search(rf"`{profile}`, .*\| {least:.0f} to {most:.0f} GB \|", pages["requirements"])
    [permissions] = re.findall(r"permissions=(\d+)", pages["discord-app"])
    assert f"permissions={permissions}" in setup.invite_link(ID)


@pytest.mark.slow
def test_a_person_at_a_terminal_is_led_through(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")  # not on Windows
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.isupper() or "_" not in name}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "bot", "setup"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as run:
        os.close(theirs)
        answers = iter([b"\n", b"42\n", b"\n", b"\n", b"\n", b"cpu\n", b"0\n", b"y\n"])
        text, seen, end = b"", 0, time.monotonic() + 120
        while time.monotonic() < end:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    text += os.read(ours, 4096)
                except OSError:  # it has ended
                    break
            elif text[seen:].rstrip().endswith((b"]:", b"[Y/n]")):
                seen = len(text)
                os.write(ours, next(answers))
        run.kill()
    os.close(ours)
    assert b"Ready" in text, text.decode()
    found = load_settings({}, tmp_path / ".env")
    assert (found.owner_ids, found.devices, found.web_port) == ((42,), ("cpu",), 0)

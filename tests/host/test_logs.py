"""No secret and nobody's words in a log. The long form is ``make security``."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from core.redact import GONE, Redactor
from core.settings import ROOT, load_settings
from host.process import redactor
from proofs.security import canaries


@pytest.mark.parametrize("shape", canaries.SHAPES)
def test_a_secret_of_each_shape_is_taken_out(shape) -> None:
    for seed in range(20):
        secret, text = shape(random.Random(seed))
        assert secret in text and secret not in Redactor()(text) and GONE in Redactor()(text)


def test_what_is_no_secret_stays() -> None:
    text = (
        "job abcd2345efgh rendered in 4.2 s; version 1.2.3; https://discord.com/developers/docs;"
        " stable-diffusion-v1-5 at 451f4fe16113bff5"
    )
    assert Redactor()(text) == text


def test_the_hosts_own_secrets_are_known_by_value(tmp_path: Path) -> None:
    given = {"DISCORD_TOKEN": "t0ken-of-no-known-shape", "HF_TOKEN": "secret-hf", "DATA_DIR": str(tmp_path)}
    redact = redactor(load_settings(given, tmp_path / "none.env"))
    assert redact("a t0ken-of-no-known-shape b secret-hf c") == f"a {GONE} b {GONE} c"
    redact.add(["a prompt"])
    assert "a prompt" not in redact("x a prompt y")
    redact.drop(["a prompt"])
    assert "a prompt" in redact("x a prompt y")


@pytest.mark.parametrize("password", ["p@ss-canary@", "p%40ss-canary", "p/canary"])
def test_the_databases_password_is_not_half_shown(tmp_path: Path, password: str) -> None:
    address = f"postgresql+psycopg://me:{password}@host/atelier"
    redact = redactor(load_settings({"DATABASE_URL": address}, tmp_path / "none.env"))
    for text in (f"can't reach {address}", f"FATAL: {password.replace('%40', '@')} is wrong"):
        assert "canary" not in redact(text)
    assert "canary" not in Redactor()("postgresql://me:p@ss-canary@host/atelier")


@pytest.mark.parametrize(
    ("held", "secret"),
    [
        ("card1:canary-word\n", "canary-word"),
        ("SUACANARYCANARY", "SUACANARYCANARY"),
        ("-----BEGIN SEED-----\nSUACANARYCANARY\n------END SEED------\n", "SUACANARYCANARY"),
    ],
)
def test_a_secret_in_the_file_that_bus_creds_names_is_known(tmp_path: Path, held: str, secret: str) -> None:
    file = tmp_path / "bus.creds"
    file.write_text(held)
    redact = redactor(load_settings({"BUS_CREDS": str(file)}, tmp_path / "none.env"))
    assert redact(f"refused: {secret}.") == f"refused: {GONE}."


def test_words_that_two_jobs_share_are_redacted_until_both_have_ended() -> None:
    redact = Redactor()
    redact.add(["a secret boat"])
    redact.add(["a secret boat", "tiny"])
    redact.drop(["a secret boat"])
    assert redact("too long: a secret boat") == f"too long: {GONE}"
    redact.drop(["a secret boat", "tiny"])
    redact.drop(["a secret boat"])
    assert redact("too long: a secret boat") == "too long: a secret boat"
    redact.add(["a secret boat"])
    assert redact("too long: a secret boat") == f"too long: {GONE}"


async def test_prompts_names_and_sql_stay_out_of_the_log(tmp_path: Path) -> None:
    with canaries.listening(Redactor()) as out:
        planted, metrics = await canaries.used(tmp_path, 12)
        assert len(planted) > 45 and "unexpected" in out.getvalue(), "it must have been used, and broken"
        assert "nowhere" in out.getvalue(), "it must have been used, and broken"
        assert canaries.leaks(planted, out.getvalue(), metrics.decode()) == []


async def test_without_the_filter_words_would_be_in_the_log(tmp_path: Path) -> None:
    assert await canaries.unfiltered(tmp_path, 5)


def test_the_log_file_itself_is_clean(tmp_path: Path) -> None:
    code = (
        "import logging; from pathlib import Path; from core.settings import load_settings;"
        " from host.process import set_up_logs\n"
        "set_up_logs(load_settings({'DISCORD_TOKEN': 'canary-token-1', 'DATA_DIR':"
        f" {str(tmp_path)!r}}}, Path('none.env')))\ntry: raise ValueError('canary-token-1 in an"
        " error')\nexcept ValueError: logging.getLogger('bot').exception('failed')\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    kept = (tmp_path / "logs" / "atelier.log").read_text()
    assert "failed" in kept and "Traceback" in kept and "canary" not in kept + run.stderr


def test_a_line_shows_its_values_as_they_were_and_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    code = f"""
import logging, time
from pathlib import Path
from core.settings import ROOT, load_settings
from host.process import set_up_logs
set_up_logs(load_settings({{'DATA_DIR': {str(tmp_path)!r}}}, Path('none.env')))
plain = logging.FileHandler.emit
def slow(handler, record):
    time.sleep(0.2)
    plain(handler, record)
logging.FileHandler.emit = slow
steps, began = ['first'], time.monotonic()
for _ in range(3):
    logging.getLogger('bot').warning('at %s', steps)
assert time.monotonic() - began < 0.2
steps.append('second')
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    kept = (tmp_path / "logs" / "atelier.log").read_text()
    assert kept.count("at ['first']") == 3 and "second" not in kept

"""What is left out on a server is named, is there, and doesn't grow."""

from core.settings import ROOT
from tests.support.postgres import NO_DATABASE, SQLITES_OWN


def test_what_is_left_out_on_a_server_is_there_and_no_more_than_today() -> None:
    assert len(SQLITES_OWN) <= 17 and len(NO_DATABASE) <= 7
    for name in (*SQLITES_OWN, *NO_DATABASE):
        file, _, test = name.partition("::")
        assert f"def {test}" in (ROOT / file).read_text(encoding="utf-8"), name

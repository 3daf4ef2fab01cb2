"""The grammar of the search box."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.errors import UserError
from storage.gallery import Filter
from studio import search
from studio.search import Like, Query

JOB = "abcd2345efgh"


def test_words_and_filters_are_told_apart() -> None:
    found = search.read_query(
        'red Boat kind:imagine "at night: 12:30" seed:7 ar:3:2 fav:yes by:me model:"sd xl"'
    )
    assert found == Query(
        Filter(
            ("red", "Boat", "at", "night:", "12:30"),
            "imagine",
            favourite=True,
            seed=7,
            ratio=(3, 2),
            model="sd xl",
        ),
        own=True,
    )
    assert search.read_query('folder:"in snow"').folder == "in snow"
    assert search.read_query("") == Query() and not search.read_query("kind:imagine").is_ranked
    assert search.read_query("a").is_ranked and search.read_query(f"like:{JOB}").is_ranked


def test_days_and_months_end_where_they_should() -> None:
    found = search.read_query("from:2026-02 to:2026-02").filter
    assert (found.since, found.until) == (datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    day = search.read_query("from:2026-12-31 to:2026-12-31").filter
    assert (day.since, day.until) == (datetime(2026, 12, 31, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert search.read_query("to:2026-12").filter.until == datetime(2027, 1, 1, tzinfo=UTC)


def test_days_and_months_are_those_of_whoever_looks() -> None:
    there, here = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")
    day = search.read_query("from:2026-11-30 to:2026-11-30", there).filter
    five = datetime(2026, 11, 30, 5, tzinfo=UTC)
    assert (day.since, day.until) == (five, five + timedelta(days=1))
    short = search.read_query("from:2026-03-29 to:2026-03-29", here).filter
    assert short.since and short.until and short.until - short.since == timedelta(hours=23)
    with pytest.raises(UserError, match="takes a day or a month"):
        search.read_query("from:0001-01-01", here)


def test_a_picture_to_compare_with_is_one_of_a_job_or_one_that_was_sent() -> None:
    assert search.read_query(f"like:{JOB}").like == Like(JOB, 0)
    assert search.read_query(f"like:{JOB}/3").like == Like(JOB, 2)
    assert search.read_query(f"like:{'0f' * 32}").like == Like(sha256="0f" * 32)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("size:big", "`size:` isn't a filter; there are `like:`, `kind:`"),
        ("kind:painting", "`kind:` takes one of imagine"),
        ("seed:-1", "`seed:` takes a whole number"),
        (f"seed:{2**63}", "`seed:` takes a whole number"),
        ("from:yesterday", "`from:` takes a day or a month"),
        ("to:2026-13", "`to:` takes a day or a month"),
        ("from:9999-12", "`from:` takes a day or a month"),
        ("to:2026-02-30", "`to:` takes a day or a month"),
        ("ar:wide", "`ar:` takes a shape"),
        ("ar:0:3", "`ar:` takes a shape"),
        ("kind:", "`kind:` takes one of imagine"),
        ("a boat from:", "`from:` takes a day or a month"),
        ('model:""', "`model:` takes a part of a model's name"),
        ("fav:no", "`fav:` takes yes"),
        ("by:bob", "`by:` takes me"),
        ("like:that", "`like:` takes a picture"),
        (f"like:{JOB}/0", "`like:` takes a picture"),
        ("a " * 13, "has 13 words; it takes up to 12"),
        ("a" * 401, "has 401 characters; it takes up to 400"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(text: str, said: str) -> None:
    with pytest.raises(UserError) as refused:
        search.read_query(text)
    assert said in str(refused.value)

"""Texts of messages that depend on no client."""

from datetime import UTC, datetime

from bot.ui.messages import (
    MAX_CONTENT,
    cut_text,
    details,
    length,
    loading,
    pages,
    placeholder_text,
    progress_text,
    shortened,
    waiting_text,
)
from core.events import Loading, Queued
from core.job import Job, Lane, Origin, Status
from core.requests import AskRequest, ImagineRequest, ShortenRequest, TryRequest

NOW = datetime.now(UTC)


def test_a_page_has_as_many_units_as_discord_takes() -> None:
    """Discord counts in UTF-16: an emoji is two."""
    lines = ["🌊" * 70] * 40 + ["🌊" * 1500]
    found = pages(lines)
    assert all(length(page) <= MAX_CONTENT for page in found)
    assert "\n".join(found).count("🌊") == 70 * 40 + MAX_CONTENT // 2


def test_a_text_is_cut_between_characters() -> None:
    assert cut_text("a🌊b", 4) == "a🌊b" and cut_text("a🌊b", 3) == "a🌊" and cut_text("a🌊b", 2) == "a"


def test_after_the_last_step_a_message_says_that_it_finishes() -> None:
    request = ImagineRequest(prompt="a boat", seed=1)
    job = Job("a", request, Origin(1, 2, 3), Status.RUNNING, Lane.FAST, datetime.now(UTC))
    assert "(99%) (fast)" in progress_text(job, 99) and "(Finishing) (fast)" in progress_text(job, 100)


def test_a_model_that_is_fetched_is_told_with_its_share_and_how_long_it_takes() -> None:
    job = Job("a", ImagineRequest(prompt="a boat", seed=1), Origin(1, 2, 3), Status.RUNNING, Lane.FAST, NOW)
    told = loading(job, Loading("owner/name", 0.349, fetching=True, left=360.0))
    assert told.endswith("(The model owner/name is being downloaded, 34 %, about 6 min)")
    assert loading(job, Loading("owner/name", 0.0, fetching=True)).endswith("is being downloaded, 0 %)")
    assert loading(job, Loading("owner/name", 0.4)).endswith("(Loading owner/name 40%, once after a start)")


def test_a_job_that_waits_for_its_model_says_why_and_that_it_keeps_its_place() -> None:
    job = Job("a", ImagineRequest(prompt="a boat", seed=1), Origin(1, 2, 3), Status.QUEUED, Lane.FAST, NOW)
    told = waiting_text(job, Queued(0, 15.0, why="owner/name can't be downloaded: no route."))
    assert "(Waiting)" in told and told.endswith(
        "owner/name can't be downloaded: no route. It is tried again in 15 s; the job keeps its place."
    )
    assert "(Waiting to start, 2nd, about 15 s)" in waiting_text(job, Queued(2, 15.0))


def test_details_of_an_answer_tell_its_model_and_not_where_that_is() -> None:
    request = AskRequest(question="What is it?", images=("a" * 64,))
    job = Job("abcdefghijkm", request, Origin(1, 2, 3), Status.DELIVERED, Lane.FAST, datetime.now(UTC))
    of_before = {"kind": "ask", "server": "10.0.0.7:8000", "model": "sees-7b"}
    [page] = details(job, of_before, (), 0)
    assert "sees-7b" in page and "10.0.0.7" not in page


def test_an_empty_reading_says_that_there_is_nothing_to_leave_out() -> None:
    request = ShortenRequest(prompt="a boat")
    job = Job("abcdefghijkm", request, Origin(1, 2, 3), Status.DELIVERED, Lane.FAST, datetime.now(UTC))
    assert "There is nothing to leave out" in shortened(job, [])


def test_what_is_said_before_a_rule_has_read_the_words_has_none_of_them() -> None:
    for request in (
        ImagineRequest(prompt="a secret"),
        ShortenRequest(prompt="a secret"),
        AskRequest(question="a secret?", images=("a" * 64,)),
        TryRequest(set_id="a" * 12, image="a" * 64, name="a secret"),
    ):
        assert placeholder_text(request, 7) == f"{request.called} by <@7> (Waiting to start)"

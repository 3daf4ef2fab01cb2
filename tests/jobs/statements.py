"""What is sent to the database in every job's life, by the function that sends it: plans of these are held on
SQLite and on PostgreSQL."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from core.job import Origin, Reply
from storage import conversations, job_queries, jobs, people, privacy
from storage import videos as videos
from tests.storage.conftest import NOW, a_job

ASKED = replace(
    a_job(parent=("j", 0), roles=(5,)),
    origin=Origin(1, 2, 3, roles=(5,), request_key="r", press_key="k"),
    reply=Reply(5),
)
Work = Callable[[sa.Connection], Any]
STATEMENTS: dict[str, Work] = {
    "the waiting jobs": job_queries.list_waiting,
    "what is left to tell": job_queries.undelivered,
    "claim": lambda c: jobs.claim(c, "j", token="t", device="cpu", now=NOW),
    "turn": lambda c: people.set_served(c, 1, 2),
    "turns": lambda c: people.turns(c, [1, 2]),
    "last turn": people.last_turn,
    "finish": lambda c: jobs.finish(c, "j", job_queries.StoredOutput(), token="t", now=NOW, run_seconds=1.0),
    "fail": lambda c: jobs.fail(c, "j", "No.", token="t", now=NOW),
    "retry": lambda c: jobs.retry(c, "j", "No.", token="t", now=NOW),
    "give back": lambda c: jobs.give_back(c, "j", token="t"),
    "recover": lambda c: jobs.recover(c, "No.", now=NOW),
    "cancel": lambda c: jobs.cancel(c, "j", now=NOW),
    "clear": lambda c: jobs.cancel_waiting(c, now=NOW, most=9),
    "clear one member": lambda c: jobs.cancel_waiting(c, now=NOW, user_id=1, most=9),
    "clear one guild": lambda c: jobs.cancel_waiting(c, now=NOW, guild_id=1, most=9),
    "ban one member": lambda c: jobs.cancel_waiting(c, now=NOW, user_id=1, guild_id=1),
    "to the front": lambda c: jobs.set_front(c, "j"),
    "deliver": lambda c: jobs.deliver(c, "j", message_id=1, channel_id=1, rung="edit", now=NOW),
    "what decides about a job": lambda c: jobs.facts(c, ASKED),
    "an interaction's job": lambda c: job_queries.of_interaction(c, 5),
    "one job": lambda c: job_queries.read_job(c, "j"),
    "a result": lambda c: job_queries.read_output(c, "j"),
    "a message's job": lambda c: job_queries.of_message(c, 1),
    "children": lambda c: job_queries.count_children(c, "j", 0),
    "last picture": lambda c: job_queries.last_picture(c, 1),
    "durations": job_queries.durations,
    "files in use": lambda c: privacy.known_files(c, ["a", "b"]),
    "seconds of video": lambda c: conversations.seconds_used(c, 1, now=NOW),
    "videos that are coming": lambda c: conversations.list_coming(c, 1),
    "videos of a job": lambda c: videos.videos_of_jobs(c, ["j"]),
    "rules": lambda c: people.read_rules(c, 1, 3, [5]),
}

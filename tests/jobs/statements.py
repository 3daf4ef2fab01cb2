"""What is sent to the database in every job's life, by the function that sends it: plans of these are held on
SQLite and on PostgreSQL."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from core.job import Origin, Reply
from storage import admission, lookup, people, privacy
from storage import jobs as rows
from storage.films import rows as films
from storage.films import use
from tests.storage.conftest import NOW, a_job

ASKED = replace(
    a_job(parent=("j", 0), roles=(5,)),
    origin=Origin(1, 2, 3, roles=(5,), request_key="r", press_key="k"),
    reply=Reply(5),
)
Work = Callable[[sa.Connection], Any]
STATEMENTS: dict[str, Work] = {
    "the waiting jobs": lookup.waiting,
    "what is left to tell": lookup.undelivered,
    "claim": lambda c: rows.claim(c, "j", token="t", device="cpu", now=NOW),
    "turn": lambda c: people.set_served(c, 1, 2),
    "turns": lambda c: people.turns(c, [1, 2]),
    "last turn": people.last_turn,
    "finish": lambda c: rows.finish(c, "j", lookup.StoredOutput(), token="t", now=NOW, run_seconds=1.0),
    "fail": lambda c: rows.fail(c, "j", "No.", token="t", now=NOW),
    "retry": lambda c: rows.retry(c, "j", "No.", token="t", now=NOW),
    "give back": lambda c: rows.give_back(c, "j", token="t"),
    "recover": lambda c: rows.recover(c, "No.", now=NOW),
    "cancel": lambda c: rows.cancel(c, "j", now=NOW),
    "clear": lambda c: rows.cancel_waiting(c, now=NOW, most=9),
    "clear one member": lambda c: rows.cancel_waiting(c, now=NOW, user_id=1, most=9),
    "clear one guild": lambda c: rows.cancel_waiting(c, now=NOW, guild_id=1, most=9),
    "ban one member": lambda c: rows.cancel_waiting(c, now=NOW, user_id=1, guild_id=1),
    "to the front": lambda c: rows.set_front(c, "j"),
    "deliver": lambda c: rows.deliver(c, "j", message_id=1, channel_id=1, rung="edit", now=NOW),
    "what decides about a job": lambda c: admission.facts(c, ASKED),
    "an interaction's job": lambda c: lookup.of_interaction(c, 5),
    "one job": lambda c: lookup.get(c, "j"),
    "a result": lambda c: lookup.output(c, "j"),
    "a message's job": lambda c: lookup.of_message(c, 1),
    "children": lambda c: lookup.children(c, "j", 0),
    "last picture": lambda c: lookup.last_picture(c, 1),
    "recent prompts": lambda c: lookup.recent_prompts(c, 1, "a", limit=5),
    "durations": lookup.durations,
    "files in use": lambda c: privacy.known_files(c, ["a", "b"]),
    "seconds of film": lambda c: use.used(c, 1, now=NOW),
    "films that are coming": lambda c: use.coming(c, 1),
    "films of a job": lambda c: films.of_jobs(c, ["j"]),
    "rules": lambda c: people.rules(c, 1, 3, [5]),
}

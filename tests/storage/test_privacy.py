"""What becomes of every row that names a person when they are deleted."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from storage import privacy, schema
from storage.database import Database
from tests.storage.conftest import NOW, added

ANN, BEN = 77, 88  # who is deleted, and who stays
PEOPLE = ("user_id", "actor_id", "owner_id", "author_id", "answered_by")  # columns that name a person


def _rows(user: int, job_id: str) -> dict[str, dict[str, Any]]:
    """A row of every table that names people, and of those that hang on a job."""
    made, sha256 = {"created_at": NOW, "job_id": job_id}, {"sha256": f"{user:064}"}
    return {
        "users": {"id": user, "name": "somebody"},
        "uploads": {"user_id": user, "at": NOW, **sha256},
        "preferences": {"user_id": user, "choices": "{}"},
        "options": {"user_id": user, "name": "mine", "value": "in snow"},
        "favourites": {"user_id": user, "position": 0, **made},
        "style_likes": {"user_id": user, "style": 7, "at": NOW},
        "own_style_pictures": {"user_id": user, "code": "sabcdefg", "position": 0, "job_id": job_id},
        "own_styles": {"user_id": user, "code": "sabcdefg", "style": 7, "at": NOW},
        "drafts": {"user_id": user, "id": str(user), "content": "{}", "created_at": NOW},
        "sessions": {"token_hash": str(user), "id": str(user), "user_id": user, "name": "", "label": ""}
        | dict.fromkeys(("created_at", "seen_at"), NOW),
        "push_subscriptions": {"session": str(user), "user_id": user, "endpoint": f"https://a.org/{user}"}
        | {"p256dh": "", "auth": "", "created_at": NOW},
        "sign_ins": {"token_hash": str(user), "user_id": user, "name": "", "expires_at": NOW},
        "api_tokens": {"token_hash": str(user), "id": str(user), "user_id": user, "name": "", "label": ""}
        | {"scopes": "look", "created_at": NOW, "ends_at": NOW},
        "webhooks": {
            "id": str(user),
            "user_id": user,
            "name": "",
            "token_id": str(user),
            "url": "https://a.org",
        }
        | {"secret": "whsec_", "kinds": "job.ended", "created_at": NOW},
        "audit": {"at": NOW, "actor_id": user, "action": "pause"},
        "bans": {"guild_id": 3, "user_id": user, "actor_id": user, "created_at": NOW},
        "filter_words": {"guild_id": 3, "pattern": f"word{user}", "actor_id": user, "created_at": NOW},
        "strikes": {"user_id": user, "guild_id": 3, "rule": "EXPLICIT", "at": NOW},
        "timeouts": {"user_id": user, "guild_id": 3, "until": NOW + timedelta(hours=1)},
        "films_used": {"user_id": user, "day": 20_000, "seconds": 2.5},
        "tokens_used": {"user_id": user, "day": 20_000, "tokens": 500},
        "pictures": {"job_id": job_id, "position": 0, "media_type": "image/png", **sha256}
        | dict.fromkeys(("width", "height", "size"), 1),
        "inputs": {"job_id": job_id, **sha256},
        "messages": {"message_id": user, "channel_id": 2, **made},
        "trash": {"user_id": user, "job_id": job_id, "position": 0, "at": NOW},
        "folders": {"id": str(user), "user_id": user, "name": "mine", "created_at": NOW},
        "folder_items": {"folder_id": str(user), "job_id": job_id, "position": 0, "added_at": NOW},
        "shares": {"token_hash": str(user), "id": str(user), "user_id": user, "title": "", "words": 0}
        | {"expires_at": NOW, **made},
        "documents": {"id": str(user), "user_id": user, "name": "", "content": "{}", "summary": "{}"}
        | {"version": 1, "created_at": NOW, "updated_at": NOW},
        "document_files": {"document_id": str(user), **sha256},
        "taste_codes": {"code": f"p{user}", "user_id": user, "name": "me", "created_at": NOW},
        "taste_voters": {"guild_id": 3, "user_id": user, "counts": 1},
        "taste_choices": {"user_id": user, "job_id": job_id, "position": 0, "page": "1"}
        | {"liked": 1, "at": NOW},
        "duels": {"id": str(user), "guild_id": 3, "channel_id": 2, "created_at": NOW},
        "duel_pictures": {"duel_id": str(user), "number": 1, "job_id": job_id, "position": 0},
        "duel_votes": {"duel_id": str(user), "user_id": user, "number": 1, "liked": 1, "at": NOW},
        "example_sets": {"id": str(user), "user_id": user, "name": "mine", "created_at": NOW},
        "feedback": {"user_id": user, "is_right": 1, **made},
        "examples": {"id": user, "set_id": str(user), "question": "", "label": "a cat", **made},
        "example_pictures": {"example_id": user, "position": 0, **sha256},
        "projects": {"id": str(user), "guild_id": 3, "user_id": user, "name": str(user), "task": "anomaly"}
        | {"created_at": NOW},
        "watches": {"id": str(user), "project_id": str(user), "user_id": user, "camera": "", "source": "line"}
        | {"channel_id": 2, "language": "en", "keep_days": 30, "created_at": NOW},
        "project_items": {"project_id": str(user), "user_id": user, **sha256}
        | dict.fromkeys(("added_at", "changed_at"), NOW),
        "project_versions": {"project_id": str(user), "number": 1, "user_id": user, "state": "active"}
        | {"size": 1, "settings": "{}", "metrics": "{}", "asked_at": NOW, "at": NOW},
        "turns": {"id": str(user), "root_id": str(user), "user_id": user, "channel_id": 2, "surface": "web"}
        | {"roles": "[]", "private": 0, "said": "a cat", "kind": "draw", "by": "rules", "decision": "{}"}
        | {"created_at": NOW},
        "turn_pictures": {"turn_id": str(user), "number": 1, **sha256},
        "films": {"job_id": job_id, "position": 0, "media_type": "video/mp4", **sha256}
        | dict.fromkeys(("width", "height", "frames", "fps", "sound", "size"), 1),
    }


def _naming(user: int, connection: sa.Connection) -> set[str]:
    """Columns that name the person, as "table.column"."""
    columns = [c for table in schema.metadata.tables.values() for c in table.c]
    naming = [c for c in columns if c.name in PEOPLE or c is schema.users.c.id]
    return {
        f"{c.table.name}.{c.name}"
        for c in naming
        if connection.scalar(sa.select(sa.func.count()).where(c == user))
    }


async def test_each_row_of_a_person_goes_or_loses_the_name_or_is_among_those_that_stay(
    database: Database,
) -> None:
    for user in (ANN, BEN):
        job = await added(database, user=user)
        for name, row in _rows(user, job.id).items():
            insert = sa.insert(schema.metadata.tables[name]).values(**row)
            await database.write(lambda c, insert=insert: c.execute(insert) and None)
    for user in (ANN, BEN):  # both call Ben's picture something, and answer his model
        picture = {"project_id": str(BEN), "sha256": f"{BEN:064}", "label": "good", "at": NOW}
        said = {"job_id": job.id, "position": user, "number": 1, "score": 2.0, "strange": 1, "is_right": 1}
        for name, row in (("project_marks", {"user_id": user}), ("verdicts", said | {"answered_by": user})):
            insert = sa.insert(schema.metadata.tables[name]).values(**picture, **row)
            await database.write(lambda c, insert=insert: c.execute(insert) and None)
    before = await database.read(lambda c: _naming(ANN, c))
    handled = [*privacy.OWNED.values(), *privacy.NAMED.values(), *privacy.KEPT.values()]
    assert before == {f"{c.table.name}.{c.name}" for c in handled}, "a new table needs a row above"
    removed = await database.write(lambda c: privacy.delete_person(c, ANN, now=NOW))
    kept = {f"{c.table.name}.{c.name}" for c in privacy.KEPT.values()}
    assert await database.read(lambda c: _naming(ANN, c)) == kept
    assert await database.read(lambda c: _naming(BEN, c)) == before
    assert removed.files == (f"{ANN:064}",) and removed.messages == ((2, ANN),)
    named = [table.name for table in privacy.NAMED]
    for name in ("pictures", "films", "inputs", "messages", "folder_items", "document_files", *named):
        rows = sa.select(sa.func.count()).select_from(schema.metadata.tables[name])
        left = await database.read(lambda c, rows=rows: c.scalar(rows))
        assert left == (2 if name in {table.name for table in privacy.NAMED} else 1), name


async def test_time_outs_that_are_over_go_with_their_person(database: Database) -> None:
    over = {"user_id": ANN, "guild_id": 3, "until": NOW}
    await database.write(lambda c: c.execute(sa.insert(schema.timeouts).values(**over)) and None)
    await database.write(lambda c: privacy.delete_person(c, ANN, now=NOW))
    assert await database.read(lambda c: _naming(ANN, c)) == set()

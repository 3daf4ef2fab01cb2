"""Rows as years of a large studio would have left them, and a crowd that waits: made by the server itself, in
SQL.

Ids, hashes and places in indexes are as scattered as the product's. What is made is what the program writes
for a job's life: the job, its pictures and grid, what it was made from, the message that shows it, who was
seen, what somebody likes. Times of the past are spread over a year, the waiting ones over the last minutes.
"""

from __future__ import annotations

from typing import Any

from core.job import Lane, Status
from core.requests import ImagineRequest, VariationRequest, to_json
from jobs.scheduling.fairness import cost_key

EACH = 10  # waiting jobs of a member, which is what a member may have
SERVER = 100  # waiting jobs of a server, half of what it may have
WORDS = (
    "a red house by the sea", "an old lighthouse at dusk", "portrait of a woman with a green hat",
    "a cat that sleeps on books", "isometric city of glass", "a knight in the rain", "watercolour of a fox",
    "a harbour in the fog, oil on canvas", "three robots at tea", "a mountain lake, 35 mm photograph",
)  # fmt: skip
YEAR = 365 * 24 * 3600 * 10**6  # microseconds
PARAMETERS = (
    '{"model": "stabilityai/stable-diffusion-xl-base-1.0", "steps": 28, "guidance_scale": 5.0, "width": 1024,'
    ' "height": 1024, "scheduler": "euler", "seed": 7, "notes": []}'
)


def fill(connection: Any, history: int, waiting: int) -> None:
    """Make so many jobs that are over, and so many that wait, in tables without a row; then have the tables
    looked at as the server's autovacuum would."""
    connection.execute("SET session_replication_role = replica")  # what refers to what is known to be there
    connection.execute("SET synchronous_commit = off")
    connection.execute("SET maintenance_work_mem = '512MB'")
    connection.execute("SELECT setseed(0.5)")
    now = "(extract(epoch FROM now()) * 1000000)::bigint"
    people = max(waiting // EACH, history // 15, 1)
    later = _without_indexes(connection)
    for statement in (*_people(people, now), _past(history, people, now), *_made(), _crowd(waiting, now)):
        connection.execute(statement)
    for statement in later:
        connection.execute(statement)
    connection.execute("SET session_replication_role = origin")
    connection.execute("VACUUM (ANALYZE)")
    connection.execute("CHECKPOINT")


def _without_indexes(connection: Any) -> list[str]:
    """Drop the indexes that no constraint needs; return what makes them again, which is quicker then."""
    found = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()"
        " AND tablename IN ('jobs', 'pictures', 'messages') AND indexname NOT IN"
        " (SELECT conname FROM pg_constraint)"
    ).fetchall()
    for name, _ in found:
        connection.execute(f'DROP INDEX "{name}"')
    return [definition for _, definition in found]


def _people(people: int, now: str) -> tuple[str, ...]:
    """served: all had about as much, as fair turns leave it."""
    few = f"FROM generate_series(1, {people // 100 + 1}) n"
    return (
        "INSERT INTO users (id, name, served, seen_at)"  # noqa: S608
        f" SELECT n, 'member ' || n, 1000000 + (random() * 50)::int, {now} - (random() * {YEAR})::bigint"
        f" FROM generate_series(1, {people}) n",
        "INSERT INTO guilds (id, name) SELECT n, 'server ' || n"  # noqa: S608
        f" FROM generate_series(1, {people // 10 + 1}) n",
        f"INSERT INTO role_limits SELECT n, n * 10, 5, 20 {few}",
        f"INSERT INTO bans SELECT n, n * 7, 1, {now} {few}",
    )


_COLUMNS = (
    "id, kind, request, prompt, cost_key, status, lane, max_running, user_id, channel_id, guild_id,"
    " interaction_id, interaction_token, application_id, message_id, file_limit, private, roles, parent_id,"
    " parent_index, attempts, device, run_seconds, parameters, error, created_at, started_at, rendered_at,"
    " finished_at, delivered_at, rung"
)
_NAME = "substr(md5('job' || {n}), 1, 12)"  # of a job, as scattered as the program's


def _past(history: int, people: int, now: str) -> str:
    """Nine of ten came well; every eighth is a variation of another; members and servers ask as people do:
    few ask for much."""
    plain = to_json(ImagineRequest(prompt="@", seed=7)).replace("'", "''")
    variation = VariationRequest(image="0" * 64, prompt="@", seed=7)
    varied = to_json(variation).replace("'", "''")
    words = ", ".join(f"'{one}'" for one in WORDS)
    key, varied_key = cost_key(ImagineRequest(prompt="@", seed=7)), cost_key(variation)
    delivered, failed, cancelled = Status.DELIVERED.value, Status.FAILED.value, Status.CANCELLED.value
    return f"""
        INSERT INTO jobs ({_COLUMNS})
        SELECT {_NAME.format(n="n")},
            CASE WHEN child THEN '{VariationRequest.kind}' ELSE '{ImagineRequest.kind}' END,
            replace(CASE WHEN child THEN '{varied}' ELSE '{plain}' END, '@', said), said,
            CASE WHEN child THEN '{varied_key}' ELSE '{key}' END, status, lane, 3, member,
            member % ({people} / 10 + 1) * 10 + 1,
            CASE WHEN member % 20 = 0 THEN NULL ELSE member % ({people} / 10 + 1) + 1 END,
            ((at / 1000 - 1420070400000) << 22) + n % 4194304, NULL, 99,
            ((at / 1000 - 1420070400000) << 22) + n % 4194304 + 7, 26214400, (member % 20 = 0)::int, '[]',
            CASE WHEN child THEN {_NAME.format(n="n - 1 - (n % 50)")} END, CASE WHEN child THEN n % 4 END,
            CASE WHEN status = '{cancelled}' THEN 0 ELSE 1 END, 'h' || n % 40 || '/cuda:0',
            CASE WHEN status = '{delivered}' THEN 12 + random() * 8 END,
            CASE WHEN status = '{delivered}' THEN '{PARAMETERS}' END,
            CASE WHEN status = '{failed}' THEN 'The model could not be loaded.' END,
            at, at + 30000000, CASE WHEN status = '{delivered}' THEN at + 46000000 END,
            at + 46000000, at + 47000000, 'edit'
        FROM (
            SELECT n, n % 8 = 0 AND n > 60 AS child,
                1 + floor({people} * power(random(), 2))::bigint AS member,
                (ARRAY[{words}])[1 + n % {len(WORDS)}] || ', ' || substr(md5('words' || n), 1, 24) AS said,
                (ARRAY['{Lane.FAST}', '{Lane.FAST}', '{Lane.RELAX}', '{Lane.TURBO}'])[1 + n / 20 % 4] AS lane,
                CASE n % 20 WHEN 0 THEN '{failed}' WHEN 1 THEN '{cancelled}' ELSE '{delivered}' END AS status,
                {now} - {YEAR} + (n::numeric * {YEAR} / {history + 1})::bigint AS at
            FROM generate_series(1, {history}) n
        ) one"""  # noqa: S608


def _made() -> tuple[str, ...]:
    """What the finished jobs made: mostly four pictures and a grid, of a variation one."""
    done = f"FROM jobs WHERE status = '{Status.DELIVERED.value}'"
    return (
        "INSERT INTO pictures (job_id, position, sha256, media_type, width, height, seed, size)"  # noqa: S608
        " SELECT id, p, encode(sha256((id || p)::bytea), 'hex'), 'image/png', CASE p WHEN -1 THEN 2048 ELSE"
        " 1024 END, CASE p WHEN -1 THEN 2048 ELSE 1024 END, CASE WHEN p >= 0 THEN seq + p END,"
        f" 1400000 + seq % 100000 FROM (SELECT id, seq, kind {done}) one"
        " CROSS JOIN generate_series(-1, 3) p WHERE kind = 'imagine' OR p = 0",
        "INSERT INTO inputs (job_id, sha256) SELECT id, encode(sha256((parent_id || parent_index)::bytea),"
        " 'hex') FROM jobs WHERE parent_id IS NOT NULL",
        "INSERT INTO messages (message_id, channel_id, guild_id, job_id, created_at)"
        f" SELECT message_id, channel_id, guild_id, id, delivered_at {done}",
        "INSERT INTO favourites (user_id, job_id, position, created_at)"
        f" SELECT user_id, id, 0, delivered_at {done} AND seq % 50 = 7",
    )


def _crowd(waiting: int, now: str) -> str:
    """Ten jobs of each member, which came in turns; a fifth of them in the slow lane."""
    members = max(1, waiting // EACH)
    plain = to_json(ImagineRequest(prompt="@", seed=7)).replace("'", "''")
    words = ", ".join(f"'{one}'" for one in WORDS)
    token = "aW50ZXJhY3Rpb24" * 12  # as long as Discord's
    return f"""
        INSERT INTO jobs (id, kind, request, prompt, cost_key, status, lane, max_running, user_id, channel_id,
            guild_id, interaction_id, interaction_token, application_id, file_limit, private, roles,
            created_at)
        SELECT substr(md5('waits' || n), 1, 12), 'imagine', replace('{plain}', '@', said), said,
            '{cost_key(ImagineRequest(prompt="@", seed=7))}', '{Status.QUEUED.value}',
            CASE WHEN n % {members} % 5 = 0 THEN '{Lane.RELAX}' ELSE '{Lane.FAST}' END, 3,
            1 + n % {members}, 1 + n % {members} / 10 * 10, 1 + n % {members} / 10,
            (({now} / 1000 - 1420070400000) << 22) + n, '{token}', 99, 26214400, 0, '[]',
            {now} - 300000000 + (n::numeric * 300000000 / {waiting + 1})::bigint
        FROM (
            SELECT n, (ARRAY[{words}])[1 + n % {len(WORDS)}] || ', ' || substr(md5('say' || n), 1, 24) AS said
            FROM generate_series(0, {waiting} - 1) n
        ) one"""  # noqa: S608

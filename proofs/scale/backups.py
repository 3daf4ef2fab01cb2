"""Backups of a PostgreSQL server, by the commands of docs/host/postgresql.md as they stand there: ``python -m
proofs.scale.backups``.

A studio's rows are backed up, people ask and are deleted afterwards, the server is lost, and what comes back
is looked at before and after the bot has started. pgBackRest has to be installed for its part.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from core.job import Origin
from core.requests import ImagineRequest
from core.settings import ROOT, load_settings
from host.services import services
from studio.services import Services
from tests.jobs.hand_executor import HandExecutor
from tests.support import postgres

PAGE = ROOT / "docs" / "host" / "postgresql.md"
ALICE, BOB, CAROL = 1, 2, 3


def written(start: str) -> str:
    """The one line of the page that begins so, without its comment."""
    (found,) = re.findall(rf"^{re.escape(start)}.*$", PAGE.read_text(encoding="utf-8"), re.M)
    return str(found).partition(" # ")[0].strip()


def configuration() -> str:
    """pgBackRest's file, as the page has it."""
    found = re.search(r"^\[global\]\n.*?(?=^```)", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert found
    return found[0]


@dataclass
class Place:
    """A server of its own with an archive, a database on it, and the bot's DATA_DIR."""

    server: postgres.Server
    folder: Path

    @property
    def address(self) -> str:
        return postgres.address(self.server.folder, "atelier")

    @property
    def libpq(self) -> str:
        return f"host={self.server.folder} user=atelier dbname=atelier"

    def run(self, command: str) -> str:
        """Run a line of the page as whoever the server belongs to."""
        environment = {
            **os.environ,
            "PGBACKREST_CONFIG": str(self.server.folder / "pgbackrest.conf"),
            "DATABASE": self.libpq,
            "PATH": f"{self.server.programs}:{os.environ['PATH']}",
        }
        done = subprocess.run(
            ["sh", "-ec", command], env=environment, cwd=self.server.folder, capture_output=True, text=True,
            **self.server.account,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    @asynccontextmanager
    async def studio(self) -> AsyncIterator[Services]:
        """The studio's services on the database, as the bot opens them."""
        settings = load_settings(
            {"DATA_DIR": str(self.folder), "DATABASE_URL": self.address, "DISK_FLOOR_MB": "0",
             "SEARCH_PICTURES": "off"},
            self.folder / "none.env",
        )  # fmt: skip
        async with services(settings, executor=HandExecutor({"cpu": 0})) as built:
            yield built

    def people(self) -> set[int]:
        """Whose jobs the database holds, while no bot has it."""
        with postgres.connect(self.server.folder, "atelier") as connection:
            return {row[0] for row in connection.execute("SELECT user_id FROM jobs").fetchall()}


@contextlib.contextmanager
def place(*, archived: bool) -> Iterator[Place]:
    """A place, removed in the end. archived: by pgBackRest."""
    server = postgres.Server(durable=True)
    folder = Path(tempfile.mkdtemp(prefix="atelier-"))
    made = Place(server, folder)
    try:
        server.start()
        with postgres.connect(server.folder) as connection:
            connection.execute("CREATE DATABASE atelier")
        if archived:
            _archive(made)
        yield made
    finally:
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)


def _archive(made: Place) -> None:
    """Set the server and pgBackRest up as the page says, but for where objects lie."""
    server = made.server
    text = configuration().replace("/var/lib/pgbackrest", str(server.folder / "repository"))
    text = text.replace("/var/lib/postgresql/15/main", f"{server.data}\npg1-socket-path={server.folder}")
    text += "pg1-user=atelier\npg1-database=atelier\n"
    text = text.replace(
        "[global]\n", f"[global]\nlock-path={server.folder / 'lock'}\nlog-level-file=off\n", 1
    )
    (server.folder / "pgbackrest.conf").write_text(text)
    server.stop()
    with (server.data / "postgresql.conf").open("a") as file:
        file.write(f"\n{written('archive_mode')}\n{written('archive_command')}\n")
    os.environ["PGBACKREST_CONFIG"] = str(server.folder / "pgbackrest.conf")
    try:
        server.start()
    finally:
        del os.environ["PGBACKREST_CONFIG"]
    for name in ("stanza-create", "check"):
        made.run(written(f"pgbackrest --stanza=atelier {name}"))


async def asks(made: Place, *people: int) -> None:
    """Let people ask for pictures."""
    async with made.studio() as built:
        for user_id in people:
            await built.queue.submit(ImagineRequest(prompt="a boat", seed=1), Origin(user_id, 2))


async def forgets(made: Place, user_id: int) -> None:
    """Let somebody delete everything of theirs."""
    async with made.studio() as built:
        await built.privacy.delete(user_id)


async def dumped() -> None:
    """pg_dump and pg_restore: a person deleted after the dump is forgotten again before the bot serves."""
    with place(archived=False) as made:
        await asks(made, ALICE, BOB)
        made.run(written("pg_dump"))
        await forgets(made, ALICE)
        assert made.people() == {BOB}
        made.run(written("pg_restore"))
        assert made.people() == {ALICE, BOB}
        await asks(made, CAROL)
        assert made.people() == {BOB, CAROL}


async def archived() -> None:
    """pgBackRest: to the last moment, and to the backup itself, after which deletions are heard again."""
    with place(archived=True) as made:
        await asks(made, ALICE, BOB)
        made.run(written("pgbackrest --stanza=atelier --type=full backup"))
        assert "status: ok" in made.run(written("pgbackrest --stanza=atelier info"))
        await asks(made, CAROL)
        await forgets(made, ALICE)
        with postgres.connect(made.server.folder) as connection:
            connection.execute("SELECT pg_switch_wal()")
        _lose_and_restore(made, "pgbackrest --stanza=atelier --delta restore")
        assert made.people() == {BOB, CAROL}, "what came after the backup is in the archive"
        _lose_and_restore(made, "pgbackrest --stanza=atelier --delta --type=immediate")
        assert made.people() == {ALICE, BOB}, "the backup holds who was deleted since"
        async with made.studio():
            pass
        assert made.people() == {BOB}, "the bot has heard of the deletion before it serves"


def _lose_and_restore(made: Place, start: str) -> None:
    """Lose the server's files, but for their folder, and bring them back."""
    made.server.stop()
    for path in made.server.data.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    made.run(written(start))
    os.environ["PGBACKREST_CONFIG"] = str(made.server.folder / "pgbackrest.conf")
    try:
        made.server.start()
    finally:
        del os.environ["PGBACKREST_CONFIG"]
    with postgres.connect(made.server.folder) as connection:  # it answers before its recovery ends
        for _ in range(600):
            if not connection.execute("SELECT pg_is_in_recovery()").fetchone()[0]:
                return
            connection.execute("SELECT pg_sleep(0.05)")
    raise RuntimeError("the recovery doesn't end")


def main() -> int:
    """Run both. Return the exit status."""
    asyncio.run(dumped())
    print("pg_dump, pg_restore: what was asked is back, who was deleted is forgotten again")
    if shutil.which("pgbackrest") is None:
        print("pgbackrest isn't installed: its part was not run", file=sys.stderr)
        return 1
    asyncio.run(archived())
    print("pgbackrest: the same, to the last moment and to the backup itself")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

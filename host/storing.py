"""What a host does about where files lie: ``atelier move-files``, and what ``doctor`` says of them and of
what was deleted by itself."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from core.errors import FilesAway, SettingsError, StorageError
from core.settings import BucketAddress, Settings, files_address
from host.installed import Check
from storage.files import OWNER
from storage.filing.moving import Moved, move
from storage.filing.opening import open_at, open_bucket
from storage.identity import MARK
from studio.janitor import last_report

MOST_APART = 60.0  # seconds between two clocks; S3 refuses requests from 900 on
TOLD_EVERY = 5.0  # seconds
PROBLEMS_TOLD = 20
THEN = (
    "If the studio ran meanwhile, stop it and run this once more before you start it with that. The old files"
    " stay where they were: once all is well, delete them yourself, for what people delete from now on stays"
    " there."
)


def checks(settings: Settings) -> list[Check]:
    """Say whether the store of FILES_URL can be used; nothing for the usual folder, of which the disk's
    check says that."""
    address = settings.files_url
    if address is None:
        return []
    if isinstance(address, Path):
        return [_folder(address, settings.data_dir)]
    return asyncio.run(_bucket(address, settings))


def swept(settings: Settings) -> list[Check]:
    """Say what the last sweep of what has expired has done, and what it left alone; nothing before one."""
    report = last_report(settings.data_dir)
    if report is None:
        return []
    hours = (time.time() - report.at) / 3600
    done = "; ".join(report.done) or "nothing had to go"
    fix = "the log says more; docs/reliability.md, What is deleted by itself"
    problems = [Check("Expired", None, problem, fix) for problem in report.problems]
    return [Check("Expired", True, f"looked at {hours:,.0f} h ago: {done}"), *problems]


def _folder(folder: Path, data_dir: Path) -> Check:
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if (data_dir / MARK).is_file() and not (folder / OWNER).is_file():
        fix = "mount its disk, or correct FILES_URL"
        return Check("Files", False, f"{folder} isn't where this studio's pictures are", fix)
    if not there.is_dir() or not os.access(there, os.W_OK):
        return Check("Files", False, f"can't write to {folder}", "correct FILES_URL, or who may write there")
    return Check("Files", True, f"in {folder}")


async def _bucket(address: BucketAddress, settings: Settings) -> list[Check]:
    try:
        bucket = open_bucket(address, settings)
    except StorageError as error:
        return [Check("Files", False, str(error), "install it, or leave FILES_URL empty")]
    from storage.filing.trial import tried

    trial = await tried(bucket)
    if trial.problem:
        fix = "look at FILES_URL and the keys; nothing is lost meanwhile: jobs wait"
        return [Check("Files", False, trial.problem, fix)]
    found = [Check("Files", True, f"{address}: can be written to, read and deleted from")]
    if trial.keeps:
        fix = (
            "switch versioning off, or let a lifecycle rule end old versions within BACKUP_DAYS: people are"
            " told that what they delete is gone"
        )
        found.append(Check("Files", None, f"{address} keeps versions of what is deleted", fix))
    if abs(trial.apart) > MOST_APART:
        fix = "set this machine's clock by NTP: S3 refuses requests from 15 minutes on"
        found.append(Check("Files", None, f"the server's clock is {trial.apart:+.0f} s from ours", fix))
    return found


def move_files(settings: Settings, to: str, since: str | None, *, dry_run: bool) -> int:
    """Copy all files to the store that ``to`` names, and say what was done. since: the store that they are
    in; None = that of FILES_URL. Return the exit status: 1 if a file couldn't be copied. Raises SettingsError
    for a wrong address, StorageError when a store can't be used."""
    try:
        new = files_address(to)
        old = settings.files_url if since is None else files_address(since)
    except ValueError as error:
        raise SettingsError([f"{to if since is None else f'{since} or {to}'}: {error}."]) from error
    usual = settings.data_dir / "pictures"
    if (new or usual) == (old or usual):
        raise StorageError("the files are there already: --to names the store that FILES_URL names.")
    began = time.monotonic()
    try:
        moved = asyncio.run(_move(new, old, settings, dry_run))
    except FilesAway as error:
        raise StorageError(f"{error}. What was copied stays; the same command goes on from there.") from error
    verb = "would be copied" if dry_run else "copied, and read back"
    print(
        f"{moved.found:,} files: {moved.there:,} were there, {moved.copied:,} {verb}"
        f" ({moved.size / 10**6:,.1f} MB), {len(moved.problems):,} could not be, in"
        f" {time.monotonic() - began:.1f} s"
    )
    print(*(f"  {line}" for line in moved.problems[:PROBLEMS_TOLD]), sep="\n" if moved.problems else "")
    if not dry_run and not moved.problems:
        print(f"Then FILES_URL={to} is where they are.", THEN)
    return int(bool(moved.problems))


async def _move(
    new: Path | BucketAddress | None, old: Path | BucketAddress | None, settings: Settings, dry_run: bool
) -> Moved:
    told_at = time.monotonic()

    def tell(moved: Moved) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= TOLD_EVERY:
            told_at = time.monotonic()
            print(f"{moved.found:,} looked at, {moved.copied:,} copied …", file=sys.stderr, flush=True)

    return await move(open_at(old, settings), open_at(new, settings), dry_run=dry_run, told=tell)

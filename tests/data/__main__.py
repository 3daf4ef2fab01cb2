"""Makes the data folder of this release: ``python -m tests.data`` writes ``tests/data/<version>.tar.xz``.

The real studio writes it. What draws and learns is pretended, so that the pictures are small.
"""

import asyncio
import lzma
import shutil
import sqlite3
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

from core.traces import release
from tests.studio.conftest import ALICE, BOB, MIRA
from tests.studio.projects.conftest import open_world

FOLDER = Path(__file__).parent


async def fill(folder: Path) -> None:
    """Let three people use a studio in ``folder``; the last job still waits when it stops."""
    async with open_world(folder, OWNER_IDS="3") as world:
        studio = world.studio
        house = (await world.drawn(ALICE, "a red house --seed 7")).job
        secret = (await world.drawn(BOB, "a boat --stealth --seed 8")).job
        await studio.own.change(ALICE, remix=True)
        await studio.own.toggle_favourite(ALICE, house.id, 1)
        shelf = await studio.folders.create(ALICE, "Houses")
        await studio.folders.put(ALICE, shelf.id, [(house.id, 0), (house.id, 1)])
        await studio.trash.put(ALICE, [(house.id, 3)])
        await studio.own.toggle_favourite(BOB, secret.id, 0)
        await studio.server.add_word(MIRA, "zonk")
        await studio.server.ban(MIRA, 99)
        parts = await world.projects.new(ALICE, "parts")
        await world.projects.put_label(ALICE, "parts", "scratch", "a line that goes across")
        await world.put(parts, ALICE, ["good"] * 4 + ["scratch"])
        await world.trained(ALICE, "parts")
        await studio.server.pause(MIRA)
        chosen = await studio.own.preferences(BOB)
        [new] = await (await studio.requests.imagine(BOB, "a green tree --seed 9", chosen)).jobs()
        await studio.submit(BOB, new)


def pack(folder: Path, target: Path) -> None:
    """Pack a data folder without what is only kept to be quick."""
    for name in ("cache", "backups", "logs"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "pictures" / ".ballast").unlink(missing_ok=True)  # 64 MB, for a full disk
    with closing(sqlite3.connect(folder / "atelier.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("VACUUM")
    with lzma.open(target, "wb", preset=9) as out, tarfile.open(fileobj=out, mode="w") as archive:
        archive.add(
            folder, ".", filter=lambda member: member.replace(uid=0, gid=0, uname="", gname="", deep=False)
        )


def main() -> int:
    """Make it, unless this release has one."""
    target = FOLDER / f"{release()}.tar.xz"
    if target.exists():
        print(f"{target.name} is there: what a release has written is never changed.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(fill(Path(name)))
        pack(Path(name), target)
    print(f"{target}: {target.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

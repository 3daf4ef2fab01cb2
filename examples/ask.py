"""Ask for a picture without any chat: python -m examples.ask "a red house in the snow"

It opens the services, asks by ``Studio`` alone, prints the progress and writes the pictures beside itself.
"""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from core.events import Progress, Rendered
from core.settings import load_settings
from host.services import services
from studio.authority import Actor
from studio.studio import Studio

LIMIT = 10 * 2**20  # bytes of a picture


async def main(text: str, folder: Path) -> None:
    """Draw ``text`` with the models of the settings, and write the pictures to ``folder``."""
    me = Actor(user_id=1, guild_id=None)
    with TemporaryDirectory() as data:
        async with services(
            load_settings({"DATA_DIR": data, "DEVICES": "cpu"}, Path(data, ".env"))
        ) as opened:
            studio = Studio(opened)
            typed = await studio.requests.imagine(me, text, await studio.own.preferences(me))
            [new] = await typed.jobs({})
            job = (await studio.submit(me, new)).job
            async for event in await studio.watch(me, job.id):
                step = f" {event.step} of {event.total}" if isinstance(event, Progress) else ""
                print(f"{type(event).__name__}{step}", flush=True)
            for index in range(4) if isinstance(event, Rendered) else ():
                shown = await studio.picture(me, job.id, index, LIMIT)
                (folder / f"{job.id}-{index + 1}.png").write_bytes(shown.data or b"")


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "a red house in the snow", Path.cwd()))

"""Files of people on their way in."""

import asyncio

from storage.blobs.local import Folder
from studio.media.uploads import IN_MEMORY, Intake
from tests.studio.conftest import png


async def test_few_files_are_in_memory_at_once(tmp_path) -> None:
    begun, go_on = 0, asyncio.Event()

    class Slow:
        name, size = "photo.png", 0

        async def read(self) -> bytes:
            nonlocal begun
            begun += 1
            await go_on.wait()
            return png()

    async def unnoted(user_id: int, sha256: str) -> None:
        """Nobody asks who sent it."""

    intake = Intake(Folder(tmp_path), 2**20, unnoted)
    takes = [asyncio.ensure_future(intake.take(Slow(), 1)) for _ in range(IN_MEMORY + 2)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert begun == IN_MEMORY
    go_on.set()
    async with asyncio.timeout(60):
        await asyncio.gather(*takes)
    assert begun == IN_MEMORY + 2

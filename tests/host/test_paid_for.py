"""What a bot doesn't use, it doesn't load: of PostgreSQL, buckets and the bus nothing."""

import subprocess
import sys
from pathlib import Path

from core.settings import ROOT

CODE = """
import asyncio, sys
from pathlib import Path

import host.app
from core.settings import load_settings
from host.services import executor_of
from host.services import services
from tests.jobs.hand_executor import HandExecutor

unwanted = {"nats", "nkeys", "obstore", "psycopg", "ray", "opentelemetry", "jobs.cluster"}
unwanted |= {"storage.engines.postgres", "storage.blobs.s3", "storage.copy_database"}

async def main():
    settings = load_settings({"DATA_DIR": sys.argv[1], "DISK_FLOOR_MB": "0"}, Path("/nowhere"))
    await executor_of(settings, "tests.jobs.fake_worker:main", None)
    async with services(settings, executor=HandExecutor()):
        print(sorted(unwanted & set(sys.modules)))

asyncio.run(main())
"""


def test_a_bot_alone_loads_nothing_of_several_machines(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"

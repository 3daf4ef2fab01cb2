"""The list on this machine's disk of what people have deleted: a backup that is put back forgets it again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from core.errors import StorageError
from storage.collections import Named


@dataclass(frozen=True)
class Deletion:
    """What was deleted at a time, in seconds since 1970: a person, jobs, or single pictures."""

    at: float
    user_id: int | None = None
    jobs: tuple[str, ...] = ()
    pictures: tuple[Named, ...] = ()


class Deletions:
    """The list at ``path``, a line of JSON for each deletion. Everything here blocks."""

    def __init__(self, path: Path) -> None:
        self._path, self._last = path, 0.0
        self._lock = FileLock(path.with_name(path.name + ".lock"))

    def add(
        self, *, user_id: int | None = None, jobs: Iterable[str] = (), pictures: Iterable[Named] = ()
    ) -> float:
        """Note a deletion durably, before it is begun; return its time, later than all before. Raises
        StorageError."""
        what: dict[str, Any] = {"user_id": user_id, "jobs": list(jobs), "pictures": list(pictures)}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock, self._path.open("ab+") as file:
                self._last = self._last or max((one.at for one in self.read()), default=0.0)
                at = max(time.time(), self._last + 0.001)
                if file.tell():  # a torn line ends here
                    file.seek(-1, os.SEEK_END)
                    file.write(b"" if file.read() == b"\n" else b"\n")
                line = {"at": at, **{key: value for key, value in what.items() if value}}
                file.write(json.dumps(line).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            text = f"the deletion can't be noted, so nothing was deleted: {error.strerror}"
            raise StorageError(text) from error
        self._last = at
        return at

    def read(self) -> list[Deletion]:
        """Return what was noted, the oldest first."""
        found = list[Deletion]()
        with suppress(OSError):
            for line in self._path.read_text(errors="replace").splitlines():
                with suppress(ValueError, KeyError, TypeError):
                    noted = json.loads(line)
                    for one in noted if isinstance(noted, list) else [noted]:  # it was one list of people
                        pictures = tuple(
                            (str(job), int(position)) for job, position in one.get("pictures", ())
                        )
                        jobs = tuple(map(str, one.get("jobs", ())))
                        found.append(Deletion(float(one["at"]), one.get("user_id"), jobs, pictures))
        return sorted(found, key=lambda one: one.at)

    def drop(self, before: float) -> None:
        """Forget what was noted before then. Raises OSError."""
        with self._lock:
            noted = self.read()
            kept = [one for one in noted if one.at >= before]
            if len(kept) == len(noted):
                return
            lines = [
                json.dumps({"at": one.at, "user_id": one.user_id, "jobs": one.jobs, "pictures": one.pictures})
                for one in kept
            ]
            temporary = self._path.with_suffix(".tmp")
            temporary.write_text("".join(f"{line}\n" for line in lines))
            os.replace(temporary, self._path)

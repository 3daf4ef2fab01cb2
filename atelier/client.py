"""A studio from Python, by its HTTP interface and a token: ``Studio``, and ``AsyncStudio`` for asyncio.

    with Studio("http://127.0.0.1:8080", "atelier_…") as studio:
        job = studio.wait(studio.draw("a red house"))
        Path("house.png").write_bytes(studio.read(job.pictures[0]))

Where the studio says no, ``StudioError`` is raised with its sentence.
"""

import base64
import json
import mimetypes
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import httpx2

T = TypeVar("T")
Tell = Callable[["Event"], None]
PATIENCE = httpx2.Timeout(30.0, read=None)  # an answer may wait for its turn in the queue
DONE = "[DONE]"  # ends the stream of an answer


class StudioError(Exception):
    """What the studio refuses, with its sentence. retry_after: seconds to wait, None = it won't help."""

    def __init__(self, status: int, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.retry_after = status, detail, retry_after


@dataclass(frozen=True)
class Picture:
    """A picture of a job. name: such as "abcd2345efgh/2", by which other calls take it. path: of its file.
    video: of the video that it begins, "" = it is a picture."""

    name: str
    path: str
    width: int
    height: int
    video: str = ""


@dataclass(frozen=True)
class Job:
    """A job as it was when it was read. shape: all that the studio says of it."""

    id: str
    status: str
    over: bool
    error: str = ""
    pictures: tuple[Picture, ...] = ()
    shape: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, shape: dict[str, Any]) -> Self:
        """Return a job as the studio describes it."""
        pictures = tuple(
            Picture(
                f"{shape['id']}/{one['n']}",
                one["original"],
                one["width"],
                one["height"],
                one["video"]["src"] if one["video"] else "",
            )
            for one in shape["pictures"]
        )
        return cls(shape["id"], shape["status"], shape["over"], shape["error"] or "", pictures, shape)


@dataclass(frozen=True)
class Event:
    """What happened to a job. state: "queued", "loading", "progress", "rendered", "failed", …"""

    state: str
    step: int = 0
    total: int = 0
    position: int = 0


@dataclass(frozen=True)
class Verdict:
    """What a project's model says of a picture. score: how unusual it is. label: what it is called."""

    strange: bool
    label: str
    score: float | None
    sentence: str


@dataclass(frozen=True)
class Wish(Generic[T]):
    """A call, and how its answer is read."""

    method: str
    path: str
    read: Callable[[httpx2.Response], T]
    sent: dict[str, Any] = field(default_factory=dict)


def _draw(prompt: str, pictures: Sequence[str], key: str) -> Wish[Job]:
    sent = {"json": {"prompt": prompt, "pictures": list(pictures)}}
    return Wish("POST", "/api/jobs", lambda answer: Job.of(answer.json()["jobs"][0]), sent | _once(key))


def _upload(picture: Path) -> Wish[str]:
    sent = {"content": picture.read_bytes(), "headers": {"Content-Type": _kind(picture)}}
    return Wish("POST", "/api/uploads", lambda answer: str(answer.json()["sha256"]), sent)


def _job(job_id: str) -> Wish[Job]:
    return Wish("GET", f"/api/jobs/{job_id}", lambda answer: Job.of(answer.json()))


def _stop(job_id: str) -> Wish[bool]:
    return Wish(
        "POST", f"/api/jobs/{job_id}/cancel", lambda answer: bool(answer.json()["stopped"]), {"json": {}}
    )


def _read(picture: Picture) -> Wish[bytes]:
    return Wish("GET", picture.video or picture.path, lambda answer: answer.content)


def _projects() -> Wish[dict[str, str]]:
    return Wish(
        "GET", "/api/projects", lambda answer: {one["name"]: one["id"] for one in answer.json()["projects"]}
    )


def _inspect(project_id: str, pictures: Sequence[Path], key: str) -> Wish[str]:
    files = [("files", (one.name, one.read_bytes(), _kind(one))) for one in pictures]
    path = f"/api/projects/{project_id}/try"
    return Wish("POST", path, lambda answer: str(answer.json()["job"]), {"files": files} | _once(key))


def _verdicts(job_id: str) -> Wish[list[Verdict]]:
    def read(answer: httpx2.Response) -> list[Verdict]:
        kept = ("strange", "label", "score", "sentence")
        return [Verdict(*(one[name] for name in kept)) for one in answer.json()["verdicts"]]

    return Wish("GET", f"/api/verdicts/{job_id}", read)


def _ask(question: str, pictures: Sequence[Path | str]) -> Wish[str]:
    parts: list[dict[str, Any]] = [{"type": "text", "text": question}]
    for one in pictures:
        if isinstance(one, Path):
            data = base64.b64encode(one.read_bytes()).decode()
            one = f"data:{_kind(one)};base64,{data}"
        parts.append({"type": "image_url", "image_url": {"url": one}})
    sent = {"messages": [{"role": "user", "content": parts}], "stream": True}
    return Wish("POST", "/v1/chat/completions", lambda answer: "", {"json": sent})


def _once(key: str) -> dict[str, Any]:
    return {"headers": {"Idempotency-Key": key}} if key else {}


def _kind(picture: Path) -> str:
    return mimetypes.guess_type(picture.name)[0] or "image/png"


def _checked(answer: httpx2.Response) -> httpx2.Response:
    """Return an answer that has been read. Raises StudioError."""
    if answer.is_success:
        return answer
    try:
        told = answer.json()
    except ValueError:
        told = {}
    detail = told.get("detail") or told.get("error", {}).get("message") or f"HTTP {answer.status_code}"
    wait = answer.headers.get("Retry-After")
    raise StudioError(answer.status_code, detail, float(wait) if wait else None)


def _data(line: str) -> Any:
    """Return what a line of an event says, None where that is nothing. Raises StudioError."""
    if not line.startswith("data: ") or line == f"data: {DONE}":
        return None
    told = json.loads(line.removeprefix("data: "))
    if "error" in told and isinstance(told["error"], dict):
        raise StudioError(400, told["error"]["message"])
    return told


def _event(told: dict[str, Any]) -> Event:
    return Event(told["state"], *(int(told.get(name) or 0) for name in ("step", "total", "position")))


def _words(told: dict[str, Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in told["choices"])


def _given(host: str, token: str) -> dict[str, Any]:
    return {
        "base_url": host.rstrip("/"),
        "headers": {"Authorization": f"Bearer {token}"},
        "timeout": PATIENCE,
    }


def _made(job: Job) -> Job:
    if job.status in ("failed", "cancelled"):
        raise StudioError(422, job.error or "The job was stopped.")
    return job


class Studio:
    """A studio. host: its address. token: of *Settings, Programs*. Close it, or use it in a ``with``."""

    def __init__(self, host: str, token: str) -> None:
        self._http = httpx2.Client(**_given(host, token))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def draw(self, prompt: str, pictures: Sequence[str] = (), key: str = "") -> Job:
        """Queue what a prompt asks for. pictures: names of those that come along. key: makes the call safe to
        repeat. Raises StudioError."""
        return self._do(_draw(prompt, pictures, key))

    def upload(self, picture: Path) -> str:
        """Return the name of a picture that is sent. Raises StudioError."""
        return self._do(_upload(picture))

    def job(self, job_id: str) -> Job:
        """Return a job as it is now. Raises StudioError."""
        return self._do(_job(job_id))

    def stop(self, job_id: str) -> bool:
        """Stop a job; False when it was over. Raises StudioError."""
        return self._do(_stop(job_id))

    def wait(self, job: Job | str, tell: Tell | None = None) -> Job:
        """Return a job when it is over. tell: is called with what happens. Raises StudioError, also for a job
        that has made nothing."""
        job_id = job if isinstance(job, str) else job.id
        for told in self._stream(Wish("GET", f"/api/jobs/{job_id}/events", lambda answer: "")):
            if tell is not None:
                tell(_event(told))
        return _made(self.job(job_id))

    def read(self, picture: Picture) -> bytes:
        """Return the file of a picture, or of its video. Raises StudioError."""
        return self._do(_read(picture))

    def ask(self, question: str, pictures: Sequence[Path | str] = ()) -> Iterator[str]:
        """Yield the answer to a question about pictures, as it is written. Raises StudioError."""
        for told in self._stream(_ask(question, pictures)):
            yield _words(told)

    def projects(self) -> dict[str, str]:
        """Return the ids of the person's projects by their names. Raises StudioError."""
        return self._do(_projects())

    def inspect(self, project_id: str, pictures: Sequence[Path], key: str = "") -> list[Verdict]:
        """Return what a project's model says of up to 64 pictures. Raises StudioError."""
        job_id = self._do(_inspect(project_id, pictures, key))
        self.wait(job_id)
        return self._do(_verdicts(job_id))

    def _do(self, wish: Wish[T]) -> T:
        return wish.read(_checked(self._http.request(wish.method, wish.path, **wish.sent)))

    def _stream(self, wish: Wish[str]) -> Iterator[dict[str, Any]]:
        with self._http.stream(wish.method, wish.path, **wish.sent) as answer:
            if not answer.is_success:
                answer.read()
                _checked(answer)
            for line in answer.iter_lines():
                if (told := _data(line)) is not None:
                    yield told


class AsyncStudio:
    """``Studio`` for asyncio."""

    def __init__(self, host: str, token: str) -> None:
        self._http = httpx2.AsyncClient(**_given(host, token))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """As of ``Studio``."""
        await self._http.aclose()

    async def draw(self, prompt: str, pictures: Sequence[str] = (), key: str = "") -> Job:
        """As of ``Studio``."""
        return await self._do(_draw(prompt, pictures, key))

    async def upload(self, picture: Path) -> str:
        """As of ``Studio``."""
        return await self._do(_upload(picture))

    async def job(self, job_id: str) -> Job:
        """As of ``Studio``."""
        return await self._do(_job(job_id))

    async def stop(self, job_id: str) -> bool:
        """As of ``Studio``."""
        return await self._do(_stop(job_id))

    async def wait(self, job: Job | str, tell: Tell | None = None) -> Job:
        """As of ``Studio``."""
        job_id = job if isinstance(job, str) else job.id
        async for told in self._stream(Wish("GET", f"/api/jobs/{job_id}/events", lambda answer: "")):
            if tell is not None:
                tell(_event(told))
        return _made(await self.job(job_id))

    async def read(self, picture: Picture) -> bytes:
        """As of ``Studio``."""
        return await self._do(_read(picture))

    async def ask(self, question: str, pictures: Sequence[Path | str] = ()) -> AsyncIterator[str]:
        """As of ``Studio``."""
        async for told in self._stream(_ask(question, pictures)):
            yield _words(told)

    async def projects(self) -> dict[str, str]:
        """As of ``Studio``."""
        return await self._do(_projects())

    async def inspect(self, project_id: str, pictures: Sequence[Path], key: str = "") -> list[Verdict]:
        """As of ``Studio``."""
        job_id = await self._do(_inspect(project_id, pictures, key))
        await self.wait(job_id)
        return await self._do(_verdicts(job_id))

    async def _do(self, wish: Wish[T]) -> T:
        return wish.read(_checked(await self._http.request(wish.method, wish.path, **wish.sent)))

    async def _stream(self, wish: Wish[str]) -> AsyncIterator[dict[str, Any]]:
        async with self._http.stream(wish.method, wish.path, **wish.sent) as answer:
            if not answer.is_success:
                await answer.aread()
                _checked(answer)
            async for line in answer.aiter_lines():
                if (told := _data(line)) is not None:
                    yield told

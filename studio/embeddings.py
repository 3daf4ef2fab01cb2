"""What texts and pictures show, as vectors: a worker computes them, and has what every picture shows written
down after each job, and for older pictures while no job waits or runs."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import monotonic  # by name: the sandbox's simulator stops the module's clock for the bot's tasks

from cachetools import LRUCache

from core.errors import AtelierError, StorageError
from jobs.executors.base import Executor
from jobs.queue import Queue
from storage import embeddings as rows
from storage import people, place_sets
from storage.blobs.base import Files
from storage.database import Database
from storage.embeddings import IN_USE, Slot, Vector, VectorFiles
from storage.gallery import Looked
from vision.protocol import (
    Check,
    Checked,
    Choose,
    Chosen,
    Declined,
    Embed,
    Nearest,
    Neighbours,
    Question,
    Select,
    Selected,
)
from vision.weights import files

PATIENCE = 8.0  # seconds that somebody who searches waits for a worker
LONG_PATIENCE = 120.0  # … for a check, which reads pictures and asks a chat model
KEPT = 500  # vectors of texts that were asked for lately
UNRELATED = tuple(  # things that hardly any picture shows
    "accordion abacus antler artichoke bagpipes barometer beehive cactus candelabra catapult centrifuge"
    " chandelier chisel corkscrew crowbar dumbbell escalator ferret flamingo forklift gargoyle gavel gondola"
    " gramophone hammock harpoon helicopter hourglass igloo jellyfish kayak lawnmower lobster loom metronome"
    " microscope nutcracker orchid ostrich padlock parachute porcupine quill raccoon stethoscope submarine"
    " sundial syringe tambourine telescope thimble toothbrush tractor trombone tuba turbine typewriter walrus"
    " wheelbarrow wheelchair xylophone yak zeppelin zipper".split()
)
log = logging.getLogger(__name__)


class Blind(AtelierError):
    """Nobody can say now what is in a picture: no worker is ready, or it has no model for that."""


class Busy(Blind):
    """A worker can, but is at something that takes longer than anybody waits."""


class Eyes:
    """Asks a worker. models are called as ``fingerprint.named`` calls them."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._texts = LRUCache[tuple[str, str], bytes](KEPT)
        self._unrelated = LRUCache[str, tuple[bytes, ...]](2)

    async def read(self, model: str, text: str) -> bytes:
        """Return the vector of a text. Raises Blind, Busy."""
        [found] = await self.read_all(model, (text,))
        return found

    async def read_all(self, model: str, texts: Sequence[str]) -> tuple[bytes, ...]:
        """Return the vectors of texts. Raises Blind, Busy."""
        known = {text: self._texts[model, text] for text in texts if (model, text) in self._texts}
        if new := tuple(dict.fromkeys(text for text in texts if text not in known)):
            question = Embed(_new_id(), files.spec_of(model), texts=new)
            known |= dict(zip(new, await self._ask(question, PATIENCE), strict=True))
        for text in known:
            self._texts[model, text] = known[text]
        return tuple(known[text] for text in texts)

    async def look(
        self, model: str, paths: Sequence[Path], patience: float | None = PATIENCE
    ) -> tuple[bytes, ...]:
        """Return the vectors of pictures, b"" for one that can't be read. patience: seconds, None = as long
        as it takes. Raises Blind, Busy."""
        question = Embed(_new_id(), files.spec_of(model), paths=tuple(map(str, paths)))
        return await self._ask(question, patience)

    async def unrelated(self, model: str) -> tuple[bytes, ...]:
        """Return the vectors of texts that hardly any picture shows; none where they take too long, which
        they do once. Raises Blind."""
        if model not in self._unrelated:
            try:
                question = Embed(_new_id(), files.spec_of(model), texts=UNRELATED)
                self._unrelated[model] = await self._ask(question, PATIENCE)
            except Busy:
                return ()
        return self._unrelated[model]

    async def nearest(
        self,
        path: Path,
        wanted: Sequence[bytes],
        places: bytes,
        first: bytes,
        most: int,
        *,
        clear: bool,
        unrelated: Sequence[bytes] = (),
    ) -> Neighbours:
        """Return the places in the file ``path`` whose vectors are nearest to all of ``wanted``: those among
        ``first``, and others of ``places``. clear, unrelated: see ``Nearest``. Raises Blind, Busy."""
        known = tuple(wanted), places, first, most, clear, tuple(unrelated)
        question = Nearest(_new_id(), str(path), *known)
        return Neighbours(*await self._ask(question, PATIENCE))

    async def select(
        self,
        path: Path,
        points: Sequence[tuple[float, float, int]] = (),
        box: tuple[float, float, float, float] | None = None,
        words: str = "",
        *,
        patience: float = PATIENCE,
    ) -> Selected:
        """Return which pixels of the picture in the file ``path`` belong to an object. Raises Blind, Busy."""
        question = Select(_new_id(), str(path), tuple(points), box, words)
        return Selected(*await self._ask(question, patience))

    async def check(self, paths: Sequence[Path], text: str, rules: Sequence[str]) -> Checked:
        """Return how pictures and a text stand to rules. Raises Blind, Busy."""
        question = Check(_new_id(), tuple(map(str, paths)), text, tuple(rules))
        return Checked(*await self._ask(question, LONG_PATIENCE))

    async def choose(self, text: str, answers: Sequence[str]) -> Chosen:
        """Return which of ``answers`` to a text the chat model finds right. Raises Blind, Busy."""
        question = Choose(_new_id(), text, tuple(answers))
        return Chosen(*await self._ask(question, PATIENCE))

    async def _ask(self, question: Question, patience: float | None) -> tuple:
        try:
            async with asyncio.timeout(patience):
                answer = await self._executor.ask(question)
        except TimeoutError as error:
            raise Busy("the worker takes too long") from error
        if isinstance(answer, Declined):
            raise Blind(answer.reason)
        return answer.answer


def _new_id() -> str:
    return secrets.token_hex(8)


BATCH = 8  # pictures that a worker looks at in one go
JOBS_AT_ONCE = 50  # older ones whose pictures are looked for
PLACES_AT_ONCE = 1000
DROPPED_AT_ONCE = 500
LOOKED_AT = 300.0  # seconds for a batch; a model may have to be fetched first
BUSY = 5.0  # seconds until older pictures are tried again while jobs wait or run
SORTED = 10.0  # seconds until it is looked again for places that have changed
UNREAD = 500  # pictures that can't be looked at, up to which they are told apart from those not looked at yet
LATER = 20.0  # seconds until the next try after nobody could look, or the disk was full


class Indexing:
    """Writes vectors of ``model``, as ``fingerprint.named`` calls it, "" = none are wanted. Until all
    pictures have one, those of the model before it answer. rendered: ids of jobs that were stored."""

    def __init__(
        self,
        database: Database,
        files: Files,
        copies: VectorFiles,
        queue: Queue,
        eyes: Eyes,
        model: str,
        rendered: asyncio.Queue[str],
    ) -> None:
        self._database, self._files, self._copies = database, files, copies
        self._queue, self._eyes, self._model, self._rendered = queue, eyes, model, rendered
        self._in_use = model
        self._seq: int | None = None  # of the job before which the older pictures begin
        self._missed = False  # whether a new job came while nobody could look
        self._unread = set[str]()  # pictures (SHA-256) that can't be looked at
        self._all_older = False  # whether all older pictures have been looked at
        self.looked: Looked | None = None  # which pictures have vectors of the model that answers

    @property
    def model(self) -> str:
        """The model whose vectors answer now, "" = none."""
        return self._in_use

    def path(self, model: str) -> Path:
        """Return the file of the vectors of ``model``."""
        return self._copies.path(model)

    async def run_for_ever(self) -> None:
        """Bring files and rows together, look at older pictures, then at each new one."""
        if not self._model:
            return
        self._in_use = await self._model_before()
        for model in {self._in_use, self._model}:
            await self._until_done(partial(self._mend, model))
        await self._until_done(self._look_at_older)
        await self._until_done(self._settle)
        while True:
            await self._look_at_new(await self._rendered.get())
            if self._missed:
                await self._until_done(self._look_at_older)

    async def _model_before(self) -> str:
        """Return the model that answered at the last start; the new one if that has changed or gone."""
        before = await self._database.read(partial(people.read_setting, key=IN_USE))
        if not isinstance(before, str) or not before:
            return self._model
        now = await asyncio.to_thread(files.named_by, files.spec_of(before))
        return before if now == before else self._model

    # Older pictures

    async def _look_at_older(self) -> bool:
        """Walk over all jobs, the newest first, from where the last try has come to, or from the newest when
        one was missed; return whether all have been looked at."""
        if self._missed:
            self._missed, self._seq, self._all_older = False, None, False
        while found := await self._database.read(
            partial(rows.made_before, seq=self._seq, limit=JOBS_AT_ONCE)
        ):
            for batch in _batches(await self._missing([sha256 for _, sha256 in found])):
                while self._queue.unfinished or not self._rendered.empty():  # jobs go first
                    await self._look_at_next(BUSY)
                if not await self._write(batch):
                    return False
            self._seq = found[-1][0]
        self._all_older = not self._missed  # meanwhile: it may be newer than where this walk began
        return self._all_older

    # New pictures

    async def _look_at_next(self, patience: float) -> None:
        """Look at the pictures of the next job, if one is stored within ``patience`` seconds."""
        try:
            async with asyncio.timeout(patience):
                job_id = await self._rendered.get()
        except TimeoutError:
            return
        await self._look_at_new(job_id)

    async def _look_at_new(self, job_id: str) -> None:
        """Look at the pictures of a job, or note that it was missed."""
        missed, self._missed = self._missed, True  # for whoever begins again after an error
        try:
            found = await self._database.read(partial(rows.list_pictures, job_id=job_id))
            looked = all([await self._write(batch) for batch in _batches(found)])
        except StorageError:
            log.warning("job %s: what its pictures show can't be written down now", job_id, exc_info=True)
            looked = False
        self._missed = missed or not looked

    # Either

    async def _write(self, sha256s: Sequence[str]) -> bool:
        """Write the vectors that are missing of these pictures; return False when nobody can look now."""
        missing = await self._missing(sha256s)
        try:
            async with self._files.lent(missing, some=True) as lent:
                if not (there := list(lent)):
                    self._unread.update(missing)
                    return True
                seen = await self._eyes.look(self._model, list(lent.values()), LOOKED_AT)
        except Blind as reason:
            log.info("nobody can say what pictures show: %s", reason)
            return False
        place = await self._database.read(rows.next_place)
        made = [(sha256, vector) for sha256, vector in zip(there, seen, strict=True) if vector]
        kept = [Vector(place + number, *one) for number, one in enumerate(made)]
        self._unread.update({*missing} - {one.sha256 for one in kept})
        if kept:
            await self._copies.put(
                self._model, {one.place: one.vector for one in kept}
            )  # what a row says is there
            unused = await self._database.write(partial(rows.add_vectors, model=self._model, made=kept))
            await self._copies.erase(unused)
        return True

    async def _missing(self, sha256s: Sequence[str]) -> Sequence[str]:
        """Return which of these pictures have no vector; note whose those are that somebody made again."""
        work = partial(rows.lacking, model=self._model, sha256s=sha256s)
        missing, unplaced = await self._database.read(work)
        if unplaced:
            await self._database.write(partial(rows.note_places, model=self._model, sha256s=unplaced))
        return missing

    # Files, sets and models

    async def sort_for_ever(self) -> None:
        """Fill the pages of places that have changed, one at a time: a search would read their rows. Note
        when all pictures have been looked at."""
        last = -1  # job that was over a moment ago: by now what is stored of it has been told
        while self._model:
            for page in await self._database.read(partial(place_sets.missing, model=self._in_use)):
                await self._database.write(partial(place_sets.fill, model=self._in_use, page=page))
            busy = self._missed or self._queue.unfinished or not self._rendered.empty()
            settled = self._all_older and self._in_use == self._model
            if settled and not busy and len(self._unread) <= UNREAD:
                self.looked = Looked(last, frozenset(self._unread))
            last = await self._database.read(rows.last_before_open)
            await asyncio.sleep(SORTED)

    async def _mend(self, model: str) -> bool:
        """Make the file of ``model`` say what the rows say: a crash, or a backup that was put back, may have
        parted them."""
        size = await self._database.read(partial(rows.size_of, model=model))
        if size is None:
            return True
        last, held = -1, await self._copies.count(model, size)
        while found := await self._database.read(
            partial(rows.places, model=model, after=last, limit=PLACES_AT_ONCE)
        ):
            for gap in _gaps(last, found):
                await self._copies.erase([Slot(model, place, size) for place in gap])
            if found[-1] >= held:
                work = partial(rows.read_vectors, model=model, first=max(found[0], held), last=found[-1])
                await self._copies.put(model, await self._database.read(work))
            last = found[-1]
        return True

    async def _settle(self) -> bool:
        """All pictures have a vector: what an older model has seen isn't needed any more."""
        if self._in_use != self._model:
            log.info("pictures are found by %s from now on", self._model)
        self._in_use = self._model
        await self._database.write(partial(people.set_setting, key=IN_USE, value=self._model))
        while await self._database.write(partial(rows.drop_others, model=self._model, limit=DROPPED_AT_ONCE)):
            pass
        await self._copies.keep([self._model])
        return True

    async def _until_done(self, work: Callable[[], Awaitable[bool]]) -> None:
        """Try ``work`` until it is done; new pictures are looked at between two tries."""
        while True:
            try:
                if await work():
                    return
            except StorageError:
                log.warning("what pictures show can't be written down now", exc_info=True)
            again = monotonic() + LATER
            while (left := again - monotonic()) > 0:
                await self._look_at_next(left)


def _batches(sha256s: Sequence[str]) -> list[Sequence[str]]:
    return [sha256s[i : i + BATCH] for i in range(0, len(sha256s), BATCH)]


def _gaps(last: int, places: Sequence[int]) -> Iterator[range]:
    """Yield the places behind ``last`` that aren't among ``places``, at most PLACES_AT_ONCE at a time."""
    for place in places:
        for first in range(last + 1, place, PLACES_AT_ONCE):
            yield range(first, min(place, first + PLACES_AT_ONCE))
        last = place

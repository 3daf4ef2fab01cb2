"""Several models in little memory: who is given up, who waits for whom."""

import gc
import itertools
import random
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import torch

from core.errors import UserError
from core.requests import ImagineRequest
from tests.vision.conftest import ask, cpu_models
from tools.hollow_card import HollowCard
from vision import devices, loader, store
from vision.engine.engine import Engine, Fiber
from vision.loader import FoundModel, ModelLoader, Progress
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.weights import files
from vision.weights import memory as sizes
from vision.weights.files import ModelSource

GIB = 2**30


@pytest.fixture
def models(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Models:
    """Image models on a device where one of the larger two has room."""
    specs = {
        "image": str(folders["stable-diffusion"]),
        "clip": str(folders["clip"]),
        "vit": str(folders["vit"]),
    }
    shutil.copytree(folders["stable-diffusion-xl"], tmp_path / "twin")
    more = {"xl": str(folders["stable-diffusion-xl"]), "twin": str(tmp_path / "twin")}
    made = cpu_models(specs, tmp_path, cpu_threads=1, image_models=more)
    size = {
        held: sizes.bytes_in_memory(Path(held), made.dtype.itemsize)
        for held in (*specs.values(), *more.values())
    }
    room = 2.5 * max(size.values())  # work takes as much again as such small weights

    def memory(device: str) -> tuple[int, int]:
        return round(room - sum(held.found.held for held in made.held.values())), round(room)

    monkeypatch.setattr(store.devices, "memory", memory)
    return made


class Job(Reporter):
    """Asks for models and holds them until told to end."""

    def __init__(self, models: Models, *specs: str) -> None:
        self.models, self.specs, self.got, self.over, self.ended = models, specs, [], False, False

    def __call__(self, fiber: Fiber) -> None:
        self.fiber = fiber
        for spec in self.specs:
            self.got.append(self.models.image(spec, self).name)
        fiber.wait_until(lambda: self.over)
        self.ended = True


class Role(Job):
    """Asks for the configured model of a role and holds it until told to end."""

    def __call__(self, fiber: Fiber) -> None:
        self.fiber = fiber
        self.got.append(type(self.models.get(self.specs[0], self)).__name__)  # it isn't kept by this
        fiber.wait_until(lambda: self.over)
        self.ended = True


def turn(engine: Engine, until: Callable[[], bool], most: int = 2000) -> None:
    for _ in range(most):
        if until():
            return
        engine.wake.clear()
        if not engine.tick():
            engine.wake.wait(0.01)
    raise AssertionError("it never came so far")


def loaded(models: Models) -> list[str]:
    return [Path(key.partition(":")[2]).name for key in models.held]


def test_without_jobs_the_least_recently_used_goes(models: Models) -> None:
    models.image("xl")
    models.image("twin")
    assert loaded(models) == ["twin"]


def test_a_model_in_use_stays_and_the_next_waits_for_its_jobs(models: Models) -> None:
    engine, first, second, third = Engine(), Job(models, "xl"), Job(models, "twin"), Job(models, "xl")
    engine.begin("first", first)
    turn(engine, lambda: bool(first.got))
    engine.begin("second", second)
    turn(engine, lambda: models.room_is_wanted)
    engine.begin(
        "third", third
    )  # of the model that is there: it must not keep the second one waiting for ever
    for _ in range(30):
        engine.tick()
    assert loaded(models) == ["stable-diffusion-xl"] and not second.got and not third.got
    first.over = True
    turn(engine, lambda: bool(second.got))
    assert loaded(models) == ["twin"] and not third.got
    second.over = True
    turn(engine, lambda: bool(third.got))
    assert loaded(models) == ["stable-diffusion-xl"]
    third.over = True
    engine.run()


def test_a_job_that_wants_two_models_does_not_wait_for_itself(models: Models) -> None:
    engine, job = Engine(), Job(models, "xl", "twin")
    engine.begin("job", job)
    turn(engine, lambda: len(job.got) == 2)
    job.over = True
    engine.run()
    assert job.ended


@pytest.mark.parametrize(
    "orders", [("xl twin", "xl twin"), ("xl twin", "twin xl"), ("twin xl", "xl twin", "xl twin", "twin xl")]
)
def test_jobs_that_want_two_models_do_not_wait_for_each_other(models, orders: tuple[str, ...]) -> None:
    """As those do that find a region by words, or read pictures to blend: each kept the model that the other
    waited to see go."""
    engine, jobs = Engine(), [Job(models, *order.split()) for order in orders]
    for job in jobs:
        engine.begin("job", job)
        job.over = True
    turn(engine, lambda: all(job.ended for job in jobs))


def test_a_model_that_has_just_come_is_not_given_up_for_the_next(models: Models) -> None:
    engine, jobs = Engine(), [Job(models, spec) for spec in ("xl", "twin", "xl", "twin")]
    for job in jobs:
        engine.begin("job", job)
    for _ in range(2):
        turn(engine, lambda: any(job.got and not job.ended for job in jobs))
        here = {job.got[0] for job in jobs if job.got and not job.ended}
        assert here == set(loaded(models)), "what is in use is in memory, and nothing else is"
        for job in jobs:
            job.over = job.over or bool(job.got)
    for job in jobs:
        job.over = True
    engine.run()


def test_a_stopped_job_that_waits_for_room_holds_up_nobody(models: Models) -> None:
    engine, first, second, third = Engine(), Job(models, "xl"), Job(models, "twin"), Job(models, "xl")
    engine.begin("first", first)
    turn(engine, lambda: bool(first.got))
    stop = []

    def check() -> None:
        if stop:
            raise RuntimeError("stopped")

    engine.begin("second", second, check=check)
    turn(engine, lambda: models.room_is_wanted)
    engine.begin("third", third)
    stop.append(True)
    turn(engine, lambda: bool(third.got))
    first.over = third.over = True
    engine.run()
    assert not second.got


def test_jobs_that_want_the_same_model_load_it_once(models: Models, caplog: pytest.LogCaptureFixture) -> None:
    engine, jobs = Engine(), [Job(models, "xl") for _ in range(3)]
    with caplog.at_level("INFO"):
        for job in jobs:
            engine.begin("job", job)
        turn(engine, lambda: all(job.got for job in jobs))
    assert sum("loaded in" in message for message in caplog.messages) == 1
    for job in jobs:
        job.over = True
    engine.run()


def test_a_model_whose_job_was_stopped_while_it_was_read_is_there_for_the_next(
    models: Models, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read twice, it would also have been in memory twice."""
    engine, first, second, other = Engine(), Job(models, "xl"), Job(models, "xl"), Job(models, "twin")
    begun, gate, stop, load = threading.Event(), threading.Event(), [], loader.load_image_model

    def slow(*args, **kwargs):
        begun.set()
        assert gate.wait(20)
        return load(*args, **kwargs)

    def check() -> None:
        if stop:
            raise RuntimeError("stopped")

    monkeypatch.setattr(loader, "load_image_model", slow)
    with caplog.at_level("INFO"):
        engine.begin("first", first, check=check)
        turn(engine, begun.is_set)
        stop.append(True)
        engine.tick()
        engine.begin("second", second)
        engine.tick()
        gate.set()
        turn(engine, lambda: bool(second.got))
    assert sum("loaded in" in message for message in caplog.messages) == 1 and not first.got
    second.over = other.over = True
    engine.begin("other", other)
    engine.run()
    assert loaded(models) == ["twin"]


def slow_to_come(models: Models, monkeypatch: pytest.MonkeyPatch, name: str) -> threading.Event:
    """Let the files of the model ``name`` come only once the event is set, and report half of them until
    then."""
    gate, find = threading.Event(), models.loader.find

    def found(source: ModelSource, progress: Progress, role: str = "") -> FoundModel:
        while source.name == name and not gate.wait(0.01):
            progress.fetched(0.5)
        return find(source, progress, role)

    monkeypatch.setattr(models.loader, "find", found)
    return gate


def test_a_model_that_is_here_is_loaded_while_another_one_is_downloaded(models, monkeypatch) -> None:
    gate = slow_to_come(models, monkeypatch, "stable-diffusion-xl")
    engine, first, second = Engine(), Job(models, "xl"), Job(models, "twin")
    engine.begin("first", first)
    turn(engine, lambda: bool(models.coming))
    engine.begin("second", second)
    turn(engine, lambda: bool(second.got))
    assert not first.got
    second.over = first.over = True
    gate.set()
    engine.run()
    assert first.ended and loaded(models) == ["stable-diffusion-xl"]


def test_jobs_that_wait_for_a_download_of_another_job_show_signs_of_life(models, monkeypatch) -> None:
    gate = slow_to_come(models, monkeypatch, "stable-diffusion-xl")
    engine, first, second = Engine(), Job(models, "xl"), Job(models, "xl")
    signs: list[float | None] = []
    second.loading = lambda model, fraction, **fetching: signs.append(fraction)  # type: ignore[method-assign]
    engine.begin("first", first)
    turn(engine, lambda: bool(models.coming))
    engine.begin("second", second)
    turn(engine, lambda: len(signs) > 3)
    assert set(signs) == {0.5}
    first.over = second.over = True
    gate.set()
    engine.run()
    assert first.ended and second.ended and not models.waiting


def test_a_model_the_host_has_not_configured_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    models = cpu_models({"image": folders["flux"]}, tmp_path)
    with pytest.raises(UserError, match="hasn't set that one up"):
        ask(models, ImagineRequest(prompt="a", model="someone/elses"))


def test_the_least_recently_used_model_makes_room(folders, tmp_path, monkeypatch) -> None:
    specs = {role: str(folders[role]) for role in ("clip", "vit")} | {"caption": str(folders["blip"])}
    models = cpu_models(specs, tmp_path)
    clip, vit = models.get("clip"), models.get("vit")
    assert models.get("clip") is clip
    blip = models.loader.find(files.parse(specs["caption"]), lambda fraction: None, "caption")
    found = {key.partition(":")[0]: held.found for key, held in models.held.items()}
    working = max(one.working for one in (blip, *found.values()))
    room = found["clip"].held + blip.held + working

    def memory(device: str) -> tuple[int, int]:
        return room - sum(held.found.held for held in models.held.values()), room

    monkeypatch.setattr(devices, "memory", memory)
    models.get("caption")
    monkeypatch.undo()
    assert models.get("clip") is clip, "used last, kept"
    assert models.get("vit") is not vit


class Weights(ModelLoader):
    """Finds and loads models that are nothing but so many bytes on the card. known: spec → model."""

    def __init__(self, config: WorkerConfig, known: Mapping[str, FoundModel]) -> None:
        super().__init__(config)
        self.known = known

    def find(self, source: ModelSource, report: Callable[[float], None], role: str = "") -> FoundModel:
        return self.known[source.name]

    def load(self, role, found, report, check, *, threads) -> torch.Tensor:
        return torch.empty(found.held, dtype=torch.uint8, device="cuda:0")


class Watched(Models):
    """given_up: how many models were. needless: those for which there was room, each with the one that was
    wanted."""

    def __init__(self, card: HollowCard, models: Mapping[str, FoundModel], cache: Path) -> None:
        config = WorkerConfig("cuda:0", {role: f"a/{role}" for role in models}, str(cache))
        super().__init__(config)
        self.card, self.given_up, self.needless = card, 0, list[tuple[str, str]]()
        self.loader = Weights(config, {f"a/{role}": found for role, found in models.items()})

    def make_room(self, wanted: FoundModel) -> bool:
        before = {key: held.found for key, held in self.held.items()}
        fits = super().make_room(wanted)
        for key in before.keys() - self.held.keys():
            self.given_up += 1
            kept = [wanted, before[key], *(held.found for held in self.held.values())]
            needed = sum(one.held for one in kept) + max(one.working for one in kept) + sizes.RESERVE
            if needed <= self.card.capacity:
                self.needless.append((key, wanted.name))
        return fits


def a_model(name: str, weights: float, needs: float, quantized: bool = True) -> FoundModel:
    """A model that draws. weights, needs: GiB in 16 bits."""
    need = sizes.Needs(round(needs * GIB / 4), round(needs * GIB / 2), round(needs * GIB))
    found = {
        kind: sizes.Sizes({"transformer": part, "text_encoder": part}, need)
        for kind, share in (("off", 1.0), ("int8", 0.53), ("nf4", 0.32))
        if (part := round(share * weights * GIB / 2)) and (quantized or kind == "off")
    }
    return FoundModel(name, Path(name), found["off"].total, found)


def a_reader(name: str, weights: float) -> FoundModel:
    return FoundModel(name, Path(name), round(weights * GIB))


ROLES = (*("image", "video", "clip", "caption", "vit", "segment", "ask", "photograph", "cutout", "enlarge"),)


@pytest.fixture
def quantisers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both libraries are there. What is in memory already isn't looked through each time some is given back,
    which takes longer than all else."""
    monkeypatch.setattr(sizes, "installed", lambda device: frozenset(("int8", "nf4")))
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("quantisers")
def test_no_model_is_given_up_while_there_is_room(tmp_path: Path) -> None:
    """200 sequences of ten roles on cards of 8 to 24 GiB whose allocator keeps what passes have used."""
    given_up, needless = 0, []
    for seed in range(200):
        rng = random.Random(seed)
        with HollowCard(rng.choice((8, 12, 16, 24)) * GIB) as card:
            drawing = {
                "image": a_model("image", rng.uniform(4, 20), rng.uniform(1, 4)),
                "video": a_model("video", rng.uniform(10, 24), rng.uniform(1, 10)),
            }
            weights = (0.2, 0.7, 1.0, 4.2) if card.capacity == 8 * GIB else (0.2, 0.7, 1.0, 4.2, 8.3)
            readers = {role: a_reader(role, rng.choice(weights)) for role in ROLES[2:]}
            models = Watched(card, {**drawing, **readers}, tmp_path)
            engine, jobs = Engine(), list[Role]()
            for _ in range(24):
                card.cached = round(rng.random() * max(0, card.capacity - card.live))
                job = Role(models, rng.choice(ROLES))
                engine.begin("job", job)
                jobs.append(job)
                if rng.random() < 0.8:  # else it goes on beside the next
                    for one in jobs:
                        one.over = True
                    turn(engine, lambda jobs=jobs: all(one.ended for one in jobs))
            for one in jobs:
                one.over = True
            engine.run()
            needless += models.needless
            given_up += models.given_up
    assert given_up > 200 and needless == []


@pytest.mark.usefixtures("quantisers")
def test_a_model_that_draws_is_held_the_same_way_whoever_came_first(tmp_path: Path) -> None:
    """Readers that were there first pushed FLUX.2 klein to its parts on a card of 12 GB."""
    known = {
        "image": a_model("klein", 14.9, 1.7),
        **{role: a_reader(role, size) for role, size in (("clip", 0.7), ("caption", 1.0), ("vit", 0.2))},
    }
    ways = set()
    for order in itertools.permutations(known):
        with HollowCard(round(11.4 * GIB)) as card:
            models = Watched(card, known, tmp_path)
            for role in order:
                models.get(role)
                if role == "image":
                    ways.add(models.held["image:a/image"].found.plan)
            assert models.get("image") is models.get("image")
    assert ways == {sizes.Plan("int8", "none")}


@pytest.mark.usefixtures("quantisers")
def test_what_reads_goes_before_what_draws_and_no_more_than_must(tmp_path: Path) -> None:
    known = {"image": a_model("image", 8, 1, quantized=False)}
    known |= {role: a_reader(role, size) for role, size in (("clip", 0.5), ("vit", 1.5), ("ask", 2.0))}
    with HollowCard(round(12.5 * GIB)) as card:
        models = Watched(card, known, tmp_path)
        for role in ("image", "clip", "vit"):
            models.get(role)
        models.get("ask")
        assert [key.partition(":")[0] for key in models.held] == ["image", "clip", "ask"], "clip is too small"
        models.get("image")
        models.get("vit")
        assert "image:a/image" in models.held and not models.needless


class Drawing:
    """What a model is held by while it draws."""

    ended = False


def test_an_image_model_is_given_up_on_request_unless_a_job_uses_it(models: Models) -> None:
    spec = models.config.image_models["xl"]
    models.image("xl")
    models.held[f"image:{spec}"].fibers.add(fiber := Drawing())
    models.forget([spec])
    assert f"image:{spec}" in models.held
    models.held[f"image:{spec}"].fibers.remove(fiber)
    models.forget([spec, "somebody's picture"])
    assert f"image:{spec}" not in models.held
    assert models.image("xl") is not None

"""Jobs that share passes get the pictures that diffusers alone would have drawn, whoever joins, leaves, fails
or is stopped beside them."""

import gc
import inspect
import random
import threading
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.errors import JobCancelled, OutOfMemory
from core.prompt.parameters import SAMPLERS
from core.requests import ImagineRequest
from tests.support import tiny
from tests.vision.conftest import Recorder, ask, cpu_models
from tests.vision.diffusion.test_generate import full_above, tamper
from tests.vision.families import test_families
from vision.diffusion import generate, vae
from vision.diffusion.checkpoint import FlowMatchFromShare, noise_share
from vision.diffusion.model import BlankPicture, ImageModel
from vision.diffusion.parameters import Generation, TextSpec
from vision.engine import collate
from vision.engine.batches import PATIENCE
from vision.engine.engine import Call, Engine, Fiber
from vision.engine.fiber import PriorityLock
from vision.families import Mode
from vision.reporter import Reporter
from vision.worker.pipe import PipeReporter

CLOSE = 1e-3  # of the latents' standard deviation
SIDE = 64
MODES = test_families.MODES["stable-diffusion"]


@dataclass
class Job:
    """One generation's way through an engine. latents: for each picture, as they came to the decoder."""

    generation: Generation
    latents: list[torch.Tensor] = field(default_factory=list)
    steps: int = 0
    stop_after: int | None = None
    error: BaseException | None = None
    ended: bool = False


class Watcher(Recorder):
    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job

    def step(self, step: int, total: int, preview: Callable | None = None) -> None:
        self.job.steps = step

    def check(self) -> None:
        if self.job.stop_after is not None and self.job.steps >= self.job.stop_after:
            raise JobCancelled("stopped by the test")


@pytest.fixture
def keep_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding is left out; what would have been decoded is kept with its job."""

    def keep(model: ImageModel, pipe, generation: Generation, reporter: Reporter, result: torch.Tensor, left):
        reporter.job.latents += list(model.family.unpack(pipe, result, generation.height, generation.width))
        return iter(())

    monkeypatch.setattr(generate, "_finish", keep)


def begin(engine: Engine, model: ImageModel, job: Job) -> None:
    watcher = Watcher(job)

    def work(fiber: Fiber) -> None:
        watcher.fiber = fiber
        generate.generate(model, job.generation, watcher)

    def done(result: object, error: BaseException | None) -> None:
        job.error, job.ended = error, True

    engine.begin("job", work, check=watcher.check, done=done)


class Crowd(Engine):
    """Joins whatever can be joined; with ``rng`` any part of it, so that jobs overtake each other, too."""

    def __init__(self, rng: random.Random | None = None, **options) -> None:
        super().__init__(**options)
        self.rng = rng

    def _choose(self, waiting: list[Fiber]) -> list[Fiber]:
        first = self.rng.choice(waiting) if self.rng else waiting[0]
        same = [fiber for fiber in waiting if fiber.waits_for.key == first.waits_for.key]
        return self.rng.sample(same, self.rng.randint(1, len(same))) if self.rng else same


def together(model, jobs: list[Job], arrivals: list[int], exact: bool = False, rng=None) -> Engine:
    """Run all; job i begins before tick ``arrivals[i]``."""
    engine, tick = Crowd(rng, exact=exact), 0
    coming = sorted(zip(arrivals, jobs, strict=True), key=lambda pair: pair[0])
    while coming or engine.fibers:
        while coming and coming[0][0] <= tick:
            begin(engine, model, coming.pop(0)[1])
        engine.tick()
        tick += 1
    return engine


def plain(model: ImageModel, generation: Generation) -> list[torch.Tensor]:
    """The pictures' latents as diffusers' own pipeline draws them in one call, without any code of ours
    around its steps."""
    pipe, g = model.pipeline(generation.mode), generation
    pipe.scheduler = model.scheduler(g.sampler)
    given = {name: getattr(g, name) for name in ("prompt", "num_inference_steps", "width", "height")}
    given |= model.family.extra or {}
    given[model.family.guidance_argument] = g.guidance_scale
    negative = g.negative_prompt or model.family.usual_negative
    given |= {"negative_prompt": negative} if negative and model.card.negative == "prompt" else {}
    if g.negative_prompt and model.card.negative == "true_cfg":
        given |= {"negative_prompt": g.negative_prompt, "true_cfg_scale": 4.0}
    image, mask = g.image, g.mask_image
    if model.family.whole_mask and g.mode is Mode.IMAGE:
        from PIL import Image

        mask = Image.new("L", image.size, 255)
    elif g.mode is not Mode.TEXT and not model.family.whole_mask:
        image = [image] * len(g.seeds)
    given |= {"image": image, "strength": g.strength} if image is not None else {}
    if g.strength is not None and g.strength < 1 and model.starts_by_noise(g.mode):
        pipe.scheduler = FlowMatchFromShare.from_config(pipe.scheduler.config)
        pipe.scheduler.share = noise_share(g.strength)
        sigmas = FlowMatchFromShare.shares(g.strength, g.num_inference_steps)
        given |= {"sigmas": sigmas, "num_inference_steps": len(sigmas), "strength": 0.9999}
    given |= {"mask_image": mask} if mask is not None else {}
    generators = [torch.Generator().manual_seed(seed) for seed in g.seeds]
    if model.begins_at_latents(g.mode):
        begin_at_latents(model, pipe, g, generators, given)
    result = pipe(
        **given, num_images_per_prompt=len(g.seeds), generator=generators, output_type="latent"
    ).images
    return list(model.family.unpack(pipe, result, g.height, g.width))


def begin_at_latents(model, pipe, g: Generation, generators: list, given: dict) -> None:
    """Give a pipeline from words what makes it one from a picture: its latents with noise, which a scheduler
    puts back after each step where the mask is black."""
    for name in ("image", "strength", "mask_image"):
        given.pop(name, None)
    if "sigmas" not in inspect.signature(pipe.__call__).parameters:
        given.pop("sigmas", None)
    values = vae.tensor_of(np.asarray(g.image))
    with torch.no_grad():
        picture = model.family.pack(pipe, vae.encode_pixels(pipe.vae, values))
    noise = torch.cat([torch.randn(picture.shape, generator=generator) for generator in generators])
    share = noise_share(g.strength) if g.strength < 1 else 1.0
    given["latents"] = share * noise + (1 - share) * picture
    if g.mask_image is None:
        return
    packs = 1 if model.family.name in ("qwen-image-2.1", "ernie-image") else 2
    side = SIDE // pipe.vae_scale_factor // packs
    white = np.asarray(g.mask_image).reshape(side, SIDE // side, side, SIDE // side).max((1, 3)) > 127
    black = torch.from_numpy(~white)
    black = black if picture.ndim == 4 else black.reshape(-1, 1)
    step, scheduler = pipe.scheduler.step, pipe.scheduler

    def kept(*args, **kwargs):
        made = step(*args, **kwargs)
        level = scheduler.sigmas[scheduler.step_index]
        put = torch.where(black, level * noise + (1 - level) * picture, made[0])
        return (put,) if isinstance(made, tuple) else type(made)(prev_sample=put)

    scheduler.step = kept


def apart(got: list[torch.Tensor], wanted: list[torch.Tensor]) -> float:
    """The largest difference, in standard deviations of what was wanted."""
    assert len(got) == len(wanted)
    return max(float((a - b).abs().max() / b.std()) for a, b in zip(got, wanted, strict=True))


def generation(
    rng: random.Random, mode: Mode, sampler: str | None = None, seed: int | None = None
) -> Generation:
    """Any prompt, number of pictures, steps and guidance; one size, so that jobs can share."""
    starts = {}
    if mode is not Mode.TEXT:
        starts = {"image": tiny.picture(SIDE, SIDE, seed=rng.randrange(5))}
        starts["strength"] = rng.choice((0.5, 0.8, 1.0))
    if mode is Mode.INPAINT:
        mask = tiny.picture(SIDE, SIDE, seed=9).convert("L")
        starts["mask_image"] = mask.point(lambda v: 255 if v > 120 else 0)
    return Generation(
        mode,
        rng.choice(("a red house", "b", "two blue dogs at night")),
        tuple(range(s := rng.randrange(1000), s + rng.randint(1, 3))),
        SIDE,
        SIDE,
        rng.choice((3, 4, 6, 9)),
        rng.choice((1.0, 2.5, 7.5)),
        rng.choice(("", "fog")),
        sampler=sampler,
        **starts,
    )


PAIRS = [(name, "stable-diffusion") for name in sorted(SAMPLERS)]
PAIRS += [("dpm++sde", "stable-diffusion-xl"), ("unipc", "stable-diffusion-xl")]
PAIRS += [(None, name) for name in sorted(set(tiny.IMAGE_MODELS) - {"stable-diffusion"})]


@pytest.mark.parametrize(("sampler", "name"), PAIRS)
def test_shared_steps_draw_what_the_plain_pipeline_draws(
    sampler: str | None, name: str, models_of, keep_latents
) -> None:
    model, rng = models_of(image=name).get("image"), random.Random(name + str(sampler))
    jobs = [
        Job(generation(rng, mode, sampler if i % 2 == 0 or sampler is None else None))
        for i, mode in enumerate([*test_families.MODES[name], Mode.TEXT, Mode.TEXT][:4])
    ]
    together(model, jobs, range(len(jobs)))
    for job in jobs:
        assert job.error is None
        assert apart(job.latents, plain(model, job.generation)) < CLOSE


@pytest.mark.parametrize("name", ["z-image", "krea-2"])
def test_where_guidance_begins_above_zero_it_leads_away_from_what_is_unwanted(
    name: str, models_of, keep_latents
) -> None:
    model = models_of(image=name).get("image")
    job = Job(Generation(Mode.TEXT, "a red house", (1,), SIDE, SIDE, 2, 0.5, "fog"))
    together(model, [job], [0])
    assert job.error is None and apart(job.latents, plain(model, job.generation)) < CLOSE
    spec = TextSpec((("a red house", 0.7), ("b", 0.3)))  # by embeddings
    mixed = Job(replace(job.generation, negative_prompt="", text_spec=spec))
    together(model, [mixed], [0])
    assert mixed.error is None


@pytest.mark.parametrize(
    ("name", "guidance", "passes"),
    [
        ("ernie-image", 1.0, [2, 2, 2, 2]),
        ("ernie-image", 3.0, [4, 4, 4, 4]),
        ("krea-2", 0.0, [2, 2, 2, 2]),
        ("krea-2", 3.0, [2, 2, 4, 4, 4]),  # two calls a step, from the second on one
        ("longcat-image", 3.0, [2, 2, 4, 4, 4]),
    ],
)
def test_texts_of_different_lengths_share_every_pass(
    name: str, guidance: float, passes: list[int], models_of, keep_latents
) -> None:
    model, seen = models_of(image=name).get("image"), []
    transformer = model.pipeline(Mode.TEXT).transformer
    hook = transformer.register_forward_hook(lambda module, given, output: seen.append(len(output[0])))
    texts = ("b", "two blue dogs at night")
    jobs = [Job(Generation(Mode.TEXT, text, (1,), SIDE, SIDE, 4, guidance)) for text in texts]
    together(model, jobs, [0, 0])
    hook.remove()
    assert [job.error for job in jobs] == [None, None] and seen == passes


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stable-diffusion", "flux"])
def test_in_exact_mode_no_bit_depends_on_company(name: str, models_of, keep_latents) -> None:
    model, rng = models_of(image=name).get("image"), random.Random(5)
    samplers = ["heun", "dpm++sde", "unipc", "euler_a"] if name == "stable-diffusion" else [None] * 4
    given = [
        generation(rng, mode, sampler) for mode, sampler in zip([*MODES, Mode.TEXT], samplers, strict=True)
    ]
    company = [Job(g) for g in given]
    together(model, company, [0, 1, 2, 3], exact=True)
    for job, g in zip(company, given, strict=True):
        alone = Job(g)
        together(model, [alone], [0], exact=True)
        assert all(torch.equal(a, b) for a, b in zip(alone.latents, job.latents, strict=True))
        single = Job(replace(g, seeds=g.seeds[-1:]))
        together(model, [single], [0], exact=True)
        assert torch.equal(single.latents[0], job.latents[-1]), (
            "nor does a picture depend on the others of its own job"
        )


def random_trace(
    model: ImageModel,
    rng: random.Random,
    wanted: Callable[[Generation], list[torch.Tensor]],
    pool: list[Generation],
) -> float:
    """Some jobs that come, go and are stopped at random; the largest distance of a finished picture from the
    one it should be."""
    jobs = [Job(rng.choice(pool)) for _ in range(rng.randint(2, 5))]
    for job in jobs:
        if rng.random() < 0.3:
            job.stop_after = rng.randint(0, 5)
    together(model, jobs, [rng.randrange(8) for _ in jobs], rng=rng if rng.random() < 0.5 else None)
    worst = 0.0
    for job in jobs:
        stopped = isinstance(job.error, JobCancelled)
        assert job.ended and (job.error is None or stopped)
        assert not (stopped and job.latents) or job.stop_after is not None
        if not stopped:
            worst = max(worst, apart(job.latents, wanted(job.generation)))
    return worst


def pool_of(
    rng: random.Random, model: ImageModel, size: int
) -> tuple[list[Generation], Callable[[Generation], list[torch.Tensor]]]:
    """Generations to choose from, and what diffusers draws for each, drawn once."""
    samplers = sorted(SAMPLERS) if model.card.samplers == "any" else [None]
    pool = [generation(rng, MODES[i % 3], samplers[i % len(samplers)]) for i in range(size)]
    drawn = {id(g): plain(model, g) for g in pool}
    return pool, lambda g: drawn[id(g)]


@pytest.mark.slow
@pytest.mark.parametrize(("size", "traces"), [(7, 4), pytest.param(14, 8, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", ["stable-diffusion", "flux"])
def test_no_picture_depends_on_its_neighbours_in_random_traces(
    name: str, size: int, traces: int, models_of, keep_latents
) -> None:
    model, rng = models_of(image=name).get("image"), random.Random(11)
    pool, wanted = pool_of(rng, model, size)
    assert max(random_trace(model, rng, wanted, pool) for _ in range(traces)) < CLOSE


def test_the_comparison_would_notice_a_neighbours_timestep(models_of, keep_latents, monkeypatch) -> None:
    """The control: one wrong row order between two jobs, and the traces fail."""
    right = collate.join
    monkeypatch.setattr(
        collate,
        "join",
        lambda calls: {k: v.flip(0) if k == "timestep" and v.ndim else v for k, v in right(calls).items()},
    )
    model, rng = models_of(image="stable-diffusion").get("image"), random.Random(11)
    pool, wanted = pool_of(rng, model, 6)
    assert max(random_trace(model, rng, wanted, pool) for _ in range(4)) > CLOSE


# What goes wrong beside others


@pytest.fixture
def model(folders: dict[str, Path], tmp_path: Path) -> ImageModel:
    """A Stable Diffusion of this test's own, to be tampered with."""
    return cpu_models({"image": folders["stable-diffusion"]}, tmp_path, cpu_threads=1).get("image")


def three(count: int = 2) -> list[Job]:
    rng = random.Random(1)
    each = [generation(rng, Mode.TEXT) for _ in range(3)]
    return [Job(replace(g, seeds=tuple(range(i, i + count)), guidance_scale=5.0)) for i, g in enumerate(each)]


def test_one_jobs_numbers_that_are_none_are_its_own(model: ImageModel) -> None:
    jobs = three(1)
    jobs[1] = Job(replace(jobs[1].generation, guidance_scale=1e39))
    together(model, jobs, [0, 0, 0])
    assert [type(job.error) for job in jobs] == [type(None), BlankPicture, type(None)]


def test_when_a_shared_pass_fails_only_the_guilty_job_is_told(model: ImageModel, keep_latents) -> None:
    def fail_for_three(original: Callable, sample: torch.Tensor, *args, **kwargs):
        if len(sample) in (2, 10):  # alone, or among the others
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        return original(sample, *args, **kwargs)

    jobs = three()
    jobs[1] = Job(replace(jobs[1].generation, seeds=(1,)))
    wanted = [plain(model, job.generation) for job in jobs]
    tamper(model.pipeline(Mode.TEXT).unet, "forward", fail_for_three)
    together(model, jobs, [0, 0, 0])
    assert [type(job.error) for job in jobs] == [type(None), RuntimeError, type(None)]
    assert all(apart(job.latents, drawn) < CLOSE for job, drawn in zip(jobs[::2], wanted[::2], strict=True))


def test_too_little_memory_makes_smaller_passes_and_costs_no_step(model: ImageModel, keep_latents) -> None:
    jobs, sizes = three(), []
    wanted = [plain(model, job.generation) for job in jobs]

    def count(original: Callable, sample: torch.Tensor, *args, **kwargs):
        sizes.append(len(sample))
        return full_above(3)(original, sample, *args, **kwargs)

    tamper(model.pipeline(Mode.TEXT).unet, "forward", count)
    together(model, jobs, [0, 0, 0])
    assert all(apart(job.latents, drawn) < CLOSE for job, drawn in zip(jobs, wanted, strict=True))
    assert [job.steps for job in jobs] == [job.generation.num_inference_steps for job in jobs]
    assert sizes[:3] == [12, 6, 3] and max(sizes[3:]) == 3, "remembered"


def test_a_job_that_runs_out_of_memory_alone_waits_for_nobody_forever(model, keep_latents) -> None:
    tamper(model.pipeline(Mode.TEXT).unet, "forward", full_above(0))
    jobs = three()
    together(model, jobs, [0, 1, 2])
    assert all(isinstance(job.error, OutOfMemory) for job in jobs)


def test_a_job_whose_decoding_waits_lets_the_others_step_on(model, monkeypatch) -> None:
    first, second = three(1)[:2]
    second = Job(replace(second.generation, num_inference_steps=first.generation.num_inference_steps + 5))
    gate, decode, seen = threading.Event(), generate.decode, []

    def slow(*args):
        assert gate.wait(60)
        return decode(*args)

    monkeypatch.setattr(generate, "decode", slow)
    engine = Engine()
    for job in (first, second):
        begin(engine, model, job)
    while second.steps < second.generation.num_inference_steps:
        engine.tick()
        seen.append(first.ended)
    assert not any(seen)
    gate.set()
    engine.run()
    assert first.ended and second.ended and not first.error and not second.error


def test_a_stopped_job_leaves_at_once_wherever_it_waits(model, monkeypatch) -> None:
    job, gate = three(1)[0], threading.Event()
    monkeypatch.setattr(generate, "decode", lambda *args: gate.wait(60))
    engine = Engine()
    begin(engine, model, job)
    while engine.fibers and job.steps < job.generation.num_inference_steps:
        engine.tick()
    job.stop_after = 0
    engine.tick()
    assert job.ended and isinstance(job.error, JobCancelled)
    gate.set()
    engine.stop()


def all_modes_end(engine: Engine, model: ImageModel) -> None:
    """Nine jobs, from words, pictures and masks, a tick apart."""
    rng = random.Random(3)
    jobs = [Job(generation(rng, MODES[i % 3], "euler")) for i in range(9)]
    for job in jobs:
        begin(engine, model, job)
        engine.tick()
    engine.run()
    assert all(job.ended and job.error is None for job in jobs)


def test_what_starts_from_a_picture_waits_for_the_decoder_and_gets_it(model: ImageModel) -> None:
    all_modes_end(Engine(), model)


def test_random_numbers_of_a_job_that_lets_others_go_first_are_its_own() -> None:
    engine, drawn = Engine(), {}

    def work(name: int) -> Callable[[Fiber], None]:
        def run(fiber: Fiber) -> None:
            torch.manual_seed(name)
            numbers = []
            for _ in range(4):
                numbers.append(torch.rand(()).item())
                fiber.pause("work")
            drawn[name] = numbers

        return run

    for name in (1, 2, 3):
        engine.begin(str(name), work(name))
    engine.run()
    for name, numbers in drawn.items():
        torch.manual_seed(name)
        assert numbers == [torch.rand(()).item() for _ in range(4)]


def test_without_a_core_to_spare_decoding_is_done_in_its_turn(model, monkeypatch) -> None:
    decode, threads = generate.decode, set()

    def noted(*args):
        threads.add(threading.current_thread())
        return decode(*args)

    monkeypatch.setattr(generate, "decode", noted)
    all_modes_end(Engine(has_spare_core=lambda: False), model)
    assert threads == {threading.current_thread()}


def test_what_a_job_in_two_stages_has_left_is_told_in_steps(models_of, monkeypatch) -> None:
    """Told in thousandths, it was taken for a job of a thousand steps, and whoever was due later came
    later."""
    models, left = models_of(image="stable-diffusion"), []
    inbox = SimpleNamespace(check=lambda job_id: None)  # nobody stops the job
    reporter = PipeReporter("hd", lambda message: None, inbox, None)
    request = ImagineRequest(prompt="a", seed=1, num_images=1, num_inference_steps=6, hd=True)

    def noted(self: Engine, waiting: list[Fiber]) -> list[Fiber]:
        left.append(waiting[0].steps_left)
        return waiting

    def work(fiber: Fiber) -> None:
        reporter.fiber = fiber
        ask(models, request, reporter=reporter)

    monkeypatch.setattr(Engine, "_choose", noted)
    engine = Engine()
    engine.begin("hd", work)
    engine.run()
    assert max(left) == left[0] <= 2 * len(left), "the second stage is reckoned with"
    assert left[-1] == 1


class Timed:
    """A denoiser on a clock of its own: a second a row."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self, sample: torch.Tensor) -> tuple[torch.Tensor]:
        self.now += len(sample)
        return (sample,)

    def engine(self, *known: str) -> Engine:
        """known: kinds of passes that were measured."""
        engine = Engine(clock=lambda: self.now, has_spare_core=lambda: False)
        for kind in known:
            for count in (1, 2):
                engine.durations.note_pass(kind, count, float(count))
        return engine

    def job(self, kind: str, steps: int, adapt: Callable | None = None) -> Callable[[Fiber], float]:
        """Steps of ``kind``; when it ended."""

        def work(fiber: Fiber) -> float:
            fiber.total = steps
            for fiber.step in range(steps):
                arguments = {"sample": torch.zeros(1, 1), **({} if adapt is None else {"adapters": [()]})}
                fiber.evaluate(Call(self, arguments, 1, (kind,), kind, adapt=adapt))
            return self.now

        return work


def test_a_long_job_of_a_kind_that_nobody_knows_yet_is_not_put_off_for_ever() -> None:
    timed, ends = Timed(), []
    engine = timed.engine("short")
    engine.begin("long", timed.job("long", 20), done=lambda result, error: ends.append(result))
    while engine.fibers and timed.now < 200:
        if sum(fiber.name == "short" for fiber in engine.fibers) < 2:
            engine.begin("short", timed.job("short", 4))
        engine.tick()
    assert ends and ends[0] <= PATIENCE * 20 + 4, "one short job was before it"


def test_equal_jobs_end_in_the_order_in_which_they_came() -> None:
    timed, ended, preparing = Timed(), [], iter((0.4, 0.1, 0.3, 0.4, 0.5, 0.4, 0.6, 0.5, 0.4, 0.7))
    engine = timed.engine("step")
    passes = timed.job("step", 12)

    def work(fiber: Fiber) -> None:
        timed.now += next(preparing)
        passes(fiber)
        timed.now += 0.5

    def begin(name: int) -> None:
        engine.begin(str(name), work, done=lambda result, error: ended.append(name))

    begin(0)
    engine.run()
    begun = 0
    while begun < 9 or engine.fibers:
        while begun < 9 and len(engine.fibers) < 3:
            begun += 1
            begin(begun)
        engine.tick()
    assert ended == list(range(10))


def test_what_is_kept_for_measuring_holds_no_model_in_memory() -> None:
    class Model(Timed):
        def on(self, rows: list) -> nullcontext:
            return nullcontext()

    model = Model()
    engine, gone = model.engine("step"), weakref.ref(model)
    engine.clock = engine.passes.stopwatch.clock = lambda: 0.0
    engine.begin("job", model.job("step", 2, model.on))
    engine.run()
    del model
    gc.collect()
    assert gone() is None


def test_a_preview_waits_for_nobody(model: ImageModel) -> None:
    """It is made on the engine's thread, without which those who want the decoder can't go on."""
    seen: list = []

    def look() -> None:
        thread = threading.Thread(target=lambda: seen.append(model.latent_map), daemon=True)
        thread.start()
        thread.join(20)

    assert model.decoder_lock.try_acquire()
    look()
    assert seen == [None]
    model.decoder_lock.release()
    look()
    assert seen[1] is not None and model.decoder_lock.try_acquire(), "it is given back"


def test_a_job_with_little_memory_does_not_wait_for_those_who_wait_for_it(model, monkeypatch) -> None:
    first, starved = (
        Job(replace(job.generation, num_inference_steps=n)) for job, n in zip(three(1), (2, 5), strict=False)
    )
    picture = Job(replace(generation(random.Random(1), Mode.IMAGE), strength=1.0))
    gate, decode, full = threading.Event(), generate.decode, [True, True]

    def slow(*args):
        assert gate.wait(60)
        return decode(*args)

    def twice_full(original: Callable, *args, **kwargs):
        if full:
            full.pop()
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(*args, **kwargs)

    monkeypatch.setattr(generate, "decode", slow)
    engine = Engine()
    begin(engine, model, first)
    while first.steps < 2:
        engine.tick()
    begin(engine, model, picture)  # its picture is to be encoded, while the thread decodes
    engine.tick()
    tamper(model.pipeline(Mode.TEXT).unet, "forward", twice_full)
    begin(engine, model, starved)
    while engine.exclusive_fiber is None:
        engine.tick()
    gate.set()
    for _ in range(2000):
        engine.wake.clear()
        if not engine.fibers or not engine.tick() and not engine.wake.wait(5):
            break
    assert all(job.ended and job.error is None for job in (first, picture, starved))


def test_a_job_that_wants_to_be_alone_waits_for_the_thread_which_waits_for_another_job() -> None:
    engine, lock, gate, did = Engine(), PriorityLock(), threading.Event(), []

    def alone(fiber: Fiber) -> None:
        with fiber.exclusive():
            did.append("alone")

    engine.begin(
        "decodes", lambda fiber: fiber.in_thread(lambda: gate.wait(20) and did.append("decoded"), lock=lock)
    )
    engine.begin("decodes next", lambda fiber: fiber.in_thread(lambda: did.append("decoded next"), lock=lock))
    engine.begin("encodes", lambda fiber: fiber.inline(lambda: did.append("encoded"), lock))
    engine.begin("alone", alone)
    while engine.exclusive_fiber is None:
        engine.tick()
    gate.set()
    while engine.fibers:
        engine.wake.clear()
        assert engine.tick() or engine.wake.wait(5), (did, [fiber.name for fiber in engine.fibers])
    assert did == ["decoded", "encoded", "decoded next", "alone"]


def test_an_error_in_a_thread_reaches_the_job_that_waits_for_it() -> None:
    engine, ends = Engine(), {}

    def broken() -> None:
        raise OSError("gone")

    engine.begin("a", lambda fiber: fiber.in_thread(broken), done=lambda result, error: ends.update(a=error))
    engine.begin(
        "b",
        lambda fiber: fiber.in_thread(lambda: 5, thread="fetching"),
        done=lambda result, error: ends.update(b=result),
    )
    engine.run()
    assert isinstance(ends["a"], OSError) and ends["b"] == 5


@pytest.mark.parametrize("has_spare_core", [False, True])
def test_between_two_pieces_of_a_long_work_others_have_a_pass(has_spare_core: bool) -> None:
    timed, ends = Timed(), dict[str, float]()
    engine = timed.engine("short")
    engine.has_spare_core = lambda: has_spare_core

    def piece() -> None:
        timed.now += 5

    def video(fiber: Fiber) -> float:
        for _ in range(6):
            fiber.give_way()
            fiber.inline(piece)
        return timed.now

    for name, work in (("video", video), ("picture", timed.job("short", 2))):
        engine.begin(name, work, done=lambda result, error, name=name: ends.update({name: result}))
        engine.tick()
    engine.run()
    # without a spare core it waits for the piece that runs as it comes, and for one between its two steps
    assert ends == ({"video": 30, "picture": 32} if has_spare_core else {"picture": 12, "video": 32})

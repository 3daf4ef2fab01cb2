"""How an image model is held, by what is free on the device."""

import json

import pytest

from core.errors import ModelError
from tools.docs.model_sizes import MODELS
from vision.weights.memory import NEEDS as NEEDS_FILE
from vision.weights.memory import Needs, Plan, Sizes, choose, needs

GB = 10**9
ALL = frozenset({"int8", "fp8", "nf4"})
GIB = 2**30
# Z-Image in bfloat16: a transformer of 12.3 GB, a text encoder of 8, a decoder of 0.2
NEEDS = Needs(round(0.2 * GB), round(0.5 * GB), round(1.6 * GB))
LARGE = {
    kind: Sizes({"transformer": round(one * GB), "text_encoder": round(other * GB), "vae": GB // 5}, NEEDS)
    for kind, one, other in (("off", 12.3, 8.0), ("int8", 6.2, 4.3), ("fp8", 6.2, 4.3), ("nf4", 3.5, 2.7))
}
ONE_FILE = {"off": Sizes({"model": 5 * GB, "conditioner": 2 * GB}, NEEDS)}


@pytest.mark.parametrize(
    "free, installed, plan",
    [
        (40, ALL, ("off", "none")),
        (23.5, ALL, ("off", "none")),  # a factor of the weights asked for 2 GB more than a card of 24 has
        (15.5, ALL, ("int8", "none")),
        (11.5, ALL, ("int8", "model")),
        (7.5, ALL, ("nf4", "model")),
        (5.5, ALL, ("nf4", "model")),
        (3.5, ALL, ("off", "group")),
        (22.5, frozenset(), ("off", "model")),
        (11.5, frozenset(), ("off", "group")),
        (7.9, {"int8"}, ("int8", "model")),
    ],
)
def test_auto_takes_the_best_that_fits(free: float, installed: frozenset[str], plan: tuple[str, str]) -> None:
    assert choose("cuda:0", round(free * GB), LARGE, installed=installed) == Plan(*plan)


@pytest.mark.parametrize(
    "quantize, offload, plan",
    [
        ("off", "auto", ("off", "group")),
        ("off", "none", ("off", "none")),
        ("fp8", "auto", ("fp8", "model")),
        ("nf4", "auto", ("nf4", "none")),
        ("auto", "none", ("nf4", "none")),
        ("auto", "model", ("int8", "model")),
        ("auto", "group", ("off", "group")),
        ("int8", "none", ("int8", "none")),
    ],
)
def test_what_the_settings_name_is_kept(quantize: str, offload: str, plan: tuple[str, str]) -> None:
    found = choose("cuda:0", 11 * GB, LARGE, quantize=quantize, offload=offload, installed=ALL)
    assert found == Plan(*plan)


def test_an_other_makers_card_is_planned_for_too_and_shared_memory_never_split() -> None:
    assert choose("xpu:0", 15 * GB, LARGE, installed=ALL) == Plan("int8", "none")
    assert choose("mps", 15 * GB, LARGE, offload="model", installed=ALL) == Plan()


def test_what_visits_the_card_must_fit_into_the_hosts_memory() -> None:
    def plan(host: int) -> Plan:
        return choose("cuda:0", 15 * GB, {"off": LARGE["off"], "nf4": LARGE["nf4"]}, installed=ALL, host=host)

    assert plan(21 * GB) == Plan("off", "model")
    assert plan(20 * GB) == Plan("nf4", "none")


def test_one_file_is_never_quantised() -> None:
    assert choose("cuda:0", 10 * GB, ONE_FILE, installed=ALL) == Plan("off", "none")
    assert choose("cuda:0", 8 * GB, ONE_FILE, quantize="nf4", installed=ALL) == Plan("off", "model")


def test_a_processor_keeps_weights_as_they_are_unless_told_otherwise() -> None:
    assert choose("cpu", GB, LARGE, offload="model", installed={"int8", "fp8"}) == Plan()
    assert choose("cpu", GB, LARGE, quantize="int8", installed={"int8", "fp8"}) == Plan("int8", "none")


def test_a_kind_whose_library_is_missing_is_refused_with_what_to_install() -> None:
    with pytest.raises(ModelError, match="QUANTIZE=int8 .*EXTRAS=quantize"):
        choose("cuda:0", 40 * GB, LARGE, quantize="int8")


KLEIN = json.loads(NEEDS_FILE.read_text())["flux2-klein-4b"]


@pytest.mark.parametrize(
    "pipeline, weights, itemsize, share",
    [
        ("Flux2KleinPipeline", 1.0, 2, 1.0),
        ("Flux2KleinInpaintPipeline", 1.0, 2, 1.0),
        ("Flux2KleinPipeline", 0.5, 2, 1.0),  # quantised in its files
        ("Flux2KleinPipeline", 2.0, 4, 2.0),
        ("Flux2KleinPipeline", 2.3, 2, 2.3),  # the larger one, of which nobody has measured anything
    ],
)
def test_what_a_model_needs_beside_its_weights_is_that_of_the_one_like_it(
    pipeline: str, weights: float, itemsize: int, share: float
) -> None:
    found = needs(pipeline, round(weights * KLEIN["weights"]), itemsize)
    assert found.decode == pytest.approx(itemsize / 2 * KLEIN["decode"]), (
        "which depends on the picture's size"
    )
    assert found.step == pytest.approx(share * KLEIN["step"])


def test_of_several_models_of_a_pipeline_the_decoder_counts_then_the_size() -> None:
    known = json.loads(NEEDS_FILE.read_text())
    small, five = known["wan-2.1-1.3b"], known["wan-2.2-ti2v-5b"]
    fourteen = needs("WanPipeline", 40 * GB, 2, vae=small["vae"])
    assert fourteen.decode == known["wan-2.1-14b"]["decode"] < five["decode"]
    assert fourteen.step == known["wan-2.1-14b"]["step"]
    assert needs("WanPipeline", 14 * GB, 2) != needs("WanPipeline", 23 * GB, 2)
    assert needs("WanImageToVideoPipeline", 23 * GB, 2) == needs("WanPipeline", 23 * GB, 2)


@pytest.mark.parametrize("pipeline", ["StableDiffusion3Pipeline", "SomethingNewPipeline", "None"])
def test_of_an_unknown_model_careful_needs_are_taken(pipeline: str) -> None:
    assert needs(pipeline, 8 * GB, 2).most == round(3.5 * GIB)
    assert needs(pipeline, 40 * GB, 2).most == 10 * GB
    assert needs(pipeline, 2**20, 2).most == 2**20, "a tiny one needs little"


def test_a_part_that_isnt_loaded_isnt_counted_in_the_table() -> None:
    ernie = next(model for model in MODELS if model.name == "ERNIE-Image-Turbo")
    assert ernie.parts.keys() == {"transformer", "text_encoder", "vae"}

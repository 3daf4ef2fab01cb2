"""How an image model is held, by what is free on the device."""

import pytest

from core.errors import ModelError
from core.settings import PROFILES, ROOT
from vision.weights.memory import Plan, Sizes, choose

GB = 10**9
ALL = frozenset({"int8", "fp8", "nf4"})
# Z-Image in bfloat16: a transformer of 12.3 GB, a text encoder of 8, a decoder of 0.2
LARGE = {
    "off": Sizes(round(20.5 * GB), round(12.3 * GB)),
    "int8": Sizes(round(10.7 * GB), round(6.2 * GB)),
    "fp8": Sizes(round(10.7 * GB), round(6.2 * GB)),
    "nf4": Sizes(round(6.4 * GB), round(3.5 * GB)),
}
ONE_FILE = {"off": Sizes(7 * GB, 5 * GB)}


@pytest.mark.parametrize(
    "free, installed, plan",
    [
        (40, ALL, ("off", "none")),
        (23.5, ALL, ("int8", "none")),
        (15.5, ALL, ("int8", "none")),
        (11.5, ALL, ("int8", "model")),
        (7.5, ALL, ("nf4", "model")),
        (5.5, ALL, ("nf4", "model")),
        (3.5, ALL, ("off", "sequential")),
        (23.5, frozenset(), ("off", "model")),
        (11.5, frozenset(), ("off", "sequential")),
        (7.9, {"int8"}, ("int8", "model")),
    ],
)
def test_auto_takes_the_best_that_fits(free: float, installed: frozenset[str], plan: tuple[str, str]) -> None:
    assert choose("cuda:0", round(free * GB), LARGE, installed=installed) == Plan(*plan)


@pytest.mark.parametrize(
    "quantize, offload, plan",
    [
        ("off", "auto", ("off", "sequential")),
        ("off", "none", ("off", "none")),
        ("fp8", "auto", ("fp8", "model")),
        ("nf4", "auto", ("nf4", "none")),
        ("auto", "none", ("nf4", "none")),
        ("auto", "model", ("int8", "model")),
        ("auto", "sequential", ("off", "sequential")),
        ("int8", "none", ("int8", "none")),
    ],
)
def test_what_the_settings_name_is_kept(quantize: str, offload: str, plan: tuple[str, str]) -> None:
    found = choose("cuda:0", 11 * GB, LARGE, quantize=quantize, offload=offload, installed=ALL)
    assert found == Plan(*plan)


def test_one_file_is_never_quantised() -> None:
    assert choose("cuda:0", 10 * GB, ONE_FILE, installed=ALL) == Plan("off", "none")
    assert choose("cuda:0", 8 * GB, ONE_FILE, quantize="nf4", installed=ALL) == Plan("off", "model")


def test_a_processor_keeps_weights_as_they_are_unless_told_otherwise() -> None:
    assert choose("cpu", GB, LARGE, offload="model", installed={"int8", "fp8"}) == Plan()
    assert choose("cpu", GB, LARGE, quantize="int8", installed={"int8", "fp8"}) == Plan("int8", "none")


def test_a_kind_whose_library_is_missing_is_refused_with_what_to_install() -> None:
    with pytest.raises(ModelError, match="QUANTIZE=int8 .*EXTRAS=quantize"):
        choose("cuda:0", 40 * GB, LARGE, quantize="int8")


def _tables() -> tuple[dict[str, dict[str, Sizes]], list[list[str]]]:
    """Of docs/models.md: model → its sizes, and the rows of the profiles."""
    rows = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in (ROOT / "docs" / "models.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    models = {}
    for row in rows[rows.index(next(r for r in rows if r[2:3] == ["weights, billions"])) + 2 :]:
        pairs = [[round(float(gb) * GB) for gb in cell.split(",")] for cell in row[4:7] if cell]
        models[row[0]] = {
            kind: Sizes(*pair) for kind, pair in zip(("off", "int8", "nf4"), pairs, strict=False)
        }
    return models, [row for row in rows if row[0].strip("`") in PROFILES and row[1].endswith("GB")]


def test_each_profile_is_held_on_its_card_as_the_page_says() -> None:
    models, profiles = _tables()
    assert [row[0].strip("`") for row in profiles] == [name for name in PROFILES if name != "demo"]
    for name, card, model, *_, said in profiles:
        free = round((float(card.split()[0]) - 0.5) * 2**30)  # half a GiB is the desktop's and CUDA's own
        kind, _, by_parts = said.replace("as it is", "off").partition(", ")
        plan = Plan(kind, "model" if by_parts else "none")
        assert choose("cuda:0", free, models[model], installed=ALL) == plan, name

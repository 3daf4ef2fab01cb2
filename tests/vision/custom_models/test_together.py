"""Two extractors that look together, where parts lie anyhow."""

import pytest
import torch
from PIL import Image

from tests.vision.custom_models.conftest import needs_train, pile
from tests.vision.custom_models.memory_store import MemoryStore
from vision.custom_models.anomaly import features, train
from vision.custom_models.anomaly.detector import Inspector
from vision.custom_models.anomaly.train import Settings, train_inspection
from vision.custom_models.features import Extractor, blurred, find_extractor, gaussian
from vision.custom_models.steps import exhausted


class _Blurs(torch.nn.Module):
    """Pixels to their means in cells, and the differences of neighbouring ones."""

    def __init__(self, cell: int) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        small = torch.nn.functional.avg_pool2d(seen, self.cell)
        maps = torch.cat([small, small - small.roll(1, 3)], 1)
        return maps, maps.mean((2, 3))


@pytest.fixture(scope="module")
def two() -> list[Extractor]:
    return [Extractor(f"blurs-{cell}", 144, _Blurs(cell).eval(), "MIT") for cell in (4, 8)]


def _surface(seed: int, hole: bool = False) -> Image.Image:
    grain = torch.rand(144, 144, 3, generator=torch.Generator().manual_seed(seed)) * 120 + 60
    if hole:
        grain[56:80, 96:120] = 0
    return Image.fromarray(grain.byte().numpy())


@needs_train
def test_where_parts_lie_anyhow_two_extractors_look_together(two) -> None:
    """They find, name and learn as one does, and are read as they were written."""
    some = pile([(_surface(seed, hole=seed > 3), "hole" if seed > 3 else "good") for seed in range(7)])
    made = exhausted(train_inspection(some.snapshot, some.open, two, Settings(alike="free"), MemoryStore()))
    assert made.card["extractor"] == "blurs-4+blurs-8"
    assert set(made.card["tried"]) == {"blurs-4 bank", "blurs-8 bank", "blurs-4+blurs-8 bank"}
    assert made.card["promise"] == [1, 5]
    assert made.card["taught"]["pictures"] == 3
    known = {one.name: one for one in two}.get
    both = find_extractor(made.card["extractor"], known)
    read = Inspector.unpack(made.pack())
    assert read.pack() == made.pack()
    bad, good = read.inspect(_surface(50, hole=True), both), read.inspect(_surface(51), both)
    assert bad.strange and bad.name == "hole"
    assert bad.score > 2 * good.score
    y, x = divmod(int(bad.heat.argmax()), bad.heat.shape[1])
    assert bad.heat.shape == (18, 18) and y in range(7, 10) and x in range(12, 15)
    with pytest.raises(KeyError, match="blurs-9"):
        find_extractor("blurs-4+blurs-9", known)


def _banks() -> features.Banks:
    first, second = (features.Bank(torch.zeros(1), torch.eye(1), torch.zeros(1, 1)) for _ in range(2))
    return features.Banks(first, second, torch.ones(2))


def test_a_cell_is_strange_beside_what_lies_around_it() -> None:
    even = torch.full((1, 1, 16, 16), 4.0)
    spotted = even.clone()
    spotted[..., 8, 8] = 5.0
    [(level, _), (found, _)] = (_banks().together((one, one), (one, one)) for one in (even, spotted))
    assert torch.allclose(level, even.expand(1, 2, 16, 16) * (1 - features.TAKEN), atol=1e-5)
    away = (found - level)[0, 0]
    assert away[8, 8] > 0.5 and away[8, 11] < 0 and away[8, 0] == pytest.approx(0, abs=1e-5)


def test_inspections_from_before_say_how_strange_a_cell_is_by_itself() -> None:
    banks, strange = _banks(), torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    state = banks.state_dict()
    assert features.Banks.of(state).contrast.tolist() == banks.contrast.tolist()
    earlier = features.Banks.of({name: value for name, value in state.items() if name != "contrast"})
    found, _ = earlier.together((strange, strange), (strange, strange))
    assert torch.equal(found, blurred(strange, gaussian(1.0, 3)).expand(1, 2, 16, 16))


def test_one_of_two_is_kept_that_is_clearly_ahead_of_both_together() -> None:
    class Told:
        def __init__(self, area: float) -> None:
            self.area = area

        def separation(self) -> float:
            return self.area

    first, second, both = Told(0.6), Told(0.8), Told(0.76)
    assert train.best_of([first, second]) is second
    assert train.best_of([first, second], [both]) is both
    both.area = 0.7
    assert train.best_of([first, second], [both]) is second

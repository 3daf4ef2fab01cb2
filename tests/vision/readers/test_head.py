"""The logistic head: its optimum, its left-out heads, and what it says of itself."""

import pytest
import torch
from torch.nn import functional

from vision.readers import few_shot
from vision.readers.few_shot import learn_labels


def points(count: int, shots: int, apart: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Points around a centre for each label, and their labels."""
    generator = torch.Generator().manual_seed(seed)
    centres = apart * torch.randn(count, 12, generator=generator)
    labels = torch.arange(count).repeat_interleave(shots)
    found = centres[labels] + torch.randn(count * shots, 12, generator=generator)
    return found / found.norm(dim=1).mean(), labels


def by_newton(seen: torch.Tensor, labels: torch.Tensor, count: int, penalty: float) -> torch.Tensor:
    """The optimum of the same loss by another optimiser: weights (D + 1, L)."""
    weights = torch.zeros(seen.shape[1] + 1, count, dtype=torch.double, requires_grad=True)
    known, each = seen.double(), torch.bincount(labels, minlength=count).double()
    shares = 1 / (each[labels] * (each > 0).sum())
    optimiser = torch.optim.LBFGS(
        [weights], max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        losses = functional.cross_entropy(known @ weights[:-1] + weights[-1], labels, reduction="none")
        value = (losses * shares).sum() + penalty / 2 * weights[:-1].square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return weights.detach().float()


@pytest.mark.parametrize("sizes", [(6, 6, 6), (2, 9, 4)])
def test_it_is_the_optimum_of_its_loss_where_every_label_counts_the_same(
    sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(few_shot, "ROUNDS", 600)
    seen, labels = points(3, max(sizes), 1.0)
    kept = torch.cat([(labels == label).nonzero()[:size, 0] for label, size in enumerate(sizes)])
    seen, labels = seen[kept], labels[kept]
    new, _ = points(3, 5, 1.0, seed=1)
    found = few_shot.fit_head(seen, new, labels, 3, []).asked
    weights = by_newton(seen, labels, 3, few_shot.PENALTY / len(seen))
    wanted = (new @ weights[:-1] + weights[-1]).log_softmax(-1)
    assert torch.allclose(found.exp(), wanted.exp(), atol=2e-3)


def test_a_left_out_head_has_not_seen_the_example_nor_one_of_every_other_label(monkeypatch) -> None:
    monkeypatch.setattr(few_shot, "ROUNDS", 600)
    seen, labels = points(3, 4, 0.8)
    without = few_shot.folds(labels.tolist(), 99)
    assert [len(fold) for fold in without] == [3, 3, 3, 3] and sorted(sum(without, [])) == list(range(12))
    found = few_shot.fit_head(seen, seen[:0], labels, 3, without).left_out
    for row, place in enumerate(sum(without, [])):
        kept = [other for other in range(12) if other not in without[row // 3]]
        weights = by_newton(seen[kept], labels[kept], 3, few_shot.PENALTY / len(seen))
        wanted = (seen[place] @ weights[:-1] + weights[-1]).softmax(-1)
        assert torch.allclose(found[row].exp(), wanted, atol=3e-3)


def test_the_only_example_of_a_label_is_never_left_out() -> None:
    labels = [0, 0, 0, 1, 2, 2]
    assert few_shot.folds(labels, 99) == [[0, 4], [1, 5], [2]]
    assert few_shot.folds(labels, 1) == [[0, 4]]
    assert few_shot.folds([0, 1, 2], 99) == []


def test_of_many_examples_as_many_of_each_label_are_asked_of_a_chat_model() -> None:
    labels = [0] * 30 + [1] * 30 + [2] * 4 + [3]
    chosen = few_shot.tested_of(labels, 16)
    counts = [sum(labels[place] == label for place in chosen) for label in range(4)]
    assert len(chosen) == 16 and counts == [6, 6, 4, 0]
    assert few_shot.tested_of([0, 1, 2], 99) == []


def test_a_large_set_is_tested_on_a_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(few_shot, "MOST_WORK", 1)
    seen, labels = points(3, 9, 1.0)
    assert learn_labels(blocks(seen), labels.tolist(), 3, blocks(seen[:1])).tested == 3 * few_shot.LEAST_FOLDS


def blocks(found: torch.Tensor) -> list[dict[str, torch.Tensor]]:
    return [{"pooled": row, "projected": row} for row in found]


@pytest.mark.parametrize("shots", [8, 32])
def test_what_cannot_be_learned_is_not_claimed_and_what_can_is(shots: int) -> None:
    noise, labels = points(4, shots, 0.0)
    told = learn_labels(blocks(noise), labels.tolist(), 4, blocks(noise[:1]))
    assert told.expected is not None and told.expected < 0.5
    clear, labels = points(4, shots, 2.0)
    new, wanted = points(4, 5, 2.0)
    told = learn_labels(blocks(clear), labels.tolist(), 4, blocks(new))
    assert told.tested == 4 * shots and told.right >= told.tested - 1
    assert told.expected is not None and told.expected > 0.9
    assert (told.chances.argmax(1) == wanted).float().mean() > 0.9


def test_words_count_where_they_help_and_not_where_they_mislead() -> None:
    noise, labels = points(3, 16, 0.0)
    right = functional.one_hot(labels, 3).float().mul(4).log_softmax(-1)
    asked = torch.tensor([[0.0, 4.0, 0.0]]).log_softmax(-1)
    helped = learn_labels(blocks(noise), labels.tolist(), 3, blocks(noise[:1]), (right, asked))
    assert helped.expected is not None and helped.expected > 0.9 and helped.chances.argmax() == 1
    clear, labels = points(3, 16, 2.0)
    wrong = right.roll(1, dims=1)
    misled = learn_labels(blocks(clear), labels.tolist(), 3, blocks(clear[:1]), (wrong, asked))
    assert misled.right == 48 and misled.chances.argmax() == 0


def test_without_two_examples_of_a_label_nothing_is_said_of_how_good_it_is() -> None:
    seen, _ = points(3, 1, 2.0)
    told = learn_labels(blocks(seen), [0, 1, 2], 3, blocks(seen[:1]))
    assert told.expected is None and told.tested == 0 and told.chances.argmax() == 0


def test_it_asks_whether_to_go_on_between_two_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(few_shot, "NUMBERS_AT_ONCE", 1)
    asked: list[int] = []
    seen, labels = points(2, 5, 1.0)
    learn_labels(blocks(seen), labels.tolist(), 2, blocks(seen[:1]), None, lambda: asked.append(1))
    assert len(asked) >= 5

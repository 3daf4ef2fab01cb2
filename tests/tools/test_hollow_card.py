"""The card that isn't there counts, runs out and waits as a real one does."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from tools.hollow_card import HollowCard, NoValueError

MIB = 2**20


@pytest.fixture
def card() -> Iterator[HollowCard]:
    with HollowCard(64 * MIB) as found:
        yield found


def test_every_byte_counts_from_when_it_is_made_until_it_is_gone(card: HollowCard) -> None:
    first = torch.zeros(4, MIB, device="cuda", dtype=torch.bfloat16)
    second = first + 1
    assert card.live == card.peak == 16 * MIB and second.device == torch.device("cuda:0")
    view = second[1:]
    del first, second
    assert card.live == 8 * MIB and card.peak == 16 * MIB
    del view
    assert card.live == 0
    assert torch.cuda.mem_get_info() == (64 * MIB, 64 * MIB)


def test_what_it_cant_hold_is_out_of_memory_in_cudas_words(card: HollowCard) -> None:
    held = torch.empty(60 * MIB, device="cuda", dtype=torch.uint8)
    with pytest.raises(torch.OutOfMemoryError, match=r"CUDA out of memory\. Tried to allocate 5 MiB"):
        torch.empty(5 * MIB, device="cuda", dtype=torch.uint8)
    assert card.live == 60 * MIB and held.numel() == 60 * MIB


def test_small_tensors_keep_their_values(card: HollowCard) -> None:
    schedule = torch.linspace(1, 0, 11, device="cuda")
    ids = torch.arange(10).to("cuda")
    assert float(schedule[1]) == pytest.approx(0.9) and ids[ids > 6].tolist() == [7, 8, 9]
    assert card.waits.total() == 3, card.waits  # the number, the mask and the list
    assert card.copies.total() == 1


def test_what_asks_for_a_guard_of_cudas_works_without_cuda(card: HollowCard) -> None:
    timesteps = torch.tensor([900, 500, 100], device="cuda")
    assert (timesteps == 500).nonzero().tolist() == [[1]] and (1000 - timesteps).tolist() == [100, 500, 900]
    assert (~(timesteps > 200)).tolist() == [False, False, True]
    assert card.waits.total() == 4, card.waits


def test_a_value_that_nobody_knows_is_an_error_that_says_where(card: HollowCard) -> None:
    hollow = torch.randn(300, 300, device="cuda")
    assert hollow.isfinite().all()  # of which everybody hopes so
    with pytest.raises(NoValueError, match=r"test_hollow_card\.py:\d+"):
        hollow.tolist()
    assert hollow.cpu().shape == (300, 300)


def test_attention_needs_no_matrix_of_all_tokens_by_all(card: HollowCard) -> None:
    queries = torch.randn(1, 4, 8192, 64, device="cuda", dtype=torch.bfloat16)
    card.reset()
    found = nn.functional.scaled_dot_product_attention(queries, queries, queries)
    assert found.shape == queries.shape and card.peak == 2 * queries.numel() * 2


def test_modules_come_and_go_with_their_tied_weights(card: HollowCard) -> None:
    module = nn.Sequential(nn.Embedding(1024, 512), nn.Linear(512, 1024, bias=False))
    module[1].weight = module[0].weight
    module.to("cuda")
    assert card.live == 1024 * 512 * 4 and module[1].weight is module[0].weight
    module.to("cpu")
    assert card.live == 0 and card.host == 1024 * 512 * 4
    module.to("cuda")
    assert card.live == 1024 * 512 * 4 and card.host == 0


def test_quantised_weights_count_as_what_they_take_and_as_what_they_become_for_a_product(card) -> None:
    torchao = pytest.importorskip("torchao.quantization")
    module = nn.Sequential(nn.Linear(1024, 2048, bias=False)).to(torch.bfloat16)
    torchao.quantize_(module, torchao.Int8WeightOnlyConfig())
    module.to("cuda")
    assert 1024 * 2048 <= card.live < 1.01 * 1024 * 2048
    card.reset()
    module(torch.zeros(1, 1024, device="cuda", dtype=torch.bfloat16))
    assert 2 * 1024 * 2048 <= card.peak - card.live < 2.1 * 1024 * 2048


def test_threads_see_the_same_card(card: HollowCard) -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.zeros(MIB, device="cuda")))
    thread.start()
    thread.join()
    assert card.live == 4 * MIB and found[0].shape == (MIB,)


def test_afterwards_there_is_no_card() -> None:
    available = torch.cuda.is_available()
    with HollowCard(MIB, bfloat16=False):
        assert torch.cuda.is_available() and not torch.cuda.is_bf16_supported()
    assert torch.cuda.is_available() == available

"""A head on what two towers see: their heads' logits added up, each counting as much as left-out examples
say. That is one linear head on the features of both."""

from __future__ import annotations

import torch
from torch import Tensor

from vision.few_shot import head
from vision.own_models.classify.probe import Probe, Tested

WORTH = 0.02  # by which the left-out loss has to be lower for a second tower to be worth its time


def together(
    first: tuple[Probe, Tested], second: tuple[Probe, Tested], right: Tensor
) -> tuple[Probe, Tested]:
    """Return the head of both, and how it does on left-out examples with right labels (n,). What ``Tested``
    tells of strength and temperature is the first one's."""
    probes, tests = (first[0], second[0]), (first[1], second[1])
    views = [one.logits.log_softmax(-1) for one in tests]
    weights = head.blend(views, right, [True, True])
    logits = head.mixed(torch.stack(views), weights)
    wide = [len(one.mean) for one in probes]
    squares = (wide[0] * tests[0].squares + wide[1] * tests[1].squares) / sum(wide)
    loss = float(torch.nn.functional.cross_entropy(logits, right))
    tested = Tested(logits, squares, tests[0].strength, tests[0].temperature, loss)
    probe = Probe(
        torch.cat([one.mean for one in probes]),
        torch.cat([one.scale for one in probes]),
        torch.cat([weight * one.weight for weight, one in zip(weights, probes, strict=True)]),
        weights[0] * probes[0].bias + weights[1] * probes[1].bias,
        torch.cat([one.centres for one in probes], 1),
        tested.far,
    )
    return probe, tested

"""Pictures that are told instead of seen: each token is the sum of what its patches show.

From these the language model learns to answer before the tower sees well, and at the cost of text. What they
are made of is then the goal of the connector.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

from demo.training.ask.model import TEXT_WIDTH, TOKENS
from demo.training.ask.pictures import HEADS, ROW
from demo.training.ask.start import LEVEL, ONE, RESERVED, SHOWN
from demo.training.vision import GRID

NONE = {"object", "colour", "letter"}  # the last class tells nothing
WEIGHT = 2.0  # of a fact that all four patches of a token show
# Of its word's embedding in a fact: things and colours of what a patch shows are what questions look for.
SHARE = {"object": 1.0, "colour": 1.0, "other_object": 0.5, "other_colour": 0.5, "value": 0.5}
LEAST = 0.35
SPREAD = 0.02
FAINT = {"background": 0.5, "style": 0.7, "kind": 0.7}


class Told(nn.Module):
    """A direction for every fact that the heads of the tower know; for things, colours, places, numbers and
    letters the embedding of the word."""

    def __init__(self, words: torch.Tensor):
        super().__init__()
        rows = 1 + sum(HEADS.values())
        self.facts = nn.Parameter(torch.randn(rows, TEXT_WIDTH) * SPREAD)
        index, start = torch.zeros(len(HEADS), max(HEADS.values())).long(), 1
        word, share = torch.full((rows,), -1), torch.zeros(rows, 1)
        with torch.no_grad():
            self.facts[:, :RESERVED] = 0
            for name, classes in HEADS.items():
                told = classes - 1 if name in NONE else classes
                index[ROW[name], :told] = torch.arange(start, start + told)
                word[start : start + told] = words[ROW[name], :told]
                share[start : start + told] = SHARE.get(name, LEAST)
                self.facts[start : start + told] *= FAINT.get(name, 1.0)
                start += classes
        share[word < 0] = 0
        self.register_buffer("index", index, persistent=False)  # 0: nothing
        self.register_buffer("word", word.clamp(min=0), persistent=False)
        self.register_buffer("share", share, persistent=False)

    def table(self, embeddings: torch.Tensor) -> torch.Tensor:
        """(1 + facts, TEXT_WIDTH): the direction of each."""
        words = F.pad(embeddings[self.word, RESERVED:], (RESERVED, 0))
        own = (self.share < 1) * (torch.arange(len(self.word)) > 0)[:, None]
        return self.share * words + own * self.facts

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor, noise: float = 0.0) -> torch.Tensor:
        """(B, len(HEADS), GRID * GRID) labels → (B, TOKENS, TEXT_WIDTH)."""
        batch, rows, _ = labels.shape
        known = self.index[torch.arange(rows)[None, :, None], labels.clamp(min=0)] * (labels >= 0)
        side = GRID // 2
        known = known.view(batch, rows, side, 2, side, 2).permute(0, 2, 4, 1, 3, 5)
        table = self.table(embeddings).float()
        tokens = F.embedding_bag(known.reshape(batch * TOKENS, -1), table, mode="sum", padding_idx=0)
        tokens = tokens.view(batch, TOKENS, -1) * (WEIGHT / 4)
        if noise:
            tokens = tokens + noise * torch.randn_like(tokens)
        level = torch.zeros(TEXT_WIDTH)
        level[ONE] = level[SHOWN] = LEVEL
        return tokens + level

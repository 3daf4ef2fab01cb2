"""Teaches a copy of the generator's text encoder to read instructions: at the end and at every padding
token it must know what is to be changed into what.

What it says of captions is held to what the shipped encoder says, so that the generator's UNet, from which
the editor starts, goes on understanding it.
"""

import copy
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from transformers import CLIPTextModel, CLIPTokenizer

from demo.captions import describe
from demo.training.edit.scenes import training_edit
from demo.training.edit.words import SUMMARY, instruct
from demo.training.loop import MODELS, WORK, Plan, Run, autocast, device
from demo.training.text import MIX, WIDTH, tokenizer_folder
from demo.vocabulary import LENGTH, Encoder
from demo.world import training_scene

BATCH = 64  # instructions
CAPTIONS = 16
FOLDER = WORK / "edit_text"


def folder() -> Path:
    """Where the encoder lies that was trained last; without one, the shipped one."""
    return FOLDER if FOLDER.exists() else MODELS / "edit" / "text_encoder"


def reader() -> CLIPTextModel:
    """That encoder in float32."""
    return CLIPTextModel.from_pretrained(folder()).float()


class Reader(nn.Module):
    """The encoder, and a head that is thrown away after training."""

    def __init__(self, encoder: CLIPTextModel):
        super().__init__()
        self.encoder = encoder
        self.summary = nn.Linear(WIDTH, sum(SUMMARY))


def train(steps: int = 500):
    """Writes the encoder to FOLDER; held to the shipped one's hidden states by their mean square."""
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_folder())
    encoder = Encoder(tokenizer)
    shipped = CLIPTextModel.from_pretrained(MODELS / "stable-diffusion" / "text_encoder").float().to(device())
    model = Reader(copy.deepcopy(shipped)).to(device()).train()
    shipped.eval().requires_grad_(False)
    run = Run("edit_text", model, Plan(steps, lr=1e-3, decay=0.6, betas=(0.9, 0.98), ema=0.99))

    def loss(rng):
        length = rng.choice((32, 32, 40, LENGTH))
        asked = [instruct(training_edit(rng), rng) for _ in range(BATCH)]
        texts = [one.text for one in asked]
        texts += [describe(training_scene(rng, MIX), rng).text for _ in range(CAPTIONS)]
        ids = torch.tensor([encoder.text(text, length) for text in texts], device=device())
        labels = torch.tensor([one.labels for one in asked], device=device())
        end = (ids[:BATCH] == encoder.end).int().argmax(1)
        pad = end + ((length - end) * torch.rand(BATCH, device=device())).long()
        rows = torch.arange(BATCH, device=device())
        with autocast():
            hidden = model.encoder(input_ids=ids).last_hidden_state  # (B, L, WIDTH)
            with torch.no_grad():
                before = shipped(input_ids=ids[BATCH:]).last_hidden_state
            value = F.mse_loss(hidden[BATCH:].float(), before.float())
            figures = {"apart": value.item()}
            for name, position in (("end", end), ("pad", pad)):
                parts = model.summary(hidden[rows, position]).float().split(SUMMARY, -1)
                told = zip(parts, labels.T, strict=True)
                value = value + sum(F.cross_entropy(part, target) for part, target in told) / 2
                right = [p.argmax(-1) == t for p, t in zip(parts, labels.T, strict=True)]
                figures[name] = torch.stack(right).all(0).float().mean().item()
        return value, figures

    run.train(loss)
    run.use_average()
    model.encoder.save_pretrained(FOLDER)

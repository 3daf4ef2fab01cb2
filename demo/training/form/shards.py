"""What a network drew itself, in shards on disk: made by several processes, taken in while others train."""

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from demo.training.loop import device, workers


def make(folder: Path, first: int, count: int, shard: Callable[[int], dict[str, np.ndarray]]):
    """Writes `count` shards from `first` on as `shard` makes them, several processes each their share; those
    already on disk are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    rank, world = workers()
    for index in tqdm(range(first + rank, first + count, world), desc=folder.name, mininterval=5):
        path = folder / f"{index:04d}.npz"
        if not path.exists():
            part = path.with_suffix(".part")
            with part.open("wb") as file:
                np.savez(file, **shard(index))
            part.replace(path)


class Shards:
    """All shards of a folder so far. rounds: the first shard of each round; as much is taken of each."""

    def __init__(self, folder: Path, rounds: tuple[int, ...]):
        self.folder, self.starts = folder, [f"{first:04d}" for first in (*rounds, 9999)]
        self.shards: dict[str, dict[str, np.ndarray]] = {}
        self.refresh()

    def refresh(self):
        """Takes in shards that are new on disk."""
        for path in sorted(self.folder.glob("*.npz")):
            if path.name not in self.shards:
                with np.load(path) as arrays:
                    self.shards[path.name] = {name: arrays[name] for name in arrays.files}
        rounds = [[n for n in self.shards if a <= n < b] for a, b in pairwise(self.starts)]
        self.rounds = [names for names in rounds if names]

    def sample(
        self, rng: random.Random, count: int, parts: tuple[str, ...]
    ) -> tuple[list[torch.Tensor], list[str]]:
        """Those parts of `count` pictures, (B, …) float32, and the words. Raises FileNotFoundError when there
        are no shards."""
        if not self.rounds:
            raise FileNotFoundError(
                f"no shards in {self.folder}: its pictures aren't made yet (demo.train.STAGES)"
            )
        names = [rng.choice(rng.choice(self.rounds)) for _ in range(count)]
        chosen = [(self.shards[name], rng.randrange(len(self.shards[name]["words"]))) for name in names]
        arrays = [np.stack([shard[part][i] for shard, i in chosen]) for part in parts]
        tensors = [torch.from_numpy(array).float().to(device()) for array in arrays]
        return tensors, [str(shard["words"][i]) for shard, i in chosen]

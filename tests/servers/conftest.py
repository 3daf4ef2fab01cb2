"""Servers that others wrote, each started once for all tests, with the weights that our own decoder has."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from tests.servers import model, start
from vision.chat import talker as load
from vision.chat.talker import Talker


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model."""
    found = tmp_path_factory.mktemp("servers") / "model"
    model.write(found)
    return found


@pytest.fixture(scope="session")
def talker(folder: Path) -> Talker:
    """Our own decoder."""
    torch.set_num_threads(1)
    return load.load_chat_model(folder, "tiny", {}, "cpu", torch.float32)


@pytest.fixture(scope="session")
def url_of(folder: Path) -> Iterator[Callable[[str], str]]:
    """Kind of server → the address of one that runs."""
    running: dict[str, str] = {}
    with ExitStack() as stack:

        def url(kind: str) -> str:
            if start.missing(kind):
                pytest.skip(f"{', '.join(start.missing(kind))} missing: make servers-test installs it")
            if kind not in running:
                server = start.server(kind, folder, folder.parent / kind.replace(" ", "-"))
                running[kind] = stack.enter_context(server)
            return running[kind]

        yield url

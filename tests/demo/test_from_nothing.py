"""The first steps of every stage, in a folder where no trained weights lie; and how a pack is put in use."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402
from transformers import CLIPTextModel  # noqa: E402

from demo.evaluate import chat as chats  # noqa: E402
from demo.train import chat_data, corrections, editor, text, unet  # noqa: E402
from demo.train.__main__ import STAGES, main  # noqa: E402
from demo.train.loop import FOLDERS, JUDGE, MODELS, PACK, WORK, copy  # noqa: E402

pytestmark = [pytest.mark.training, pytest.mark.filterwarnings("ignore")]

ROOT = MODELS.parent.parent
TRAINED = [stage for stage in STAGES if stage != "photograph"]  # which fetches photographs from the web


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """What two steps of each stage leave, run from a copy of the code beside which no models lie."""
    folder = tmp_path_factory.mktemp("nothing")
    shutil.copytree(
        MODELS.parent,
        folder / "demo",
        ignore=shutil.ignore_patterns("models", "*.safetensors", "__pycache__"),
    )
    paths = os.pathsep.join([str(folder), str(ROOT)])
    subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "demo.train", *TRAINED, "--steps", "2"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"},
        check=True,
    )
    assert not (folder / "demo" / "models").exists()
    return folder


@pytest.mark.timeout(900)
def test_every_stage_begins_without_weights_and_learns(made):
    for stage in TRAINED:
        rows = [json.loads(row) for row in (made / WORK / f"{stage}.jsonl").read_text().splitlines()]
        assert rows[-1]["step"] >= 1 and 0 < rows[-1]["loss"] < float("inf")


@pytest.mark.timeout(900)
def test_the_pack_has_the_networks_of_the_shipped_one(made):
    files = [path.relative_to(MODELS) for path in MODELS.rglob("*.safetensors")]
    files = [path for path in files if path.parts[0] != "photograph" and "lora" not in path.parts]
    assert len(files) >= 10
    for file in files:
        ours, shipped = load_file(made / PACK / file), load_file(MODELS / file)
        assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in shipped.items()}, file
        assert any(not torch.equal(ours[k].float(), shipped[k].float()) for k in ours), file


@pytest.mark.timeout(900)
def test_the_chat_model_of_a_few_steps_answers(made):
    chat = chats.Chat(made / PACK / "ask")
    [answer] = chat.last([chat_data.sign_talk(chat_data.Fresh(True), random.Random(0))])
    assert isinstance(answer, str)


@pytest.mark.timeout(900)
def test_training_goes_on_where_it_stopped(made, monkeypatch):
    monkeypatch.chdir(made)
    before = torch.load(WORK / "vit.pt", weights_only=True)
    main(["vit", "--steps", "3"])
    rows = [json.loads(row)["step"] for row in (WORK / "vit.jsonl").read_text().splitlines()]
    assert before["step"] == 2 and rows == [2, 3]


def some_own(parts: tuple[str, ...]) -> corrections.Own:
    """A few pictures of a network's own, of which it is known what they should have been."""
    rng = np.random.default_rng(0)

    def make(index):
        latents = {part: rng.normal(size=(3, 4, 16, 16)).astype(np.float16) for part in parts}
        things = rng.random((3, 16, 16)) < 0.3
        return {**latents, "things": things, "words": np.array(["make it red"] * 3)}

    return corrections.Own(WORK / f"some {parts[0]}", make)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("module", [unet, editor], ids=["generator", "editor"])
def test_half_a_batch_are_own_pictures_as_soon_as_one_is_known(made, monkeypatch, module):
    monkeypatch.chdir(made)
    torch.manual_seed(0)
    if module is unet:
        model, words = unet.load(), CLIPTextModel.from_pretrained(text.SETTLED).requires_grad_(False)
        run, own = SimpleNamespace(step=0, model=model), some_own(("drawn", "meant"))
        loss = unet._Loss(run, model, words.float(), own)
    else:
        model, words = editor.widen(unet.load()), CLIPTextModel.from_pretrained(editor.TEXT_FOLDER)
        run, own = SimpleNamespace(step=0, model=model), some_own(("before", "drawn", "after"))
        loss = editor._Loss(run, words.float().requires_grad_(False), own)
    seed = next(seed for seed in range(99) if random.Random(seed).random() < unet.SQUARE)
    value, figures = loss(random.Random(seed))
    value.backward()
    assert figures["own"] == module.HALF and figures["fit"] > 0 and value.isfinite()
    assert model.conv_in.weight.grad.any() and all(p.grad is None for p in words.parameters())
    other = next(seed for seed in range(99) if random.Random(seed).random() > unet.SQUARE)
    assert loss(random.Random(other))[1]["own"] == 0  # so that other shapes are learned, too


def a_pack(folder: Path) -> Path:
    """A pack of small files; its judge lies beside it."""
    for name in FOLDERS:
        (folder / name).mkdir(parents=True)
        (folder / name / "tokenizer.json").write_text('{\n "new": 1\n}')
    (folder.parent / JUDGE.name).write_text("judge")
    return folder


def test_a_whole_pack_takes_the_place_of_the_models(tmp_path):
    models = tmp_path / "demo" / "models"
    (models / "edit" / "lora").mkdir(parents=True)
    (models / "edit" / "lora" / "own.safetensors").write_text("of the weights before")
    pack = a_pack(tmp_path / "data" / "models")
    copy(pack, pack.parent / JUDGE.name, models)
    assert not (models / "edit" / "lora").exists()
    assert all((models / name / "tokenizer.json").read_text() == '{"new":1}\n' for name in FOLDERS)
    assert (models.parent / JUDGE.name).read_text() == "judge"
    assert (models / "examples.json").read_bytes() == (MODELS / "examples.json").read_bytes()


def test_half_a_pack_is_refused_and_changes_nothing(tmp_path):
    models = tmp_path / "demo" / "models"
    (models / "clip").mkdir(parents=True)
    pack = a_pack(tmp_path / "data" / "models")
    shutil.rmtree(pack / "vit")
    with pytest.raises(SystemExit, match=r"not made yet: .*vit"):
        copy(pack, pack.parent / JUDGE.name, models)
    assert [path.name for path in models.iterdir()] == ["clip"] and not any((models / "clip").iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [([], "name a stage or --copy"), (["unet", "--steps", "0"], "at least 1"), (["lora"], "no stage lora")],
)
def test_what_cannot_be_run_is_named(words, said, capsys):
    with pytest.raises(SystemExit):
        main(words)
    assert said in capsys.readouterr().err


def test_nothing_is_copied_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="not made yet"):
        main(["--copy"])

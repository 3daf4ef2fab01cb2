"""Family and card of an image model, known without torch."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import ModelError
from core.settings import ROOT
from vision.weights import card


def test_a_card_with_a_mistake_is_a_sentence_not_a_traceback(folders, tmp_path) -> None:
    folder = tmp_path / "carded"
    shutil.copytree(folders["flux"], folder)
    for text, word in (
        ("{", "valid JSON"),
        ('{"native_size": 0}', "native_size"),
        ('{"draft": {"steps": 3}}', "steps"),
        ("[]", "object"),
    ):
        (folder / "atelier.json").write_text(text)
        with pytest.raises(ModelError, match=word):
            card.family_and_card(folder)


def test_the_family_and_the_card_are_known_without_torch(folders: dict[str, Path]) -> None:
    code = (
        "import sys; from pathlib import Path; from vision.weights import card\n"
        "import vision.describe_models, vision.capabilities, vision.worker.main, vision.protocol\n"
        f"print(card.family_and_card(Path({str(folders['flux'])!r}))[0].name,"
        " sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "flux []"


def test_a_model_that_only_edits_pictures_is_known(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "QwenImageEditPlusPipeline"}')
    family = card.family_of_folder(tmp_path)
    assert (family.name, family.text) == ("qwen-image-edit", None) and family.edit

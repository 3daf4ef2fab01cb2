"""How models are named: three forms, and what is none of them."""

from pathlib import Path

import pytest

from core.errors import ModelError
from core.settings import PROFILES, named_values
from vision.weights import files

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_the_three_forms_of_a_model_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "one.safetensors").touch()
    hub = files.parse(f"owner/name@{COMMIT}")
    assert (hub.kind, hub.id, hub.revision, hub.name) == ("hub", "owner/name", COMMIT, "owner/name")
    assert files.parse("owner/name").revision is None
    folder = files.parse(str(tmp_path / "folder"))
    assert (folder.kind, folder.name, folder.path) == ("folder", "folder", tmp_path / "folder")
    assert files.parse(str(tmp_path / "one.safetensors")).kind == "file"


@pytest.mark.parametrize(
    "spec", ["model.ckpt", "/models/model.pt", "a/b/c", "no model", "https://huggingface.co/owner/name"]
)
def test_what_is_no_model_is_refused_with_a_sentence(spec: str) -> None:
    with pytest.raises(ModelError, match="safetensors"):
        files.parse(spec)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_names_models_that_parse(profile: str) -> None:
    models = dict(PROFILES[profile])
    named = named_values(models.pop("IMAGE_MODELS", "none")).values()
    kinds = {files.parse(spec).kind for spec in (*models.values(), *named)}
    assert kinds == ({"folder"} if profile == "demo" else {"hub"})

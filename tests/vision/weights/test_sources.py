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


def specs_of(profile: str) -> list[str]:
    """The models of a profile, those of its lists too."""
    models = dict(PROFILES[profile])
    lists = [named_values(models.pop(name, "none")) for name in ("IMAGE_MODELS", "LORAS")]
    return [*models.values(), *(spec for one in lists for spec in one.values())]


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_names_models_that_parse(profile: str) -> None:
    kinds = {files.parse(spec).kind for spec in specs_of(profile)}
    assert kinds == ({"folder"} if profile == "demo" else {"hub"})

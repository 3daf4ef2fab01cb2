"""Settings: defaults run, wrong ones are told all at once."""

from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import PROFILES, Settings, env_example, load

NOWHERE = Path("/nonexistent/.env")


def test_without_any_setting_everything_has_a_default() -> None:
    settings = load({}, NOWHERE)
    assert settings.model_profile == "demo"
    assert settings.models["image"] == PROFILES["demo"]["IMAGE_MODEL"]
    assert settings.database == Path("data/atelier.db").resolve()


def test_wrong_settings_are_told_all_at_once_one_line_each() -> None:
    wrong = {
        "USER_RUNNING": "many",
        "DEVICES": "tpu",
        "MODEL_PROFILE": "huge",
        "OWNER_IDS": "me",
        "DISCORD_TOKEN": "abc",
        "IMAGE_MODEL": "weights.ckpt",
        "DATABASE_URL": "mysql://x",
    }
    with pytest.raises(SettingsError) as caught:
        load(wrong, NOWHERE)
    assert len(caught.value.problems) == len(wrong)
    assert all(any(name in line for line in caught.value.problems) for name in wrong)


@pytest.mark.parametrize("value", ["--5", "²", "5_0", "٣", "5.0", "9" * 5000], ids=lambda v: v[:4])
def test_only_plain_digits_are_a_whole_number(value: str) -> None:
    for name, words in (
        ("DISK_FLOOR_MB", "takes a whole number from 0 to 1000000"),
        ("OWNER_IDS", "takes D"),
    ):
        with pytest.raises(SettingsError) as caught:
            load({name: value}, NOWHERE)
        assert f"{name}={value}: {words}" in str(caught.value)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("USER_WAITING=5\nUSER_RUNNING=2\nIMAGE_MODEL=owner/name@main\n")
    settings = load({"USER_WAITING": "7"}, file)
    assert (settings.user_waiting, settings.user_running, settings.models["image"]) == (
        7,
        2,
        "owner/name@main",
    )


def test_the_example_file_loads_as_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(env_example())
    assert load({}, file) == load({}, NOWHERE)


def test_a_misspelt_setting_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("USER_WAITNG=4\nDISCORD_TOKN=x\nCOMPOSE_PROJECT_NAME=mine\n")
    with pytest.raises(SettingsError) as caught:
        load({}, env_file)
    assert caught.value.problems == [
        "USER_WAITNG: there is no such setting; did you mean USER_WAITING?",
        "DISCORD_TOKN: there is no such setting; did you mean DISCORD_TOKEN?",
    ]


def test_a_folder_that_is_not_there_is_no_hugging_face_id() -> None:
    for spec in ("models/nothere", "tests/nothere"):
        with pytest.raises(SettingsError, match="no such folder"):
            load({"IMAGE_MODEL": spec}, Path("/nonexistent/.env"))


def test_a_secret_does_not_show_when_settings_are_printed() -> None:
    token = "A" * 26 + "." + "B" * 6 + "." + "C" * 38
    settings = load({"DISCORD_TOKEN": token}, NOWHERE)
    assert isinstance(settings, Settings)
    assert token not in repr(settings)


def test_more_models_and_loras_have_names() -> None:
    settings = load(
        {"IMAGE_MODELS": "v6=owner/name@main, niji=other/anime", "LORAS": "ink=owner/ink@main"}, NOWHERE
    )
    assert settings.image_models == {"v6": "owner/name@main", "niji": "other/anime"}
    assert settings.loras == {"ink": "owner/ink@main"}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("owner/name", "name=value"),
        ("a b=owner/name", "name=value"),
        ("a=x/y, A=x/z", "twice"),
        ("a=weights.ckpt", "safetensors"),
    ],
)
def test_a_wrong_name_of_a_model_is_told(value: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load({"IMAGE_MODELS": value}, NOWHERE)

"""Settings: defaults run, wrong ones are told all at once."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import PROFILES, BucketAddress, Settings, basic_settings, env_example, load_settings

NOWHERE = Path("/nonexistent/.env")


def test_without_any_setting_everything_has_a_default() -> None:
    settings = load_settings({}, NOWHERE)
    assert settings.model_profile == "demo"
    assert settings.models["image"] == PROFILES["demo"]["IMAGE_MODEL"]
    assert settings.database == Path("data/atelier.db").resolve()


def test_wrong_settings_are_told_all_at_once_one_line_each() -> None:
    wrong = {"USER_RUNNING": "many", "DEVICES": "tpu", "MODEL_PROFILE": "huge", "OWNER_IDS": "me"}
    wrong |= {"DISCORD_TOKEN": "abc", "IMAGE_MODEL": "weights.ckpt", "DATABASE_URL": "mysql://x"}
    with pytest.raises(SettingsError) as caught:
        load_settings(wrong, NOWHERE)
    assert len(caught.value.problems) == len(wrong)
    assert all(any(name in line for line in caught.value.problems) for name in wrong)


@pytest.mark.parametrize("value", ["--5", "²", "5_0", "٣", "5.0", "9" * 5000], ids=lambda v: v[:4])
def test_only_plain_digits_are_a_whole_number(value: str) -> None:
    told = {"DISK_FLOOR_MB": "takes a whole number from 0 to 1000000", "OWNER_IDS": "takes D"}
    for name, words in told.items():
        with pytest.raises(SettingsError) as caught:
            load_settings({name: value}, NOWHERE)
        assert f"{name}={value}: {words}" in str(caught.value)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("USER_WAITING=5\nUSER_RUNNING=2\nIMAGE_MODEL=owner/name@main\n")
    settings = load_settings({"USER_WAITING": "7"}, file)
    assert (settings.user_waiting, settings.user_running) == (7, 2)
    assert settings.models["image"] == "owner/name@main"


def test_the_example_file_loads_as_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(env_example())
    assert load_settings({}, file) == load_settings({}, NOWHERE)


def test_what_is_said_of_a_setting_is_plain_and_short() -> None:
    for item in fields(Settings):
        words = item.metadata["help"]
        assert words[0].isupper() or words.startswith("postgresql"), item.name
        assert words[-1] in ".…", item.name
        assert [one for one in re.split(r"(?<=[.…]) ", words) if len(one.split()) > 30] == [], item.name
    groups = [item.metadata["section"] for item in fields(Settings) if item.metadata["section"]]
    assert len(groups) == len(set(groups))


def test_the_example_file_has_the_few_settings_that_every_host_looks_at() -> None:
    named = [line.partition("=")[0] for line in env_example().splitlines() if re.match(r"[A-Z_]+=", line)]
    assert named == [item.name.upper() for item in basic_settings()]
    assert {"DISCORD_TOKEN", "MODEL_PROFILE", "WEB_PORT"} < set(named) and len(named) == 8


def test_a_misspelt_setting_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("USER_WAITNG=4\nDISCORD_TOKN=x\nCOMPOSE_PROJECT_NAME=mine\nMAX_FILM_MB=5\n")
    with pytest.raises(SettingsError) as caught:
        load_settings({}, env_file)
    assert caught.value.problems == [
        "USER_WAITNG: there is no such setting; did you mean USER_WAITING?",
        "DISCORD_TOKN: there is no such setting; did you mean DISCORD_TOKEN?",
        "MAX_FILM_MB: this setting is called MAX_VIDEO_MB now.",
    ]


def test_a_value_that_was_renamed_is_named_with_the_one_of_now() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"OFFLOAD": "Sequential"}, NOWHERE)
    assert caught.value.problems == ["OFFLOAD=Sequential: this is called group now."]


def test_a_folder_that_is_not_there_is_no_hugging_face_id() -> None:
    for spec in ("models/nothere", "tests/nothere"):
        with pytest.raises(SettingsError, match="no such folder"):
            load_settings({"IMAGE_MODEL": spec}, Path("/nonexistent/.env"))


def test_a_secret_does_not_show_when_settings_are_printed() -> None:
    token = "A" * 26 + "." + "B" * 6 + "." + "C" * 38
    settings = load_settings({"DISCORD_TOKEN": token}, NOWHERE)
    assert isinstance(settings, Settings)
    assert token not in repr(settings)


def test_more_models_and_loras_have_names() -> None:
    settings = load_settings(
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
        load_settings({"IMAGE_MODELS": value}, NOWHERE)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3:/x", "takes files:/path, or s3://bucket/prefix"),
        ("pictures", "takes files:/path"),
        ("https://s3.example.org/b", "takes files:/path"),
        ("files://srv/x", "takes the path of a folder"),
        ("s3://", "'' is no bucket's name"),
        ("s3://My_Bucket", "'My_Bucket' is no bucket's name"),
        ("s3://studio/../x", "a prefix has letters"),
        ("s3://studio?endpoint=s3.example.org", "endpoint is an address such as"),
        ("s3://studio?endpoint=http://s3.example.org", "http:// only to this machine"),
        ("s3://studio?endpoint=ftp://x", "endpoint is an address such as"),
        ("s3://studio?zone=eu", "['zone'] is unknown there; known are endpoint, region, path_style"),
        ("s3://studio?path_style=maybe", "takes on or off"),
    ],
)
def test_where_files_lie_is_taken_or_refused_in_words(url: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"FILES_URL": url}, NOWHERE)
    [line] = caught.value.problems
    assert line.startswith("FILES_URL=") and words in line


def test_where_files_lie_is_read() -> None:
    def read(url: str) -> object:
        return load_settings({"FILES_URL": url}, NOWHERE).files_url

    assert read("") is None and read("files:") is None and read("files:/srv/x") == Path("/srv/x")
    assert read("s3://studio") == BucketAddress("studio")
    whole = "s3://studio/a/b/?endpoint=https://s3.example.org/&region=eu-1&path_style=off"
    assert read(whole) == BucketAddress("studio", "a/b", "https://s3.example.org", "eu-1", False)
    assert read("s3://studio?endpoint=http://127.0.0.1:9000") is not None


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("BUS_URL", "http://bus:4222", "takes addresses such as nats://"),
        ("BUS_URL", "nats://bus:0", "takes addresses such as nats://"),
        ("BUS_URL", "nats://bus:many", "takes addresses such as nats://"),
        ("BUS_URL", "nats://me:canary-secret@bus", "they stand in BUS_CREDS"),
        ("BUS_URL", "nats://a,tls://b", "either nats:// or tls://"),
        ("BUS_PREFIX", "a.b", "takes up to 63 letters"),
        ("BUS_CA", "/nowhere/ca.pem", "no such file"),
        ("NODE_NAME", "h 1", "takes up to 63 letters"),
        ("DEVICES", "none,cpu", "takes auto, none, or devices"),
    ],
)
def test_what_names_the_bus_is_taken_or_refused_in_words(name: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({name: value}, NOWHERE)
    [line] = caught.value.problems
    assert line.startswith(f"{name}=") and words in line and "canary" not in line


def test_what_names_the_bus_is_read() -> None:
    settings = load_settings({"BUS_URL": "tls://a:4222, tls://b", "DEVICES": "none"}, NOWHERE)
    assert settings.bus_url == ("tls://a:4222", "tls://b") and settings.devices == ()
    assert load_settings({"NODE_NAME": "h1"}, NOWHERE).node == "h1" and load_settings({}, NOWHERE).node
    assert load_settings({}, NOWHERE).bus_url == ()


def test_keys_in_an_address_are_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"FILES_URL": "s3://key:canary-secret@studio/x"}, NOWHERE)
    assert "AWS_ACCESS_KEY_ID" in str(caught.value) and "canary" not in str(caught.value)


def test_a_public_address_is_kept_as_browsers_name_it() -> None:
    def kept(value: str) -> str:
        return load_settings({"PUBLIC_URL": value}, NOWHERE).public_url

    assert kept("https://Studio.example.org:443/") == "https://studio.example.org"
    assert kept("https://studio.example.org:8443") == "https://studio.example.org:8443"
    assert kept("https://studio.example.org") == "https://studio.example.org"


def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from-a-file\n")
    assert (
        load_settings({"AWS_SECRET_ACCESS_KEY_FILE": str(file)}, NOWHERE).aws_secret_access_key
        == "from-a-file"
    )
    for given, words in (
        ({"HF_TOKEN_FILE": str(file), "HF_TOKEN": "x"}, "HF_TOKEN is set too"),
        ({"HF_TOKEN_FILE": str(tmp_path / "none")}, "can't be read (No such file"),
    ):
        with pytest.raises(SettingsError) as caught:
            load_settings(given, NOWHERE)
        assert words in str(caught.value)
    env = tmp_path / ".env"
    env.write_text(f"DISCORD_TOKEN_FILE={file}\n")
    assert load_settings({}, env).discord_token == "from-a-file"


@pytest.mark.parametrize(
    ("public", "allowed"),
    [
        ("", False),
        ("http://studio.example.org", False),
        ("http://localhost:8080", True),
        ("https://a.example", True),
    ],
)
def test_the_web_listens_to_other_machines_only_behind_https_or_for_a_port_of_this_machine(public, allowed):
    values = {"WEB_HOST": "0.0.0.0", "PUBLIC_URL": public}
    if allowed:
        assert load_settings(values, NOWHERE).web_host == "0.0.0.0"
    else:
        with pytest.raises(SettingsError, match=r"WEB_HOST=0\.0\.0\.0"):
            load_settings(values, NOWHERE)


@pytest.mark.parametrize(
    ("data", "read"),
    [
        ("\ufeffUSER_RUNNING=7\n".encode(), 7),
        ("USER_RUNNING=7\n".encode("utf-16"), 7),
        (b"# caf\xc3\xa9\nUSER_RUNNING=7\n", 7),
        (b"USER_RUNNING=7\n# caf\xe9\n", "line 2 is no UTF-8 text. Save the file as UTF-8."),
    ],
)
def test_a_file_of_any_editor_is_read_or_refused_in_words(tmp_path, data: bytes, read: int | str) -> None:
    file = tmp_path / ".env"
    file.write_bytes(data)
    if isinstance(read, int):
        assert load_settings({}, file).user_running == read
        return
    with pytest.raises(SettingsError) as caught:
        load_settings({}, file)
    assert caught.value.problems == [f"{file}: {read}"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"DEVICES": "auto,cpu"}, "DEVICES=auto,cpu: takes auto, none, or devices"),
        ({"DEVICES": "cuda:0,cuda:0"}, "names a device twice"),
        ({"DEVICES": "cuda,cuda:0"}, "names a device twice"),
        ({"DATABASE_URL": "sqlite:////srv/x.db?mode=ro"}, "takes no options behind a ? for SQLite"),
        ({"ASK_TOKENS": "4096", "ASK_CONTEXT": "4096"}, "has to leave room in ASK_CONTEXT=4096"),
        ({"WEB_PORT": "9000", "METRICS_PORT": "9000"}, "each needs its own"),
        ({"DISCORD_TOKEN": "\u201cMTAxxxxxxxxxxxxxxx\u201d"}, "curly quotes"),
        ({"DATA_DIR": "C:\new\table"}, "without quotes"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(given, NOWHERE)
    [line] = caught.value.problems
    assert words in line


def test_postgresql_on_windows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    address = {"DATABASE_URL": "postgresql+psycopg://me@host/atelier"}
    assert load_settings(address, NOWHERE).database_url
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(SettingsError, match="can't be used on Windows"):
        load_settings(address, NOWHERE)


def test_a_key_in_an_address_that_is_refused_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"VLM_URL": "http://host/v1?api_key=canary-secret"}, NOWHERE)
    assert "[redacted]: takes an address" in str(caught.value) and "canary" not in str(caught.value)


def test_what_is_called_by_default_can_be_turned_off(tmp_path: Path) -> None:
    for value, hosts in (("none", ()), ("push.example.org", ("push.example.org",))):
        assert load_settings({"PUSH_HOSTS": value}, tmp_path / "none.env").push_hosts == hosts

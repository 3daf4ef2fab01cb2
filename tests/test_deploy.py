"""The container and the service, as far as they can be checked without building or starting them. A check
whose tool isn't here is skipped and says so; ``make deploy-check`` fetches the linter first."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from core.settings import MOST_GRACE, ROOT, SECRETS, Settings, env_example, load_settings
from host.cli import parser

UNIT = ROOT / "deploy" / "atelier.service"
WORKER = ROOT / "deploy" / "atelier-worker@.service"
LAUNCHER = ROOT / "deploy" / "atelier-ray.service"
KUBERNETES = ROOT / "deploy" / "kubernetes"
PACKAGES = ("atelier", "bot", "core", "demo/models", "host", "jobs", "storage", "studio", "vision", "web")
EXTRA = "make setup EXTRAS=deploy"
MAY_LACK = ("docker", "kubectl")  # under CI: no package of the machine's brings them
OURS = {item.name.upper() for item in fields(Settings)}
COMPOSES_OWN = {
    "TORCH_INDEX",
    "POSTGRES_PASSWORD",
    "NATS_USER",
    "WORKER_BUS_CREDS",
    "WORKER_DEVICES",
    "S3_SECRET",
}


def _run(*command: str | Path, cwd: Path = ROOT) -> str:
    """What the command printed; fails the test if the command fails."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def _tool(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        lacks = pytest.skip if name in MAY_LACK or not os.environ.get("CI") else pytest.fail
        lacks(f"{name} isn't installed")
    return found


def test_ci_runs_every_target_that_it_names() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    [targets] = re.findall(r"^TARGETS=\((.+)\)$", script, re.M)
    known = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert {"lint", "test", "slow-test", "bus-test", "browser-test"} <= set(targets.split()) <= known


PRETENDED = """#!/bin/sh
echo "$@" >> {log}
case "$*" in *torch.version*) exit {status};; esac
"""


@pytest.mark.parametrize("has_card", [False, True])
@pytest.mark.parametrize("locked", ["1", "", None])
def test_setup_takes_tested_versions_and_smaller_weights_where_there_is_a_card(
    tmp_path, has_card, locked
) -> None:
    (tmp_path / "bin").mkdir()
    python, log = tmp_path / "bin" / "python", tmp_path / "log"
    python.write_text(PRETENDED.format(log=log, status=int(not has_card)))
    python.chmod(0o755)
    given = [] if locked is None else [f"LOCKED={locked}"]
    environment = {name: value for name, value in os.environ.items() if name not in ("LOCKED", "MAKEFLAGS")}
    command = [_tool("make"), "setup", f"PYTHON={sys.executable}", f"VENV={tmp_path}", *given]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    installs = [line for line in log.read_text().splitlines() if "--editable" in line]
    assert [".[quantize]" in line for line in installs] == [False, True][: 1 + has_card]
    assert all(("-c constraints.txt" in line) is (locked != "") for line in installs)


def _installed(folder: Path, target: str, *given: str) -> list[str]:
    """Return what `make target` would have pip install, in a virtual environment that is pretended."""
    (folder / "bin").mkdir(exist_ok=True)
    python, log = folder / "bin" / "python", folder / "log"
    python.write_text(PRETENDED.format(log=log, status=1))
    python.chmod(0o755)
    log.write_text("")
    environment = {name: value for name, value in os.environ.items() if name not in ("UV", "MAKEFLAGS")}
    command = [_tool("make"), target, f"PYTHON={sys.executable}", f"VENV={folder}", "UV=", *given]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    return [line.partition("install ")[2] for line in log.read_text().splitlines() if "pip install" in line]


def test_the_program_is_installed_alone_and_what_tests_need_beside_it_once(tmp_path) -> None:
    [program] = _installed(tmp_path, "setup", "TORCH_INDEX=")
    assert "--no-compile" in program and program.endswith("--editable .[photo]")
    [tools] = _installed(tmp_path, "test-setup", "TORCH_INDEX=")
    assert tools.endswith("--editable .[test,ocr,train]")
    assert _installed(tmp_path, "test-setup") == []


def test_extras_that_were_asked_for_once_stay(tmp_path) -> None:
    assert _installed(tmp_path, "setup", "EXTRAS=s3", "TORCH_INDEX=")[-1].endswith(".[photo,s3]")
    assert _installed(tmp_path, "setup", "EXTRAS=otel,train", "TORCH_INDEX=")[-1].endswith(
        ".[photo,otel,s3,train]"
    )
    (tmp_path / ".installed").unlink()  # as pyproject.toml changes
    assert _installed(tmp_path, "setup", "TORCH_INDEX=")[-1].endswith(".[photo,otel,s3,train]")


@pytest.mark.skipif(os.uname().sysname != "Linux" or os.uname().machine != "x86_64", reason="torch's builds")
def test_torch_is_the_processors_build_where_no_card_is(tmp_path) -> None:
    torch, _ = _installed(tmp_path, "setup", "CARD=")
    assert "--no-deps --index-url https://download.pytorch.org/whl/cpu torch>=" in torch
    for given in (["CARD=/dev/nvidiactl"], ["CARD=", "TORCH_INDEX="]):
        (tmp_path / ".installed").unlink()
        assert len(_installed(tmp_path, "setup", *given)) == 1
    (tmp_path / ".installed").unlink()
    chosen = _installed(tmp_path, "setup", "CARD=/dev/nvidiactl", "TORCH_INDEX=https://example.org/cu126")
    assert "--index-url https://example.org/cu126 torch>=" in chosen[0] and "--no-deps" not in chosen[0]


def test_a_bug_is_reported_with_what_the_doctor_says_and_a_hole_by_a_way_that_exists() -> None:
    folder = ROOT / ".github" / "ISSUE_TEMPLATE"
    forms = {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in folder.glob("*.yml")}
    asked = {one["attributes"]["label"]: one for one in forms["bug"]["body"] if "id" in one}
    assert asked["Output of `atelier doctor`"]["validations"]["required"]
    policy = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "Report a vulnerability" in policy and "profile" not in policy
    checker = pytest.importorskip("check_jsonschema", reason=EXTRA)
    vendor = Path(checker.__file__).parent / "builtin_schemas" / "vendor"
    for name, form in forms.items():
        kind = "github-issue-config" if name == "config" else "github-issue-forms"
        schema = json.loads((vendor / f"{kind}.json").read_text(encoding="utf-8"))
        jsonschema.validators.validator_for(schema)(schema).validate(form)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validators.validator_for(schema)(schema).validate({"blank_issues_enabled": "perhaps"})


def test_the_dockerfile_passes_its_linter() -> None:
    assert _run(_tool("hadolint"), "Dockerfile").strip() == ""


def test_the_container_runs_without_root_and_stops_and_reports_as_the_program_does() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^USER (.+)$", text, re.M) == ["1000:1000"]
    assert "STOPSIGNAL SIGTERM" in text and "HEALTHCHECK" in text and "/livez" in text


def _extras() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["optional-dependencies"]


def test_every_extra_that_a_message_names_exists_and_the_container_has_it() -> None:
    """`workers ray` alone isn't for a container: it runs on a node of the cluster."""
    texts = [path.read_text(encoding="utf-8") for path in _own_files() if path.suffix == ".py"]
    named = {
        extra
        for text in texts
        for names in re.findall(r"EXTRAS=(\w+(?:,\w+)*)", text)
        for extra in names.split(",")
    }
    named |= {extra for text in texts for extra in re.findall(r"[Nn]eeds the extra `?(\w+)", text)}
    [brought] = re.findall(
        r"--editable \"\.\[([\w,]+)\]\"", (ROOT / "Dockerfile").read_text(encoding="utf-8")
    )
    assert {"postgres", "s3", "train", "c2pa", "ocr"} <= named <= set(_extras())
    assert named - set(brought.split(",")) == {"ray"}


def test_nobody_is_told_to_install_a_package_of_another_name() -> None:
    """`atelier` on PyPI is somebody else's."""
    told = [p for p in ROOT.glob("docs/**/*.md")] + [p for p in _own_files() if p.suffix == ".py"]
    told += [
        ROOT / name for name in ("README.md", "CONTRIBUTING.md", ".env.example", "Makefile", "Dockerfile")
    ]
    assert len(told) > 300
    assert [p for p in told if re.search(r"\batelier\[\w", p.read_text(encoding="utf-8"))] == []


def test_an_installed_package_has_every_file_of_its_folder() -> None:
    """The container runs in place; whoever installs the program all the same gets all pages, too."""
    globs = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"][
        "package-data"
    ]
    found = [(ROOT / package.replace(".", "/"), name) for package, names in globs.items() for name in names]
    brought = {p for folder, name in found for p in folder.glob(name)}
    brought |= {p for folder, name in found if name.endswith("**") for p in folder.glob(f"{name}/*")}
    missing = {p for p in _own_files() if p.suffix != ".py" and p.name != ".gitignore"} - brought
    assert {p.relative_to(ROOT).as_posix() for p in missing} == set()


def _own_files() -> list[Path]:
    """Return the program's files, by the tree that is checked in where there is one."""
    listed = _run("git", "ls-files", *PACKAGES).splitlines() if (ROOT / ".git").exists() else ()
    return [ROOT / name for name in listed] or [p for name in PACKAGES for p in (ROOT / name).rglob("*.*")]


@pytest.mark.parametrize("unit", [UNIT, WORKER, LAUNCHER], ids=lambda unit: unit.name)
def test_systemd_takes_the_unit(unit: Path, tmp_path: Path) -> None:
    """It also looks whether the program is there, which an installed clone would have."""
    text = unit.read_text(encoding="utf-8")
    text, count = re.subn(r"^ExecStart=\S+", f"ExecStart={sys.executable}", text, flags=re.M)
    text = re.sub(r"^User=.+", "User=root", text, flags=re.M)
    name = unit.name.replace("@.", "@main.")
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert count == 1
    assert _run(_tool("systemd-analyze"), "verify", tmp_path / name).strip() == ""


@pytest.mark.parametrize("files", [("compose.yaml",), ("compose.yaml", "compose.gpu.yaml")])
def test_compose_takes_its_files(files: tuple[str, ...], tmp_path: Path) -> None:
    docker = _tool("docker")
    if subprocess.run([docker, "compose", "version"], capture_output=True, timeout=60).returncode:
        pytest.skip("docker has no compose")
    for name in files:
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".env").write_text(env_example(), encoding="utf-8")
    _run(docker, "compose", *(part for name in files for part in ("-f", name)), "config", cwd=tmp_path)


def test_compose_names_the_service_that_the_card_is_given_to_and_lets_it_end_in_time() -> None:
    base, card = (yaml.safe_load((ROOT / name).read_text()) for name in ("compose.yaml", "compose.gpu.yaml"))
    plain = {name for name, service in base["services"].items() if not service.get("profiles")}
    assert card["services"].keys() <= base["services"].keys()
    assert plain == {"atelier"}  # without a profile: the bot alone
    stops = [base["services"][name]["stop_grace_period"] for name in ("atelier", "worker")]
    units = [re.search(r"^TimeoutStopSec=(\d+)$", unit.read_text(), re.M) for unit in (UNIT, WORKER)]
    assert all(units)
    assert MOST_GRACE + 30 <= min(int(stop.removesuffix("s")) for stop in stops)
    assert MOST_GRACE + 30 <= min(int(found[1]) for found in units if found)


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_compose_files_are_as_their_specification_says(name: str) -> None:
    checker = pytest.importorskip("check_jsonschema", reason=EXTRA)
    folder = Path(checker.__file__).parent / "builtin_schemas" / "vendor"
    schema = json.loads((folder / "compose-spec.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    described = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    assert [error.message for error in validator.iter_errors(described)] == []
    described["services"]["atelier"]["stop_grace_time"] = "40s"
    assert list(validator.iter_errors(described)) != []


def test_compose_names_settings_commands_and_networks_that_there_are() -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"(?<!\$)\$\{(\w+)", text)) == COMPOSES_OWN | {"PUBLIC_URL"}
    described = yaml.safe_load(text)
    for name in ("atelier", "worker"):
        service = described["services"][name]
        assert service["environment"].keys() <= OURS, name
        assert set(service["networks"]) <= described["networks"].keys() | {"default"}
        parser().parse_args(service.get("command", []))  # which ends at what it doesn't know
    assert "rows" not in described["services"]["worker"]["networks"]  # it never sees the database
    kept = {volume.partition(":")[0] for one in described["services"].values() for volume in one["volumes"]}
    assert kept - described["volumes"].keys() == {"./nats.conf"}


def _manifests() -> dict[str, dict[str, Any]]:
    found = {}
    for file in sorted(KUBERNETES.glob("*.yaml")):
        for one in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            found[f"{one['kind']} {one.get('metadata', {}).get('name', '')}".strip()] = one
    return found


def test_kubernetes_takes_the_manifests() -> None:
    validate = pytest.importorskip("kubernetes_validate", reason=EXTRA)
    manifests = _manifests()
    assert len(manifests) > 15
    for manifest in manifests.values():
        if manifest["kind"] != "Kustomization":
            for version in ("1.29", "1.37"):
                validate.validate(manifest, version, strict=True)
    broken = copy.deepcopy(manifests["StatefulSet bot"])
    broken["spec"]["template"]["spec"]["terminationGraceSeconds"] = 90
    with pytest.raises(validate.ValidationError):
        validate.validate(broken, "1.37", strict=True)


def test_kustomize_builds_the_manifests() -> None:
    built = list(yaml.safe_load_all(_run(_tool("kubectl"), "kustomize", KUBERNETES)))
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text(encoding="utf-8"))
    assert {one["metadata"].get("namespace", "atelier") for one in built} == {"atelier"}
    assert len(built) == sum(
        len(list(yaml.safe_load_all((KUBERNETES / name).read_text()))) for name in listed["resources"]
    )


def _pods() -> dict[str, dict[str, Any]]:
    return {
        name: one["spec"]["template"]["spec"]
        for name, one in _manifests().items()
        if "template" in one.get("spec", {})
    }


def test_the_manifests_name_settings_secrets_and_commands_that_there_are() -> None:
    manifests = _manifests()
    shared = manifests["ConfigMap atelier"]["data"]
    for name in ("StatefulSet bot", "StatefulSet worker-l4"):
        pod = _pods()[name]
        (container,) = pod["containers"]
        own = {one["name"]: one.get("value", "x") for one in container["env"]}
        secret = {one for one in own if one.endswith("_FILE")}
        assert {one.removesuffix("_FILE") for one in secret} <= set(SECRETS), name
        plain = {one: value for one, value in {**shared, **own}.items() if one not in secret}
        load_settings(plain, Path("/nonexistent/.env"))  # raises for a value that isn't taken
        assert plain.keys() <= OURS
        assert parser().parse_args(container["args"]).command
        mounted = {volume["name"]: volume for volume in pod["volumes"]}
        data = manifests[f"Secret {mounted['secrets']['secret']['secretName']}"]["stringData"]
        if name == "StatefulSet bot":
            assert {Path(own[one]).name for one in secret} == data.keys()
        else:
            replicas = manifests[name]["spec"]["replicas"]
            assert data.keys() == {f"worker-l4-{number}" for number in range(replicas)}
        assert pod["terminationGracePeriodSeconds"] >= int(shared["GRACE_SECONDS"]) + 30


def test_no_pod_has_more_rights_than_it_needs_and_each_may_be_moved() -> None:
    manifests = _manifests()
    for name, pod in _pods().items():
        assert pod["securityContext"]["runAsNonRoot"] and pod["automountServiceAccountToken"] is False, name
        for container in pod["containers"]:
            rights = container["securityContext"]
            assert rights["allowPrivilegeEscalation"] is False and rights["capabilities"] == {"drop": ["ALL"]}
    budgets = [one for one in manifests.values() if one["kind"] == "PodDisruptionBudget"]
    assert {one["spec"]["selector"]["matchLabels"]["part"] for one in budgets} == {"bot", "worker"}
    nothing, worker, bot = (
        manifests[f"NetworkPolicy {name}"]["spec"] for name in ("nothing", "worker", "bot")
    )
    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (watched,) = worker["ingress"]
    assert [port["port"] for port in watched["ports"]] == [9464] and watched["from"] == bot["ingress"][0][
        "from"
    ]
    assert {port["port"] for rule in worker["egress"] for port in rule["ports"]} == {443, 4222}


def test_the_probes_ask_what_the_program_answers() -> None:
    (container,) = _pods()["StatefulSet bot"]["containers"]
    source = (ROOT / "host" / "metrics.py").read_text(encoding="utf-8")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert f'"{asked["path"]}":' in source and asked["port"] == container["ports"][0]["name"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"


@pytest.mark.parametrize("unit", [WORKER, LAUNCHER], ids=lambda unit: unit.name)
def test_the_workers_units_name_settings_and_a_command_that_there_are(unit: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    lines = re.findall(r"^Environment=(.+)$", text, re.M)
    named = {word.partition("=")[0] for line in lines for word in line.split()}
    command = re.search(r"^ExecStart=\S+/atelier (.+)$", text, re.M)
    assert named and {name for name in named if not name.startswith("RAY_")} <= OURS
    assert command and parser().parse_args(command[1].split()).command

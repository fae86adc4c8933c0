"""The files that start clusters: valid by what schemas are at hand, and shipping neither outputs nor data."""

from __future__ import annotations

import os
import re
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.machines import write_executable

ROOT = Path(__file__).resolve().parents[1]
LAUNCH = ROOT / "launch"
SHIPPED = {"study", "models", "analysis", "search_spaces"}


def load(name: str) -> Any:
    return yaml.safe_load((LAUNCH / name).read_text())


def package(folder: Path, target: Path) -> list[str]:
    """Return the files that Ray ships of a folder, packed as ``ray job submit`` packs them."""
    from ray._private.runtime_env.packaging import create_package

    excludes = load("runtime_env.yaml")["excludes"]
    create_package(str(folder), target, include_gitignore=True, excludes=excludes)
    with zipfile.ZipFile(target) as archive:
        return [name for name in archive.namelist() if not name.endswith("/")]


def test_what_is_shipped_is_code_and_configuration_and_all_of_it(tmp_path: Path) -> None:
    shipped = set(package(ROOT, tmp_path / "package.zip"))
    tracked = subprocess.run(["git", "ls-files", *SHIPPED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(tracked.stdout.split()) <= shipped
    assert {name.split("/")[0] for name in shipped} == SHIPPED
    assert {Path(name).suffix for name in shipped} <= {".py", ".yaml", ".js", ".css", ".html", ".typed"}
    assert sum((ROOT / name).stat().st_size for name in shipped) < 5e6


def test_outputs_and_data_stay_wherever_they_lie(tmp_path: Path) -> None:
    kept = ["study/a.py", "models/hiding/b.py", "search_spaces/space/c.yaml"]
    left = [
        *("studies/mine/config.yaml", "cache/images/x.arrow", "faces/a.png", "mine.csv", "best.yaml", "report.html"),
        *(
            "study/out/trials.parquet",
            "models/w.safetensors",
            "models/faces/a.jpg",
            "study/journal.log",
            ".venv/bin/ray",
        ),
        *("study/__pycache__/a.pyc", "tests/test_a.py", ".git/config", "search_spaces/photo.PNG".lower()),
    ]
    for name in kept + left:
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    assert sorted(package(tmp_path / "tree", tmp_path / "package.zip")) == sorted(kept)


def test_the_cluster_file_is_valid_by_rays_own_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from ray.autoscaler._private.util import fillout_defaults, validate_config

    config = load("cluster.yaml")
    validate_config(fillout_defaults(config))
    with pytest.raises(jsonschema.ValidationError):
        validate_config(fillout_defaults({**config, "no_such_field": 1}))
    assert config["max_workers"] == config["min_workers"] == len(config["provider"]["worker_ips"])
    starts = [
        line for name in ("head", "worker") for line in config[f"{name}_start_ray_commands"] if "ray start" in line
    ]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in line for line in starts)
    assert not any("dashboard-host" in line for line in starts)  # the port that runs jobs listens to the head alone


@pytest.mark.parametrize("name", ["slurm.sh", "submit.sh"])
def test_scripts_are_valid_shell_and_use_tokens(name: str) -> None:
    subprocess.run(["bash", "-n", LAUNCH / name], check=True)
    assert "export RAY_AUTH_MODE=token" in (LAUNCH / name).read_text()


@pytest.mark.parametrize("code", [0, 2])
def test_a_slurm_job_ends_with_the_studys_exit_code_whatever_rays_is(code: int, tmp_path: Path) -> None:
    write_executable(tmp_path / "bin" / "scontrol", "#!/bin/sh\necho first; echo second\n")
    srun = '#!/bin/bash\nwhile [[ $1 == --* ]]; do shift; done\n[[ $1 == hostname ]] && echo 10.0.0.1 || exec "$@"\n'
    write_executable(tmp_path / "bin" / "srun", srun)
    ray = '#!/bin/bash\necho "$@" > ray.txt\nwhile [[ $1 != -- ]]; do shift; done\nshift\n"$@"\nexit 1\n'
    write_executable(tmp_path / "bin" / "ray", ray)
    write_executable(tmp_path / "bin" / "python", f'#!/bin/sh\necho "$@" > study.txt\nexit {code}\n')
    (tmp_path / "token").write_text("secret")
    job = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_NUM_NODES": "2"}
    environment = {**os.environ, **job, "SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "4"}
    environment |= {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    command = ["bash", LAUNCH / "slurm.sh", "output=/shared/a b", "cache=/shared/cache"]
    assert subprocess.run(command, env=environment, check=False).returncode == code
    assert (tmp_path / "study.txt").read_text() == "-m study cluster=slurm output=/shared/a b cache=/shared/cache\n"
    assert "--address 10.0.0.1:6379 --min-nodes 2 --num-cpus=4" in (tmp_path / "ray.txt").read_text()
    assert not list(tmp_path.glob(".study-status*"))


def test_a_job_without_a_shared_folder_is_not_submitted() -> None:
    result = subprocess.run([LAUNCH / "submit.sh", "output=studies/mine"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "all nodes share" in result.stderr


def test_the_ray_job_has_what_kuberay_requires() -> None:
    job = load("rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec, cluster = job["spec"], job["spec"]["rayClusterSpec"]
    assert set(spec) <= {
        *("entrypoint", "submissionMode", "backoffLimit", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished"),
        "rayClusterSpec",
    }
    assert cluster["authOptions"] == {"mode": "token"}
    assert f"ray=={cluster['rayVersion']}" in (ROOT / "constraints.txt").read_text().splitlines()
    head, (workers,) = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    (first,), (other,) = (group["template"]["spec"]["containers"] for group in (head, workers))
    assert first["image"] == other["image"]
    assert first["env"] == [{"name": "STUDY_NODES", "value": str(1 + workers["replicas"])}]
    for group, container in ((head, first), (workers, other)):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        assert container["resources"]["limits"] == container["resources"]["requests"]
        (mount,), (volume,) = container["volumeMounts"], group["template"]["spec"]["volumes"]
        assert mount["name"] == volume["name"]
        for field in ("output", "cache"):
            assert re.search(rf"{field}={mount['mountPath']}/", spec["entrypoint"])


def test_the_image_holds_what_is_shipped_and_no_more() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (LAUNCH / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert set(" ".join(copied).split()) - {"pyproject.toml", "constraints.txt", "README.md"} == SHIPPED


@pytest.mark.parametrize("name", ["slurm.sh", "rayjob.yaml", "submit.sh"])
def test_the_settings_that_a_file_gives_are_accepted(name: str, tmp_path: Path) -> None:
    from study.compose import compose_config

    text = (LAUNCH / name).read_text()
    settings = re.findall(r"\b((?:cluster|output|cache|budget\.\w+)=[\w./]+)", text)
    assert any(setting.startswith("cluster=") for setting in settings)
    assert compose_config(["experiment=empty", *dict.fromkeys(settings)]).problems == []

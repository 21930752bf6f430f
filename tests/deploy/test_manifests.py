"""Compose, Kubernetes and the image: read by their own tools, and in agreement with the service."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from app.core.settings import load_settings
from app.main import create_app
from app.server.protect import GRACE_S
from app.server.shutdown import CLOSING_S, EXIT_S, SESSIONS_S
from tests.support.processes import ROOT
from tests.support.tools import said, tool

KUBERNETES = ROOT / "deploy/kubernetes"
#: Versions of Kubernetes that the manifests are checked against: the oldest and the newest.
VERSIONS = ("1.29", "1.36")


def kinds() -> dict[str, dict[str, Any]]:
    """Kubernetes's objects by kind."""
    names = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    documents = [yaml.safe_load((KUBERNETES / name).read_text()) for name in names]
    return {document["kind"]: document for document in documents}


def longest_stop_s() -> float:
    """Seconds from SIGTERM until the service ends itself."""
    return max(SESSIONS_S, load_settings().training_stop_s) + GRACE_S + CLOSING_S + EXIT_S


# -- Compose -----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["localhost", "captions.example.org"])
def composed(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A name, and a folder with the compose files and an .env that was made for it."""
    (tmp_path / "deploy").mkdir()
    for name in ("compose.yaml", "compose.gpu.yaml", "compose.observability.yaml", "deploy/make_env.sh"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    said(["bash", str(tmp_path / "deploy/make_env.sh"), request.param], tmp_path)
    return request.param, tmp_path


def configured(folder: Path, *files: str) -> dict[str, Any]:
    options = [option for name in files for option in ("--file", name)]
    found: dict[str, Any] = yaml.safe_load(said([tool("docker-compose"), *options, "config"], folder))
    return found


def test_compose_reads_its_files(composed: tuple[str, Path]) -> None:
    name, folder = composed
    services = configured(folder, "compose.yaml")["services"]
    assert set(services) == {"glossline", "postgres", "redis", "caddy"}
    settings = services["glossline"]["environment"]
    assert settings["AUTH_MODE"] == ("open" if name == "localhost" else "required")
    assert services["caddy"]["environment"]["SITE_ADDRESS"] == name
    published = [port["published"] if isinstance(port, dict) else port for port in services["caddy"]["ports"]]
    assert all(str(port).startswith("127.0.0.1:") == (name == "localhost") for port in published)
    assert "ports" not in services["postgres"]
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"] in settings["DATABASE_URL"]
    watched = configured(folder, "compose.yaml", "compose.observability.yaml")["services"]
    assert {"prometheus", "alertmanager", "grafana"} <= set(watched)
    assert {"front", "back", "watch"} == set(watched["glossline"]["networks"])
    configured(folder, "compose.yaml", "compose.gpu.yaml")


def test_the_service_accepts_its_settings_in_compose(
    composed: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder = composed
    service = configured(folder, "compose.yaml")["services"]["glossline"]
    monkeypatch.chdir(folder)
    for name, value in service["environment"].items():
        monkeypatch.setenv(name, str(value))
    settings = load_settings()
    assert settings.trusted_proxies == [yaml.safe_load((ROOT / "compose.yaml").read_text())["networks"]["front"]["ipam"]
        ["config"][0]["subnet"].partition(":-")[2].rstrip("}")]  # fmt: skip
    assert settings.database_url is not None
    folders = {volume.split(":")[1] for volume in map(_mount, service["volumes"])}
    assert folders == {str(settings.data_dir), str(settings.runs_dir), str(settings.datasets_dir)}


def _mount(volume: Any) -> str:
    return volume if isinstance(volume, str) else f"{volume['source']}:{volume['target']}"


def test_compose_waits_until_the_service_has_stopped() -> None:
    grace = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["glossline"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > longest_stop_s()


def test_files_that_are_mounted_exist() -> None:
    for name in ("compose.yaml", "compose.observability.yaml"):
        for service in yaml.safe_load((ROOT / name).read_text())["services"].values():
            for volume in service.get("volumes", []):
                if volume.startswith("./"):
                    assert (ROOT / volume.partition(":")[0]).exists(), volume


def test_secrets_are_new_and_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    script = tmp_path / "deploy/make_env.sh"
    script.write_bytes((ROOT / "deploy/make_env.sh").read_bytes())
    made = []
    for _ in range(2):
        said(["bash", str(script)], tmp_path)
        text = (tmp_path / ".env").read_text()
        again = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False)
        assert again.returncode == 1
        assert (tmp_path / ".env").read_text() == text
        assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
        made.append(set(re.findall(r"=([0-9a-f]{64})$", text, re.MULTILINE)))
        (tmp_path / ".env").unlink()
    assert len(made[0] | made[1]) == 6
    bad = subprocess.run(["bash", str(script), "https://x"], capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert "host name" in bad.stderr


def test_redis_takes_its_options(tmp_path: Path) -> None:
    command = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["redis"]["command"]
    program = tool(command[0])
    where = ["--port", "0", "--unixsocket", str(tmp_path / "socket"), "--dir", str(tmp_path)]
    process = subprocess.Popen([program, *command[1:], *where], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert any("ready to accept connections" in line.lower() for line in process.stdout)
    finally:
        process.terminate()
        process.wait(30)


# -- Kubernetes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_accepts_the_manifests(version: str) -> None:
    pytest.importorskip("kubernetes_validate", reason="pip install -r requirements-dev.txt")
    names = [name for name in sorted(os.listdir(KUBERNETES)) if name != "kustomization.yaml"]
    assert set(names) == set(yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"])
    command = [str(Path(sys.executable).parent / "kubernetes-validate"), "--strict", "-k", version, *names]
    said(command, KUBERNETES)


def test_pods_drain_before_they_are_killed() -> None:
    pod = kinds()["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    pause = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > pause + longest_stop_s()
    assert container["resources"]["requests"]
    assert container["resources"]["limits"]["memory"]


def test_probes_ask_routes_that_exist() -> None:
    [container] = kinds()["Deployment"]["spec"]["template"]["spec"]["containers"]
    routes = create_app().openapi()["paths"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in routes
    assert container["livenessProbe"]["httpGet"]["path"].endswith("/live")


def test_the_service_accepts_its_settings_in_kubernetes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in kinds()["ConfigMap"]["data"].items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.log_json
    assert kinds()["Ingress"]["spec"]["rules"][0]["host"] in settings.allowed_hosts


def test_the_migration_is_a_command_of_the_service() -> None:
    [container] = kinds()["Job"]["spec"]["template"]["spec"]["containers"]
    command = container["command"]
    assert command[:3] == ["python", "-m", "app"]
    assert "usage" in said([sys.executable, *command[1:], "--help"], ROOT)


# -- the image ---------------------------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """Keyword and rest of each instruction of the Dockerfile."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def test_what_the_image_copies_is_sent_to_its_build() -> None:
    admitted = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for keyword, rest in instructions():
        if keyword == "COPY" and not rest.startswith("--from="):  # which copies from another stage
            for source in shlex.split(rest)[:-1]:
                assert list(ROOT.glob(source)), source
                assert any(fnmatch(source.partition("/")[0], pattern) for pattern in admitted), source


def test_pytorch_for_the_cpu_is_what_the_requirements_ask_for() -> None:
    """So that pip keeps it when it installs the rest, and does not fetch the build with CUDA in its place."""
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line.startswith(("torch==", "torchvision==")):
            required = Requirement(line)
            assert required.specifier.contains(f"{line.partition('==')[2]}+cpu")


def test_the_image_says_what_it_has() -> None:
    by_keyword: dict[str, str] = {}
    for keyword, rest in instructions():
        by_keyword[keyword] = f"{by_keyword.get(keyword, '')} {rest}"
    for folder in ("data", "datasets", "runs"):
        assert f'"/srv/glossline/{folder}"' in by_keyword["VOLUME"]
    assert by_keyword["EXPOSE"].split() == ["8000", "50051"]
    assert "org.opencontainers.image.licenses" in by_keyword["LABEL"]
    assert "10001" in by_keyword["USER"]
    installs = by_keyword["RUN"]
    for extra in ("train", "onnx", "otel", "sentry"):
        assert f"-r requirements-{extra}.txt" in installs
    assert "torch.version.cuda is None" in installs  # the build of a CPU image that has CUDA fails

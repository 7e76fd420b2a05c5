"""A disk that is full or cannot be written to: one sentence, what was complete is kept, and it goes on from there."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny
import torch

from lit_metanas.cli.command_line import main

pytestmark = pytest.mark.filterwarnings("ignore:.*is replaced. this run changes trainer.callbacks")
needs_mount = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")


class Disk:
    """A small disk that is mounted on ``out``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True)
        if done.returncode:
            pytest.skip(f"no small disk can be mounted here: {done.stderr.decode().strip()}")

    def clear(self) -> None:
        (self.folder / "ballast").unlink()

    def seal(self) -> None:
        """Let nothing be written any more."""
        subprocess.run(["mount", "-o", "remount,ro", str(self.folder)], check=True)

    def unseal(self) -> None:
        subprocess.run(["mount", "-o", "remount,rw", str(self.folder)], check=True)


@pytest.fixture
def disk(home: Path) -> Iterator[Disk]:
    made = Disk(home / "out")
    yield made
    subprocess.run(["umount", "--lazy", str(made.folder)], check=True)


def files(folder: Path) -> dict[str, bytes]:
    """All files' contents, without those that only tell the time and who is at work."""
    kept = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in (".lock", ".csv")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept if path.name != "ballast"}


FULL = "No space left on device"
SEALED = "Read-only file system"
IN_MEMORY = ["search", "-c", "search.yaml", "--trainer.default_root_dir=out", "--model.directory=out"]
START = ["--trainer.max_epochs=1"]


@needs_mount
@pytest.mark.slow
@pytest.mark.parametrize("leave", [0, 16384])
def test_fit_on_a_full_disk(leave: int, home: Path, disk: Disk, refusal: Callable[..., str]) -> None:
    fit = ["fit", "-c", "fit.yaml", "--trainer.default_root_dir=whole"]
    assert main(fit) == 0
    filling = f"{{class_path: tiny.FillsDisk, init_args: {{folder: out, leave: {leave}}}}}"
    assert FULL in refusal(*tiny.command("fit", home), f"--trainer.callbacks+={filling}", code=1)
    last = home / "out" / "checkpoints" / "last.ckpt"
    assert [entry.name for entry in last.parent.iterdir()] == ["last.ckpt"]
    assert torch.load(last, weights_only=True)["epoch"] == 0
    disk.clear()
    assert main(tiny.command("fit", home)) == 0
    whole, parts = (tiny.end_state(home / name) for name in ("whole", "out"))
    assert whole.keys() == parts.keys()
    assert all(whole[name] == parts[name] for name in whole if name.endswith(".json"))
    name = "checkpoints/last.ckpt"
    for key in ("state_dict", "optimizer_states", "lit_metanas", "global_step"):
        assert parts[name][key] == whole[name][key]


@needs_mount
@pytest.mark.slow
@pytest.mark.parametrize("leave", [8192])
def test_search_on_a_full_disk(leave: int, home: Path, disk: Disk, refusal: Callable[..., str]) -> None:
    args = tiny.command("search", home)
    assert main([*args, "--data.tasks.tasks=1"]) == 0
    before = files(home / "out")
    tiny.fill(disk.folder, leave)
    said = refusal(*args, code=1)
    assert FULL in said or "database or disk is full" in said
    after = files(home / "out")
    kept = [name for name in before if not name.endswith(("search.yaml", ".db"))]
    assert [after[name] for name in kept] == [before[name] for name in kept]
    disk.clear()
    assert main(args) == 0
    assert main(["search", "-c", "search.yaml", "--trainer.default_root_dir=whole", "--model.directory=whole"]) == 0
    whole, parts = (tiny.end_state(home / name) for name in ("whole", "out"))
    assert whole.keys() == parts.keys()
    assert all(whole[name] == parts[name] for name in whole if not name.endswith("settings.json"))  # name the storage


@needs_mount
def test_report_on_a_full_disk(home: Path, disk: Disk, refusal: Callable[..., str]) -> None:
    assert main([*tiny.command("search", home), "--data.tasks.tasks=1"]) == 0
    report = ["report", "--results+=out/results.json", "--output=out/report"]
    assert main(report) == 0
    before = files(home / "out")
    tiny.fill(disk.folder, 0)
    assert FULL in refusal(*report, "--reference=darts", code=1)
    assert files(home / "out") == before
    disk.clear()
    assert main([*report, "--reference=darts"]) == 0


@needs_mount
@pytest.mark.slow
def test_a_disk_that_is_read_only(home: Path, disk: Disk, refusal: Callable[..., str]) -> None:
    assert main([*tiny.command("fit", home), *START]) == 0
    assert main([*IN_MEMORY, "--data.tasks.tasks=1"]) == 0
    before = files(home / "out")
    disk.seal()
    try:
        for args in (
            tiny.command("fit", home),
            ["fit", "-c", "fit.yaml", "--trainer.default_root_dir=out/new"],
            IN_MEMORY,
            ["report", "--results+=out/results.json", "--output=out/report"],
            tiny.command("run", home),
        ):
            said = refusal(*args, code=1)
            assert SEALED in said or "readonly database" in said, said
            assert "'out" in said or "sqlite:///out" in said or str(home) in said, said
    finally:
        disk.unseal()
    assert files(home / "out") == before

"""Checkpoints as an attacker would write them, and how ours are written: as a whole, or not at all."""

import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from file_kinds import Hostile

from lit_metanas.io.checkpoints import KEYWORDS, read_checkpoint
from lit_metanas.training.trainers import AtomicCheckpointIO

pytestmark = pytest.mark.filterwarnings("ignore:.*is replaced. this run changes", "ignore:.*was not removed")

LAST = Path("run/checkpoints/last.ckpt")
GO_ON = ("--trainer.default_root_dir=run", f"--ckpt_path={LAST}", "--trainer.max_epochs=4")

Content = dict[str, Any]
Change = Callable[[Content], object]

KEEPS = ("--model.class_path=lit_toys.ScheduledModel", "--trainer.callbacks+=lit_toys.Counting")
"""Keeps states of an optimizer, a scheduler and a callback."""


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder, made by the first test that asks for it."""
    return tmp_path_factory.mktemp("once") / "run"


@pytest.fixture
def trained(once: Path, toy: Callable[..., int], toy_folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with a run, and a thesis beside it."""
    if not once.exists():
        assert toy("fit", *KEEPS, f"--trainer.default_root_dir={once}", "--trainer.max_epochs=1") == 0
    shutil.copytree(once, toy_folder / "run")
    (toy_folder / "thesis").mkdir()
    (toy_folder / "thesis" / "chapter.tex").write_text("five years")
    (toy_folder / "run" / "link").symlink_to(toy_folder / "thesis")
    (toy_folder / "run" / "checkpoints" / "link").symlink_to(toy_folder / "thesis")
    capsys.readouterr()
    return toy_folder


def change(change: Change, path: Path = LAST) -> None:
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


PATHS = [
    "file://{folder}/thesis",
    "{folder}/thesis",
    "{folder}/thesis/chapter.tex",
    "{folder}/run/checkpoints/link/chapter.tex",
    "run/checkpoints/../../thesis/chapter.tex",
    "{folder}/run/checkpoints",
    "/",
    ".",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_checkpoint_removes_nothing_outside_of_its_folder(path: str, trained: Path, toy: Callable[..., int]) -> None:
    hostile = path.format(folder=trained)

    def redirect(content: Content) -> None:
        for state in content["callbacks"].values():
            if "best_model_path" in state:
                paths = ("best_model_path", "kth_best_model_path", "last_model_path")
                state |= dict.fromkeys(paths, hostile)
                state |= {"best_k_models": {hostile: torch.tensor(0.0)}, "kth_value": torch.tensor(9.0)}

    change(redirect)
    assert toy("fit", *KEEPS, *GO_ON) == 0
    assert (trained / "thesis" / "chapter.tex").read_text() == "five years"
    assert (trained / "run" / "checkpoints" / "link").is_symlink()
    assert torch.load(LAST, weights_only=True)["epoch"] == 3


def test_the_best_ones_of_the_run_itself_are_still_replaced(trained: Path, toy: Callable[..., int]) -> None:
    best = f"{{class_path: ModelCheckpoint, init_args: {{dirpath: {trained}/run/best, monitor: loss, save_top_k: 1}}}}"
    again = ("--trainer.default_root_dir=run", f"--trainer.callbacks=[{best}]")
    assert toy("fit", *again, "--trainer.max_epochs=1") == 0
    (first,) = Path("run/best").iterdir()
    copied = Path("copied.ckpt")  # Lightning keeps what it goes on from
    copied.write_bytes(first.read_bytes())
    assert toy("fit", *again, "--trainer.max_epochs=3", f"--ckpt_path={copied}") == 0
    (last,) = Path("run/best").iterdir()
    assert last != first


def test_only_files_in_a_folder_with_an_own_checkpoint_are_removed(tmp_path: Path) -> None:
    plugin = AtomicCheckpointIO()
    plugin.save_checkpoint({"epoch": 1}, tmp_path / "own" / "last.ckpt")
    (tmp_path / "other").mkdir()
    for name in ("own/folder/inside", "other/file"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("kept")
    for path in ("other/file", "own/../other/file", "own/folder/inside", "absent/file"):
        with pytest.warns(UserWarning, match="was not removed: this run has written no checkpoint there"):
            plugin.remove_checkpoint(tmp_path / path)
    plugin.remove_checkpoint(tmp_path / "own" / "folder")
    plugin.remove_checkpoint(tmp_path / "own" / "last.ckpt")
    assert not (tmp_path / "own" / "last.ckpt").exists()
    assert (tmp_path / "own" / "folder" / "inside").read_text() == "kept"
    assert (tmp_path / "other" / "file").read_text() == "kept"


@pytest.mark.parametrize("keyword", KEYWORDS[:2])
def test_a_file_that_is_called_by_a_keyword_overrides_nothing(
    keyword: str, trained: Path, toy: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    content = torch.load(LAST, weights_only=True)
    hostile = {"_class_path": "lit_toys.Hostile", "part": "part.yaml"}
    torch.save(content | {"hyper_parameters": hostile}, keyword)
    toy("fit", *KEEPS, "--trainer.default_root_dir=run", f"--ckpt_path={keyword}", "--trainer.max_epochs=1")
    assert "Hostile" not in capsys.readouterr().err + Path("run/config.fit.yaml").read_text()


@pytest.mark.parametrize("force", ["0", "1"])
def test_a_keyword_leads_to_the_same_checks(
    force: str, trained: Path, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", force)
    change(lambda content: content.update(extra=Hostile()))
    for path in ("last", str(LAST)):
        words = ["--trainer.default_root_dir=run", f"--ckpt_path={path}", "--trainer.max_epochs=2"]
        assert "objects that would execute code" in refusal("fit", "-c", "toy.yaml", *words)
        assert not Path("executed").exists()


def progress(content: Content) -> Content:
    found: Content = content["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]
    return found


DAMAGE: dict[str, Change] = {
    "loops are empty": lambda content: content.update(loops={}),
    "loops are a number": lambda content: content.update(loops=3),
    "progress is a text": lambda content: progress(content).update(ready="x"),
    "progress is huge": lambda content: progress(content).update(ready=10**30),
    "callbacks are a number": lambda content: content.update(callbacks=3),
    "a callback is a number": lambda content: content["callbacks"].update(dict.fromkeys(content["callbacks"], 3)),
    "an optimizer is a number": lambda content: content.update(optimizer_states=[3]),
    "steps are a text": lambda content: content.update(global_step="x"),
    "weights are a list": lambda content: content.update(state_dict=[1]),
    "a weight is a text": lambda content: content["state_dict"].update({"layer.bias": "x"}),
    "a weight is not a number": lambda content: content["state_dict"]["layer.bias"].fill_(torch.nan),
    "a weight is sparse": lambda content: content["state_dict"].update({"layer.bias": torch.ones(1).to_sparse()}),
    "a weight is expanded": lambda content: content["state_dict"].update({"layer.bias": torch.ones(1).expand(10**9)}),
    "the version is none": lambda content: content.update({"pytorch-lightning_version": "y" * 200}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_part_gets_one_sentence(damage: str, trained: Path, refusal: Callable[..., str]) -> None:
    change(DAMAGE[damage])
    before = LAST.read_bytes()
    said = refusal("fit", "-c", "toy.yaml", *KEEPS, *GO_ON)
    assert said.startswith("The checkpoint ")
    assert len(said) < 500
    assert LAST.read_bytes() == before


@pytest.mark.parametrize("goes_on", [True, False])
@pytest.mark.parametrize("name", ["checkpoints", "logs"])
def test_a_training_writes_through_no_link(
    name: str, goes_on: bool, trained: Path, refusal: Callable[..., str]
) -> None:
    shutil.copy(LAST, trained / "thesis")
    shutil.rmtree(Path("run", name))
    Path("run", name).symlink_to(trained / "thesis")
    before = {path.name: path.read_bytes() for path in (trained / "thesis").iterdir()}
    said = refusal("fit", "-c", "toy.yaml", *KEEPS, *(GO_ON if goes_on else GO_ON[:1]))
    assert f"'run/{name}' is a link or not a folder, and was left as it is: remove it, or give another" in said
    assert Path("run", name).is_symlink()
    assert {path.name: path.read_bytes() for path in (trained / "thesis").iterdir()} == before


def test_a_compressed_checkpoint_is_not_inflated(trained: Path) -> None:
    with zipfile.ZipFile(LAST) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(LAST, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in entries.items():
            new.writestr(name, data)
    with pytest.raises(ValueError, match="damaged or is another kind of file"):
        read_checkpoint(LAST)


def test_a_checkpoint_is_written_beside_the_one_that_it_replaces(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")  # another file system, to which a move would be a copy
    path = tmp_path / "deep" / "last.ckpt"
    for epoch in (1, 2):
        AtomicCheckpointIO().save_checkpoint({"epoch": epoch, "weight": torch.ones(3)}, path)
        assert torch.load(path, weights_only=True)["epoch"] == epoch
    assert [entry.name for entry in path.parent.iterdir()] == ["last.ckpt"]


def test_what_cannot_be_saved_leaves_the_old_one_and_half_ones_are_cleared_away(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, path)
    (tmp_path / ".last.ckpt.abcd1234.part").write_text("of a run that was killed")
    (tmp_path / ".other.ckpt.abcd1234.part").write_text("of another file")
    with pytest.raises(AttributeError, match=r"Can't (pickle|get) local object"):
        AtomicCheckpointIO().save_checkpoint({"epoch": lambda: 2}, path)
    assert torch.load(path, weights_only=True)["epoch"] == 1
    AtomicCheckpointIO().save_checkpoint({"epoch": 3}, path)
    assert torch.load(path, weights_only=True)["epoch"] == 3
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".other.ckpt.abcd1234.part", "last.ckpt"]

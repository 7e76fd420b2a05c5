"""Every shipped configuration parses, and can be built."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from PIL import Image

from lit_metanas.callbacks import Preemption, RankMonitor, ReplicaCheck, ResultsFile
from lit_metanas.cli.experiment.plan import plan
from lit_metanas.cli.experiment.run import run
from lit_metanas.cli.program import Program
from lit_metanas.cli.verbs import TRAINER_VERBS, VERBS
from lit_metanas.comparisons import TableSearch
from lit_metanas.spaces import SearchSpace
from lit_metanas.surrogates import MetaTrainedEmbedding
from lit_metanas.tasks import Split, Task, TaskEmbedding, TaskSource
from lit_metanas.training import ExportedModel

CONFIGS = Path(__file__).parents[2] / "configs"


def names(folder: str) -> list[str]:
    return sorted(path.stem for path in (CONFIGS / folder).glob("*.yaml"))


def layered(path: Path) -> list[str]:
    """The options for a configuration and, first, the one that its first line says it lies over."""
    base = re.match(r"# Over (\S+?\.yaml)[:,]", path.read_text())
    layers = [*path.parents[1].glob(f"*/{base[1]}"), path] if base else [path]
    return [f"--config={layer}" for layer in layers]


def parsed(kind: type, path: Path) -> object:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(kind, "value")
    return parser.parse_args([f"--value={path}"]).value


@pytest.mark.parametrize("name", names("sources"))
def test_source(name: str) -> None:
    path = CONFIGS / "sources" / f"{name}.yaml"
    assert parsed(TaskSource, path).class_path == yaml.safe_load(path.read_text())["class_path"]


@pytest.mark.parametrize("name", names("spaces"))
def test_space(name: str) -> None:
    path = CONFIGS / "spaces" / f"{name}.yaml"
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(SearchSpace, "space")
    space = parser.instantiate(parser.parse_args([f"--space={path}"])).space
    assert space.size >= 1
    assert space.name in str(yaml.safe_load(path.read_text())["class_path"])


@pytest.mark.parametrize("name", names("embeddings"))
def test_embedding(name: str) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(TaskEmbedding, "embedding")
    embedding = parser.instantiate(
        parser.parse_args([f"--embedding={CONFIGS / 'embeddings' / f'{name}.yaml'}"])
    ).embedding
    if isinstance(embedding, MetaTrainedEmbedding):
        assert embedding.start  # meta-training has to make it first
        return
    labels = torch.arange(12) % 3
    images = torch.rand(12, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert len(embedding(Task("t", 3, Split(images, labels), None, Split(images[:0], labels[:0])))) > 1


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder of two classes."""
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(5):
            Image.new("RGB", (40, 30), (number, 0, 0)).save(tmp_path / name / f"{number}.png")
    return tmp_path


@pytest.mark.parametrize("name", names("methods"))
def test_method(name: str, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if "omniglot" in name:
        (tmp_path / "data" / "omniglot-py").mkdir(parents=True)  # where the configuration looks unless told otherwise
    path = CONFIGS / "methods" / f"{name}.yaml"
    layers = layered(path)
    if name == "search_folder":
        layers = [f"--config={path}", f"--data.tasks.root={photographs}"]
    program = Program(layers, run=False)
    built = str(program.config)
    for class_path in re.findall(r"class_path: ([\w.]+)", path.read_text()):
        assert class_path in built
    assert isinstance(program.model, TableSearch) or program.model.shape == (1, 28, 28)


@pytest.mark.parametrize("name", names("amortised"))
def test_amortised(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = CONFIGS / "amortised" / f"{name}.yaml"
    built = str(Program(layered(path), run=False).config)
    for class_path in re.findall(r"class_path: ([\w.]+)", path.read_text()):
        assert class_path in built


@pytest.mark.parametrize("name", names("loggers"))
def test_logger(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.chdir(tmp_path)
    program = Program(layered(CONFIGS / "loggers" / f"{name}.yaml"), run=False)
    assert type(program.trainer.logger).__name__.lower() == f"{name}logger"


@pytest.mark.parametrize("name", names("protocols"))
def test_protocol(name: str) -> None:
    program = Program(layered(CONFIGS / "protocols" / f"{name}.yaml"), run=False)
    data = program.datamodule
    assert name == f"{data.eval_way}way{data.eval_shot}shot"
    (results,) = (callback for callback in program.trainer.callbacks if isinstance(callback, ResultsFile))
    assert f"{data.eval_way}-way {data.eval_shot}-shot" in results.task_id


@pytest.mark.parametrize("name", names("experiments"))
def test_experiment(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The phases parse as phases, and each phase's command line as that of its verb."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_function_arguments(run, skip={"execute"})
    path = CONFIGS / "experiments" / f"{name}.yaml"
    settings = parser.instantiate(parser.parse_args(layered(path)))
    seeds = (settings.seeds or [0])[:1]  # the others differ in nothing but the number
    steps = plan(settings.phases, Path(settings.directory), seeds, settings.inputs or {})
    assert {step.args[0] for step in steps} <= VERBS.keys()
    monkeypatch.setattr("lit_metanas.cli.program.check_checkpoint", lambda path: None)  # earlier phases make them
    monkeypatch.chdir(tmp_path)
    for step in steps:
        if step.args[0] in TRAINER_VERBS:
            assert Parsed(step.args).config[step.args[0]].trainer.default_root_dir == str(step.folder)


def test_predict_needs_only_two_folders() -> None:
    config = Parsed(["predict", "--model.directory=here", "--data.folder=there"]).config.predict
    assert config.model.class_path.rpartition(".")[2] == ExportedModel.__name__
    assert config.model.init_args.directory == "here"
    assert config.data.init_args.folder == "there"


class Parsed(Program):
    """Parses a command line of a verb, and stops there: files that earlier phases make are not there."""

    def before_instantiate_classes(self) -> None:
        raise StopIteration

    def __init__(self, args: list[str]) -> None:
        try:
            super().__init__(args)
        except StopIteration:
            return


def test_guards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    layers = [CONFIGS / "methods" / "meta_search.yaml", CONFIGS / "cluster" / "guards.yaml"]
    program = Program([f"--config={layer}" for layer in layers], run=False)
    guards = [each for each in program.trainer.callbacks if isinstance(each, RankMonitor | ReplicaCheck | Preemption)]
    assert [type(guard) for guard in guards] == [RankMonitor, ReplicaCheck, Preemption]
    assert vars(guards[0]) == vars(RankMonitor())  # the file states the defaults
    assert vars(guards[1]) == vars(ReplicaCheck())

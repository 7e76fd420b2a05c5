"""The shipped configurations: each parses and can be built, says what it is for, and has a command and a row."""

import json
import re
import runpy
import shlex
from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser, Namespace
from PIL import Image

from lit_metanas.callbacks import ResultsFile
from lit_metanas.cli.command_line import main
from lit_metanas.cli.configuration_files import USES, Shipped, described, path_of_name, shipped_names, with_bases
from lit_metanas.cli.errors import public_names
from lit_metanas.cli.experiment.plan import plan
from lit_metanas.cli.experiment.run import run
from lit_metanas.cli.program import Program
from lit_metanas.cli.verbs import TRAINER_VERBS, VERBS
from lit_metanas.searchers.samplers.meta_sampler import SurrogateChoice
from lit_metanas.spaces import SearchSpace
from lit_metanas.tasks import TaskCollection, TaskSource
from lit_metanas.training import MetaRecipe

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"

COLLECTIONS = ("number_words", "stories")
"""Sources of tasks, not of episodes."""

TRAININGS = ("amortised/supernet", "amortised/layered_surrogate", "amortised/graph_surrogate")
"""Configurations that `fit` takes, beside those of their folder."""

LIKE_OTHERS = ("/smoke", "/glyphs", "/omniglot", "/few_shot_photos")
"""Experiments with the phases of others."""

META_SEARCH = f"--config={CONFIGS / 'fit' / 'meta_search.yaml'}"

SHIPPED = [described(name) for name in shipped_names()]
FIRSTS = [next(shipped for shipped in SHIPPED if shipped.name.startswith(f"{folder}/")) for folder in USES]
COMMANDS = [each for each in SHIPPED if each in FIRSTS or "# Command: " in path_of_name(each.name).read_text()]
"""Those with a command of their own, and one of each usual command."""


def names(*folders: str) -> list[str]:
    """Configurations of folders, relative to all configurations, without their extension."""
    paths = [path for folder in folders for path in (CONFIGS / folder).rglob("*.yaml")]
    return sorted(path.relative_to(CONFIGS).with_suffix("").as_posix() for path in paths)


def option(name: str) -> str:
    return f"--config={CONFIGS / name}.yaml"


@pytest.mark.parametrize("name", names("sources"))
def test_source(name: str) -> None:
    path = CONFIGS / f"{name}.yaml"
    kind = TaskCollection if name.removeprefix("sources/") in COLLECTIONS else TaskSource
    public_names()  # whose modules are imported then, so that a class goes by its name alone
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(kind, "value")
    found = parser.parse_args([f"--value={path}"]).value.class_path
    assert found.endswith(f".{yaml.safe_load(path.read_text())['class_path']}")


@pytest.mark.parametrize("name", names("spaces"))
def test_space(name: str) -> None:
    path = CONFIGS / f"{name}.yaml"
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(SearchSpace, "space")
    space = parser.instantiate(parser.parse_args([f"--space={path}"])).space
    assert space.size >= 1
    assert space.name in str(yaml.safe_load(path.read_text())["class_path"])


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder of two classes."""
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(5):
            Image.new("RGB", (40, 30), (number, 0, 0)).save(tmp_path / name / f"{number}.png")
    return tmp_path


@pytest.mark.parametrize("name", names("fit", "search", "amortised"))
def test_a_file_alone_is_a_whole_configuration(
    name: str, photographs: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "omniglot" in name:
        (here / "data" / "omniglot-py").mkdir(parents=True)  # where the configuration looks unless told otherwise
    (here / "texts.csv").write_text("text,label\n" + "".join(f"say {n},{n % 2}\n" for n in range(10)))
    (here / "table.csv").write_text("height,label\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(10)))
    (here / "pairs.tsv").write_text("source\ttarget\n" + "".join(f"{n}\tsay {n}\n" for n in range(10)))
    asked = [{"question": "Who?", "answers": [{"text": "Ada", "answer_start": 0}]}]
    passages = [{"context": f"Ada {number}", "qas": asked} for number in range(10)]
    (here / "passages.json").write_text(json.dumps({"data": [{"paragraphs": passages}]}))
    for number in range(10 if name == "search/sounds" else 0):
        (here / "sounds" / str(number % 2)).mkdir(parents=True, exist_ok=True)
        (here / "sounds" / str(number % 2) / f"{number}.wav").touch()
    for number in range(10 if name == "search/transcripts" else 0):
        (here / "recordings").mkdir(exist_ok=True)
        (here / "recordings" / f"{number}.wav").touch()
    said = "".join(f"{number}.wav,say {number}\n" for number in range(10))
    (here / "transcripts.csv").write_text(f"file,transcript\n{said}")
    # Files that an earlier step writes, and that are read when the sampler is made.
    monkeypatch.setattr(SurrogateChoice, "surrogate", None)
    folder = [f"--data.tasks.root={photographs}"] if name.startswith("search/folder") else []
    program = Program([option(name), *folder], run=False)
    built = str(program.config)
    for class_path in re.findall(r"class_path: ([\w.]+)", (CONFIGS / f"{name}.yaml").read_text()):
        assert class_path.rpartition(".")[2] in built
    if name.startswith("fit/") or name in TRAININGS:
        program.trainer.check_end(program.model)
        assert program.trainer.max_epochs != -1 or program.model.flops <= 1e13


def test_a_shape_is_left_to_the_data_unless_there_is_a_reason() -> None:
    lines = [line for path in CONFIGS.rglob("*.yaml") for line in path.read_text().splitlines()]
    assert [line for line in lines if re.search(r"\bshape:", line) and " # " not in line] == []


@pytest.mark.parametrize("name", names("loggers"))
def test_logger(name: str, monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    program = Program([META_SEARCH, option(name)], run=False)
    assert type(program.trainer.logger).__name__.lower() == f"{Path(name).name}logger"


@pytest.mark.parametrize("name", [name for name in names("protocols") if re.search(r"\dshot", name)])
def test_protocol(name: str) -> None:
    program = Program([META_SEARCH, option(name)], run=False)
    data = program.datamodule
    within = "_within" if data.within_group else ""
    assert Path(name).name == f"{data.eval_way}way{data.eval_shot}shot{within}"
    (results,) = (callback for callback in program.trainer.callbacks if isinstance(callback, ResultsFile))
    assert f"{data.eval_way}-way {data.eval_shot}-shot" in results.task_id


def test_omniglot_lies_over_any_configuration_on_episodes(here: Path) -> None:
    (here / "data" / "omniglot-py").mkdir(parents=True)
    for name in ("fit/conv4", "search/evolving_halving"):
        data = Program([option(name), option("protocols/omniglot")], run=False).datamodule
        assert (type(data.source).__name__, data.way, data.eval_way) == ("Omniglot", 60, 20)


class Parsed(Program):
    """Parses a command line of a verb, and stops there: data, and files that earlier phases make, are not there."""

    def before_instantiate_classes(self) -> None:
        raise StopIteration

    def __init__(self, args: list[str]) -> None:
        try:
            super().__init__(args)
        except StopIteration:
            return


def experiment(args: list[str]) -> Namespace:
    """The settings of a `run`."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("-c", "--config", action="config")
    parser.add_argument("--base")
    parser.add_function_arguments(run, skip={"execute"})
    return parser.instantiate(parser.parse_args(with_bases(args, "run")))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name.endswith(LIKE_OTHERS) else name
        for name in names("experiments")
    ],
)
def test_experiment(name: str, request: pytest.FixtureRequest, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The phases parse as phases, and each phase's command line as that of its verb.

    A step is parsed here if it has a configuration or an option, but for its folders, that no earlier one of its verb
    has; the slow tests parse all.
    """
    settings = experiment([option(name)])
    seeds = (settings.seeds or [0])[:1]  # the others differ in nothing but the number
    more = {key: settings[key] for key in ("protocols", "methods", "inputs", "args")}
    steps = plan(settings.phases, Path(settings.directory), seeds, **more)
    assert {step.args[0] for step in steps} <= VERBS.keys()
    others = plan(settings.phases, Path(settings.directory), [7], **more)
    assert f"{settings.directory}/seed0" not in " ".join(word for step in others for word in step.args)
    # Earlier phases make the checkpoints.
    monkeypatch.setattr("lit_metanas.cli.program.check_checkpoint", lambda path, goes_on: None)
    known: set[tuple[str, str]] = set()
    for step in steps:
        for path in (Path(word.removeprefix("--config=")) for word in step.args if word.startswith("--config=")):
            path.parent.mkdir(parents=True, exist_ok=True)  # an earlier phase writes it
            path.write_text(yaml.safe_dump(MetaRecipe(way=60, query=1).configuration()))
        verb, *words = (word.partition("=")[0] if str(settings.directory) in word else word for word in step.args)
        parts = {(verb, word) for word in words}
        if verb in TRAINER_VERBS and (parts - known or request.config.getoption("--slow")):
            known |= parts
            assert Parsed(step.args).config[step.args[0]].trainer.default_root_dir == str(step.folder)


@pytest.mark.parametrize("shipped", COMMANDS, ids=lambda shipped: shipped.name)
def test_command(shipped: Shipped, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lit_metanas.cli.program.check_checkpoint", lambda path, goes_on: None)
    words = [word for word in shlex.split(shipped.command) if not re.fullmatch(r"[A-Z]+=\S+", word)]  # of a shell
    assert {shipped.name, shipped.name.rpartition("/")[2]} & set(words)
    if words[0] != "lit-metanas":  # a script that starts a verb with the keys that it is given
        (start,) = re.findall(r"lit[-_]metanas (\w+ (?:-c \S+ )?)\"\$@\"", path_of_name(shipped.name).read_text())
        words = ["lit-metanas", *start.split(), *words[2:]]
    if words[1] in TRAINER_VERBS:
        assert Parsed(words[1:]).config.subcommand == words[1]
    else:
        assert words[1] == "run"
        assert experiment(["-c", *words[2:]]).phases


def test_the_index_is_current() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "configs_readme.py"))["readme"]()
    assert (ROOT / "configs" / "README.md").read_text() == page, "run: python docs/configs_readme.py"
    assert len(page.replace("|", " ").split()) < 3300


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda shipped: shipped.name)
def test_each_says_what_it_is_for(shipped: Shipped) -> None:
    assert shipped.purpose.endswith(".")
    assert 1 < len(shipped.purpose.split()) <= 25
    assert re.fullmatch(r"|[\d.–]+ (s|min|h)(, \d+ MB)?", shipped.takes)


def test_the_list_has_them_all(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["configs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for shipped in SHIPPED:
        name, takes = shipped.name.partition("/")[2], f" ({shipped.takes})" if shipped.takes else ""
        assert f"  {name:<24} {shipped.purpose}{takes}" in lines


@pytest.mark.parametrize(("name", "shipped"), [("meta_search", "fit/meta_search"), ("slurm.sh", "cluster/slurm.sh")])
def test_one_is_printed_into_a_file_of_its_name(
    name: str, shipped: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (name, f"{name}.yaml"):  # as a shell makes them before the command runs
        (here / file).touch()
    assert main(["configs", name]) == 0
    assert capsys.readouterr().out == path_of_name(shipped).read_text()

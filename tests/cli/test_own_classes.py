"""Classes in the current folder, modules that fail, and configurations given to another verb."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lit_metanas.cli import errors
from lit_metanas.cli.command_line import main
from lit_metanas.training import Trainer

pytestmark = pytest.mark.usefixtures("here")

Toy, Refusal = Callable[..., int], Callable[..., str]
Output, Patch = pytest.CaptureFixture[str], pytest.MonkeyPatch

ROOT = Path(__file__).parents[2]
FIT = ["fit", "-c", str(ROOT / "configs" / "fit" / "meta_search.yaml")]
SPACE = """
import {also}
import lit_metanas as lm

class Small(lm.LayeredSpace):
    \"\"\"My own.\"\"\"

    def __init__(self, depth: int = 2) -> None:
        super().__init__(shared=True, depths=(depth,))
"""


def own(folder: Path, name: str, text: str) -> str:
    """Write a module of one's own; the path of its class."""
    (folder / f"{name}.py").write_text(text)
    return f"{name}.Small"


def test_a_class_in_the_current_folder_is_found(tmp_path: Path, capsys: Output) -> None:
    space, before = own(tmp_path, "own_space", SPACE.format(also="os")), list(sys.path)
    assert str(tmp_path) not in before
    assert main([*FIT, "--model.space", space, "--model.space.depth=3", "--print_config"]) == 0
    printed = capsys.readouterr().out
    assert "class_path: own_space.Small" in printed
    assert "depth: 3" in printed
    (tmp_path / "mine.yaml").write_text(f"base: {FIT[2]}\nmodel: {{init_args: {{space: {{class_path: {space}}}}}}}\n")
    assert main(["fit", "-c", "mine.yaml", "--print_config"]) == 0
    assert "class_path: own_space.Small" in capsys.readouterr().out
    assert sys.path == before


def test_a_file_of_the_folder_hides_nothing_that_is_installed(tmp_path: Path) -> None:
    own(tmp_path, "rich", "raise RuntimeError('this is mine')")
    space = own(tmp_path, "own_rich", SPACE.format(also="rich.table"))
    (tmp_path / "lm.py").write_text("import sys\nfrom lit_metanas.cli.command_line import main\nsys.exit(main())\n")
    script = tmp_path / "bin" / "lm.py"  # whose folder, as that of the installed program, is the first on the path
    script.parent.mkdir()
    (tmp_path / "lm.py").rename(script)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), *FIT, "--model.space", space, "--print_config"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


FAILING = {
    "lacks": ("import os\nimport no_such_module", "ModuleNotFoundError: No module named 'no_such_module', lacks.py"),
    "lacks_own": ("from lacks_own2 import x", "ModuleNotFoundError: No module named 'lacks_own2', lacks_own.py"),
    "unclosed": ("class Small(", "SyntaxError: '(' was never closed (unclosed.py, line 1)"),
    "uncommon": ("raise RuntimeError('the moon')", "RuntimeError: the moon, uncommon.py, line 1"),
}
"""Modules that cannot be imported, with the cause."""


@pytest.mark.parametrize("module", FAILING)
def test_a_module_that_fails_is_told_with_its_cause(module: str, tmp_path: Path, refusal: Refusal) -> None:
    text, cause = FAILING[module]
    space = own(tmp_path, module, text)
    Path("fit.yaml").write_text(f"base: {FIT[2]}\nmodel: {{init_args: {{space: {{class_path: {space}}}}}}}\n")
    Path("alone.yaml").write_text(f"class_path: {space}")
    doors = [[*FIT, f"--model={space}"], ["fit", "-c", "fit.yaml"], [*FIT, "--model.space", "alone.yaml"]]
    for words in ([*FIT, "--model.space", space], *(doors if module in ("lacks", "uncommon") else ())):
        line = refusal(*words)
        assert line.startswith(f"The module of '{space}' cannot be imported (")
        assert cause in line


FAULTY = """
from functools import partial
import lit_metanas as lm
from torch import nn

class Body(lm.SearchSpace):
    def body(self, shape, build):
        return {"a": 1}["b"]  # line 8

class Layer(nn.Module):
    def forward(self, inputs):
        return inputs.nothing()  # line 12

class Forward(lm.SearchSpace):
    def body(self, shape, build):
        return nn.Sequential(build.choice("k", {k: partial(build.conv, shape[0], 4, k) for k in (1, 3)}), Layer())

class Misused(lm.SearchSpace):
    def body(self, shape, build):
        return build.choice("k", {"a": nn.ReLU()})  # line 20

class Confused(lm.LayeredSpace):
    def __init__(self, size: int = 3) -> None:
        len(size)  # line 24
"""


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Body", "'model': KeyError: 'b', faulty.py, line 8."),
        (
            "Forward",
            "AttributeError: 'Tensor' object has no attribute 'nothing', faulty.py, line 12: fix it; --debug shows the "
            "traceback.",
        ),
        (
            "Misused",
            "'model': Candidate 'a' of 'k' is a layer: give what makes it, for instance nn.ReLU or partial(build.conv, "
            "16, 32, 3) (faulty.py, line 20).",
        ),
        ("Confused", "'model': TypeError: object of type 'int' has no len(), faulty.py, line 24."),
    ],
)
def test_a_mistake_in_a_class_is_told_with_its_line(
    name: str, sentence: str, tmp_path: Path, refusal: Refusal, monkeypatch: Patch
) -> None:
    own(tmp_path, "faulty", FAULTY)
    monkeypatch.delitem(sys.modules, "faulty", raising=False)
    assert refusal(*FIT, "--model.space", f"faulty.{name}", "--data.val_episodes=1") == sentence
    monkeypatch.delitem(sys.modules, "faulty")


def test_a_mistake_in_a_method_is_told_with_its_line(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "own_method.py").write_text(
        "import lit_metanas as lm\n\nclass First(lm.Searcher):\n    def search(self, task, space, budget, seed):\n"
        "        return [][0]\n"
    )
    search = ["search", "-c", str(ROOT / "configs" / "search" / "from_scratch.yaml"), "--data.tasks.tasks=1"]
    methods = "{mine: {class_path: own_method.First}}"
    assert main([*search, f"--model.methods={methods}"]) == 2
    said = capsys.readouterr().err
    assert "lit-metanas: IndexError: list index out of range, own_method.py, line 5: fix it; " in said
    assert "Traceback" not in said


def test_what_is_wrong_in_this_package_keeps_its_traceback(toy: Toy, monkeypatch: Patch) -> None:
    monkeypatch.setattr(Trainer, "check_end", lambda *given: {}["key"])
    monkeypatch.setattr(errors, "_is_own", lambda file: False)
    with pytest.raises(KeyError):
        toy("fit")


def test_what_does_not_exist_is_still_told_so(tmp_path: Path, monkeypatch: Patch, refusal: Refusal) -> None:
    own(tmp_path, "own_two", SPACE.format(also="os"))
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)  # as of an installed command
    for name, told in {
        "own_two.Smal": "did you mean 'Small'?",
        "__main__.Small": "__main__.Small",
        "own_three.Small": "own_three",
    }.items():
        assert told in refusal(*FIT, f"--model.space={name}")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{class_path: own_file.Small, init_args: {dpeth: 2}}", "did you mean 'depth'?"),
        ("{class_path: own_file.Smal}", "did you mean 'Small'?"),
        ("[1, 2]", "[1, 2]"),
    ],
)
def test_a_mistake_in_a_file_is_told_as_on_the_command_line(
    content: str, sentence: str, tmp_path: Path, refusal: Refusal
) -> None:
    own(tmp_path, "own_file", SPACE.format(also="os"))
    (tmp_path / "mine.yaml").write_text(content)
    (tmp_path / "names.yaml").write_text(f"base: {FIT[2]}\nmodel: {{init_args: {{space: mine.yaml}}}}\n")
    for command in ([*FIT, "--model.space", "mine.yaml"], ["fit", "-c", "names.yaml"]):
        assert sentence in refusal(*command)


def test_a_file_within_a_file_is_named(tmp_path: Path, refusal: Refusal) -> None:
    (tmp_path / "layered.yaml").write_text("{class_path: LayeredSpace, init_args: {sharedd: true}}")
    (tmp_path / "searcher.yaml").write_text("{class_path: MetaSurrogate, init_args: {encoding: encoding.yaml}}")
    (tmp_path / "encoding.yaml").write_text("{class_path: OneHotEncoding, init_args: {space: layered.yaml}}")
    command = ["fit", "--model", "searcher.yaml", "--data", "RecordDataModule"]
    assert "did you mean 'shared'?" in refusal(*command)
    (tmp_path / "encoding.yaml").write_text("{class_path: OneHotEncoding, init_args: {space: encoding.yaml}}")
    assert "encoding.yaml" in refusal(*command)


def test_keys_may_stand_before_the_configuration(tmp_path: Path, capsys: Output, refusal: Refusal) -> None:
    space = own(tmp_path, "own_order", SPACE.format(also="os"))
    (tmp_path / "over.yaml").write_text("model: {init_args: {flops: 3.0}}\n")
    keys = ["--model.space", space, "--model.space.depth=3", "--model.flops=2.0"]
    assert main(["fit", *keys, *FIT[1:], "-c", "over.yaml", "--print_config"]) == 0
    first = capsys.readouterr().out
    assert main([*FIT, "-c", "over.yaml", *keys, "--print_config"]) == 0
    assert capsys.readouterr().out == first
    assert "depth: 3" in first
    assert "flops: 2.0" in first
    (tmp_path / "part.yaml").write_text("model: {init_args: {flops: 3.0}}\ndata: {init_args: {way: 3}}\n")
    given = ["--model=MetaSearch", "--model.space", space, "--data", "EpisodeDataModule", "--data.source=Glyphs"]
    for command in (["-c", "part.yaml", *given], [*given, "-c", "part.yaml"]):
        assert main(["fit", *command, "--print_config"]) == 0
        printed = capsys.readouterr().out
        assert all(words in printed for words in ("flops: 3.0", "way: 3", "class_path: own_order.Small"))
    assert "space" in refusal("fit", "--model.space", space)


@pytest.mark.parametrize(
    ("verb", "file", "right"), [("search", "fit/conv4", "fit"), ("test", "search/tables/nas_bench_201", "search")]
)
def test_a_configuration_for_another_verb(verb: str, file: str, right: str, refusal: Refusal) -> None:
    assert refusal(verb, "-c", file).endswith(f" is for `lit-metanas {right}`, not for `{verb}`.")


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ([*FIT, "--trainer.accelerator=tpu"], "'trainer': "),
        ([*FIT, "--trainer.accelerator=fpga"], "'trainer': You selected an invalid accelerator name: `accelerator="),
        (["report", "--model.help=MetaSearch"], "unrecognized arguments: --model.help=MetaSearch: see `lit-"),
    ],
)  # fmt: skip
def test_other_wrong_values(args: list[str], sentence: str, refusal: Refusal) -> None:
    assert refusal(*args).startswith(sentence)

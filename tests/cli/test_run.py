"""Phases: plan, order, skipping, resuming, setting aside."""

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lit_metanas.cli.command_line import main
from lit_metanas.cli.errors import UsageError
from lit_metanas.cli.experiment.plan import Phase
from lit_metanas.cli.experiment.run import run


class Recorder:
    """Stands in for the command line; fails where told to."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.argv: list[list[str]] = []
        self.fails = ""

    def __call__(self, args: list[str]) -> None:
        self.calls.append(args)
        self.argv.append(sys.argv[1:])
        folder = next(word.partition("=")[2] for word in args if "root_dir" in word or "output" in word)
        Path(folder, "made.json").write_text("{}")
        if self.fails and self.fails in " ".join(args):
            raise KeyboardInterrupt

    @property
    def names(self) -> list[str]:
        return [call[0] for call in self.calls]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def phases(here: Path) -> list[Phase]:
    Path("part.yaml").write_text("width: 3\n")
    Path("fit.yaml").write_text("model: part.yaml\n")
    return [
        Phase("fit", "train", config=[Path("fit.yaml")]),
        Phase("search", "search", args=["--ckpt_path={directory}/seed{seed}/train/checkpoints/last.ckpt"]),
        Phase("report", "report", args=["--results+=a/{seed}.json", "--output={folder}"], per_seed=False),
    ]


def test_order_and_arguments(phases: list[Phase], recorder: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    argv = list(sys.argv)
    run(phases, Path("out"), [0, 7], execute=recorder)
    assert recorder.names == ["fit", "search", "fit", "search", "report"]
    command = "fit -c fit.yaml --trainer.default_root_dir=out/seed7/train --seed_everything=7"
    assert recorder.calls[2] == shlex.split(command)
    assert recorder.calls[3][-1] == "--ckpt_path=out/seed7/train/checkpoints/last.ckpt"
    assert recorder.calls[4] == ["report", "--results+=a/0.json", "--results+=a/7.json", "--output=out/report"]
    assert recorder.argv == recorder.calls  # what Lightning's other processes are started with
    assert sys.argv == argv
    out = capsys.readouterr().out
    assert out.startswith("5 steps into out.\n")
    assert f"[3/5] seed 7: train …\n      lit-metanas {command}\n" in out
    assert "[3/5] seed 7: train took 0 s\n" in out


ALL = ["fit", "search", "report"]


@pytest.mark.parametrize(
    ("change", "anew"),
    [
        (lambda phases: Path("fit.yaml").write_text("model: part.yaml  # changed\n"), ALL),
        (lambda phases: Path("part.yaml").write_text("width: 4\n"), ALL),
        (lambda phases: Path("space.yaml").write_text("depth: 3\n"), ALL[1:]),
        (lambda phases: phases[1].args.append("--more"), ALL[1:]),
        (lambda phases: Path("out/seed0/train/phase.json").unlink(), ALL),
        (lambda phases: Path("out/seed0/train/found.yaml").write_text("rate: 1\n"), []),
    ],
    ids=["configuration", "file in it", "file in an argument", "argument", "damage", "file of a phase"],
)
def test_only_what_depends_on_a_change_runs_anew_and_what_was_there_is_set_aside(
    change: Callable[[list[Phase]], object], anew: list[str], phases: list[Phase], recorder: Recorder
) -> None:
    Path("space.yaml").write_text("depth: 2\n")
    phases[1].args += ["--model.space=space.yaml", "--config={run}/train/found.yaml"]
    run(phases, Path("out"), execute=recorder)
    change(phases)
    run(phases, Path("out"), execute=recorder)
    assert recorder.names == [*ALL, *anew]
    assert Path("out/report.1/made.json").is_file() == bool(anew)
    assert Path("out/seed0/train.1/made.json").is_file() == (anew == ALL)


def test_what_follows_a_phase_of_all_seeds_runs_anew_with_it(phases: list[Phase], recorder: Recorder) -> None:
    phases = [phases[0], Phase("report", "middle", args=["--output={folder}"], per_seed=False), phases[1]]
    run(phases, Path("out"), [0, 7], execute=recorder)
    Path("out/middle/phase.json").unlink()
    run(phases, Path("out"), [0, 7], execute=recorder)
    assert recorder.names == ["fit", "fit", "report", "search", "search", "report", "search", "search"]


def test_mistakes_in_the_phases(phases: list[Phase], recorder: Recorder) -> None:
    with pytest.raises(UsageError, match="a 'name' of its own"):
        run([*phases, phases[0]], Path("out"), execute=recorder)
    with pytest.raises(UsageError, match="Phase 'own' asks for the input 'data', which 'inputs' does not have"):
        run([Phase("fit", "own", only_with="data")], Path("out"), execute=recorder)
    phases[0].args = ["--x={sed}"]
    with pytest.raises(UsageError, match=r"'\{sed\}' in phase 'train' has no value: did you mean 'seed'"):
        run(phases, Path("out"), execute=recorder)
    phases[0].args = []
    for seeds in ([3, 0, 3], []):
        with pytest.raises(UsageError, match=rf"'seeds' is {re.escape(str(seeds))}: give at least one, and each once"):
            run(phases, Path("out"), seeds, execute=recorder)
    for seed in (-1, 2**32, 10**400):
        with pytest.raises(UsageError, match=r"'seeds' is \[.*: give numbers from 0 to 4294967295\.$"):
            run(phases, Path("out"), [0, seed], execute=recorder)
    for name in ("", "a/../../thesis", "/tmp/thesis"):
        phases[0].name = name
        with pytest.raises(UsageError, match=rf"'{name}' cannot be a phase's name: it is a folder in the"):
            run(phases, Path("out"), execute=recorder)
    phases[0].name = "train"
    for verb, said in (("fti", "did you mean 'fit'"), ("run", "Choose from auto, distil, fit, ")):
        phases[0].verb = verb
        with pytest.raises(UsageError, match=rf"Phase 'train' cannot be of '.*{said}"):
            run(phases, Path("out"), execute=recorder)
    assert recorder.calls == []


def test_seeds_protocols_and_methods_are_told_once(phases: list[Phase], recorder: Recorder) -> None:
    for name in ("small", "large", "short", "long"):
        Path(f"{name}.yaml").touch()
    configs = [Path("{method}.yaml"), Path("{protocol}.yaml")]
    test = Phase("test", "{method}-{protocol}", ["protocol", "method"], configs, ["--title={title}", "--from={found}"])
    report = Phase("report", "report", args=["--results+={run}/{seed}.json", "--output={folder}"], per_seed=False)
    methods = {"small": {"title": "the small", "found": None}, "large": {"title": "large, {seed}", "found": "search"}}
    args = {"test": ["--episodes={count}", "--file={folder}/{method}.json"]}
    given: dict[str, Any] = {"protocols": ["short", "long"], "methods": methods, "args": args, "inputs": {"count": "3"}}
    run([test, report], Path("out"), [0, 7], execute=recorder, **given)
    names = [f"{method}-{protocol}" for protocol in ("short", "long") for method in ("small", "large")]
    folders = [call[5].partition("=")[2] for call in recorder.calls[:-1]]
    assert folders == [f"out/seed{seed}/{name}" for seed in (0, 7) for name in names]
    common = "--trainer.default_root_dir=out/seed0/{0} --seed_everything=0 --episodes=3 --file=out/seed0/{0}/{1}.json"
    small = f"test -c small.yaml -c short.yaml {common.format('small-short', 'small')} '--title=the small'"
    large = f"test -c large.yaml -c short.yaml {common.format('large-short', 'large')} '--title=large, 0' --from=search"
    assert recorder.calls[:2] == [shlex.split(small), shlex.split(large)]
    results = ["--results+=out/seed0/0.json", "--results+=out/seed7/7.json"]
    assert recorder.calls[-1] == ["report", *results, "--output=out/report"]


@pytest.mark.parametrize(
    ("phase", "given", "sentence"),
    [
        (Phase("fit", "{method}", ["method"]), {}, "Phase '{method}' is repeated for each method: give 'methods'."),
        (Phase("fit", "a-{method}"), {}, "'{method}' in phase 'a-{method}' has no value."),
        (Phase("fit", "train", ["protocol"]), {"protocols": ["a", "b"]}, "each a 'name' of its own"),
        (Phase("fit", "train"), {"args": {"fti": []}}, "'args.fti' matches no phase: did you mean 'fit'?"),
        (
            Phase("fit", "train", args=["--x={rate}"]),
            {"inputs": {"rate": "1", "rates": "2"}},
            "'inputs.rates' is used by no phase: did you mean 'rate'?",
        ),
        (
            Phase("fit", "train", config=[Path("{method}.yaml")]),
            {"methods": {"small": {}}},
            "'{method}' in phase 'train' has no value.",
        ),
        (
            Phase("fit", "{method}", ["method"], [Path("{method}.yaml")]),
            {"methods": {"small": {}}},
            "There is no file 'small.yaml', a config of phase 'small': paths are relative",
        ),
        (
            Phase("fit", "{method}", ["method"], args=["--x={title}"]),
            {"methods": {"small": {"title": "a"}}, "inputs": {"title": "b"}},
            "'inputs.title' cannot be given",
        ),
    ],
)
def test_mistakes_in_products(
    phase: Phase, given: dict[str, Any], sentence: str, recorder: Recorder, phases: list[Phase]
) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        run([phase], Path("out"), execute=recorder, **given)


def test_the_printed_command_does_the_same(toy_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (toy_folder / "over").mkdir()
    (toy_folder / "over" / "more.yaml").write_text("base: ../toy.yaml\nmodel: {init_args: {rate: 0.25}}\n")
    args = ["--trainer.max_epochs=1", "--trainer.logger={class_path: CSVLogger, init_args: {save_dir: '{folder}/a b'}}"]
    phase = {"verb": "fit", "name": "train", "config": ["over/more.yaml"], "args": args}
    (toy_folder / "experiment.yaml").write_text(yaml.safe_dump({"directory": "out", "phases": [phase]}))
    assert main(["run", "-c", "experiment.yaml"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "lit-metanas fit" in line]
    program, *words = shlex.split(line)
    assert [program, *words[:3]] == ["lit-metanas", "fit", "-c", "over/more.yaml"]
    saved = Path("out/seed0/train/config.fit.yaml").read_bytes()
    Path("out/seed0").rename("before")
    assert main(words) == 0
    assert Path("out/seed0/train/config.fit.yaml").read_bytes() == saved


def test_the_verb_drives_the_others(toy_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Paths are relative to the file that names them, wherever the command is given."""
    (toy_folder / "experiments").mkdir()
    (toy_folder / "experiments" / "toy.yaml").write_text(
        "{directory: out, seeds: [3], phases: ["
        "{verb: fit, name: train, config: [../toy.yaml], args: [--model.rate=0.05]}, "
        "{verb: search, name: search, config: [../toy.yaml], "
        "args: ['--ckpt_path={directory}/seed{seed}/train/checkpoints/last.ckpt']}]}"
    )
    assert main(["run", "-c", "experiments/toy.yaml"]) == 0
    assert "adapted with a gradient" in capsys.readouterr().out
    saved = yaml.safe_load(Path("out/seed3/train/config.fit.yaml").read_text())
    assert (saved["seed_everything"], saved["model"]["init_args"]["rate"]) == (3, 0.05)
    assert main(["run", "-c", "experiments/toy.yaml"]) == 0
    assert capsys.readouterr().out.count("skipped") == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("phases: [{verb: fit, name: a, confg: []}]\ndirectory: out\n", ["phases", "confg", "did you mean 'config'"]),
        ("phases: [{verb: fit, name: a, config: [no.yaml]}]\ndirectory: out\n", ["no.yaml"]),
        ("phases: [{verb: fit, name: a}]\ndirectory: out\nseeds: 3,4\n", ["seeds", "3,4"]),
    ],
)
def test_mistakes_in_an_experiment(text: str, words: list[str], toy_folder: Path, refusal: Callable[..., str]) -> None:
    (toy_folder / "experiment.yaml").write_text(text)
    said = refusal("run", "-c", "experiment.yaml")
    assert all(word in said for word in words), said
    assert len(said) < 300


def test_a_phase_can_depend_on_an_input(recorder: Recorder, here: Path) -> None:

    def phases() -> list[Phase]:
        return [
            Phase("fit", "fit", only_without="data"),
            Phase("search", "search", only_without="data"),
            Phase("search", "search", args=["--data.tasks.path={data}"], only_with="data"),
        ]

    run(phases(), Path("embedded"), inputs={"data": ""}, execute=recorder)
    assert recorder.names == ["fit", "search"]
    run(phases(), Path("own"), inputs={"data": "mine.csv"}, execute=recorder)
    assert recorder.names[2:] == ["search"]
    assert recorder.calls[-1][-1] == "--data.tasks.path=mine.csv"


def test_an_argument_with_an_empty_input_is_left_out(recorder: Recorder) -> None:
    report = Phase("report", "report", args=["--results+={run}/{more}/results.json", "--output={folder}"])
    for more, given in (("", []), ("controls", ["--results+=out/seed0/controls/results.json"])):
        run([report], Path("out"), inputs={"more": more}, execute=recorder)
        assert recorder.calls[-1][1:] == [*given, "--output=out/seed0/report"]

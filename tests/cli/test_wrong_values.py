"""Values that no key takes: exit code 2, one sentence that names the key and what it takes, and nothing was written."""

from pathlib import Path

import pytest
import tiny

from lit_metanas.cli.command_line import main

CONFIGS = Path(__file__).parents[2] / "configs"
FIT = ["fit", "-c", str(CONFIGS / "fit" / "conv4.yaml"), "--trainer.max_epochs=1"]
SEARCH = ["search", "-c", str(CONFIGS / "search" / "from_scratch.yaml")]
FOLDER = ["search", "-c", str(CONFIGS / "search" / "folder.yaml")]
RUN = ["run", "-c", str(CONFIGS / "experiments" / "quick.yaml")]
REPORT = ["report", "--results=[]"]
HUGE = "1" + 30 * "0"
PATH = ": give a path on this machine."

CASES = [
    ([*FIT, "--trainer.default_root_dir=null"], "'trainer.default_root_dir' cannot be 'null'" + PATH),
    ([*FIT, "--trainer.default_root_dir=s3://runs/1"], "'trainer.default_root_dir' cannot be 's3://runs/1'" + PATH),
    ([*FIT, "--trainer.devices=null"], "'trainer': `devices` selected with `CPUAccelerator` should be an int > 0."),
    ([*FIT, f"--trainer.devices={HUGE}"], "'trainer': Trainer: devices is 1e+30; give at most 4096."),
    ([*FIT, "--trainer.val_check_interval=0"], "'trainer': Trainer: val_check_interval is 0; give a number of steps"),
    ([*FIT, "--trainer.strategy=ddp_spawn"], "'trainer.strategy' cannot be 'ddp_spawn': give ddp, "),
    ([*FIT, "--seed_everything=-1"], "'seed_everything' cannot be -1: give a number from 0 to 4294967295."),
    ([*FIT, f"--model.seed={HUGE}"], "'model': MetaSearch: seed is 1e+30; give a number from 0, below 2**63."),
    ([*FIT, f"--model.flops=1{400 * '0'}"], "'model.flops' cannot be '1000"),
    (
        [*FIT, f"--data.tasks_per_step={HUGE}"],
        "'data': EpisodeDataModule: tasks_per_step = 1e+30 must be a whole number, from 1 to",
    ),
    ([*SEARCH, "--model.directory=null"], "'model': 'directory' cannot be 'null'" + PATH),
    (
        [*SEARCH, f"--data.tasks.tasks={HUGE}"],
        "'data': DrawnTasks: tasks = 1e+30 must be a whole number, from 1 to",
    ),
    ([*SEARCH, "--model.methods.DARTS.epochs=3"], "'model.methods.DARTS.epochs': Expected an instantiatable"),
    ([*SEARCH, "--model.methods.DARTS from scratch.epochs=x"], "'model.methods.DARTS from scratch.epochs' cannot"),
    ([*FOLDER, "--data.tasks.shape=[1, 0, 28]"], "'data': FolderTask: shape = (1, 0, 28) must be (channels, height"),
    ([*RUN, "--directory=null"], "'directory' cannot be 'null'" + PATH),
    ([*RUN, "--methods={a: 3}"], "'methods' cannot be '3': it takes dict[str, dict"),
    ([*REPORT, "--output=null"], "'output' cannot be 'null'" + PATH),
]


def refusal(args: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(args) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1, told
    return told.removeprefix("lit-metanas: ").rstrip()


@pytest.mark.parametrize(("args", "sentence"), CASES, ids=[f"{args[0]} {args[-1][:60]}" for args, _ in CASES])
def test_a_wrong_value_is_named(
    args: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal(args, capsys).startswith(sentence)
    assert {path.name for path in tmp_path.iterdir()} <= {"runs"}  # where the lock of the run's directory is
    assert not list(tmp_path.rglob("*.ckpt"))


FILES = [
    ("output: null\nresults: [r.json]", "report", "'output' "),
    (
        "directory: x\nphases: [{verb: fit, name: a, minutes: -.inf}]",
        "run",
        "Phase 'a' cannot take -inf minutes: give a",
    ),
    (f"directory: x\nphases: [{{verb: fit, name: a, minutes: 1{400 * '0'}}}]", "run", "'wrong.yaml' holds a number of"),
    (
        "model: {init_args: {space: LayeredSpace}}\ndata: EpisodeDataModule",
        "fit",
        "'model.space' of LightningModule: Option 'space' is not accepted: give its class, by --model",
    ),
    (
        "model: {class_path: MetaSearch, initargs: {}}",
        "fit",
        "In 'wrong.yaml' the key 'initargs' stands beside class",
    ),
]


@pytest.mark.parametrize(("text", "verb", "sentence"), FILES, ids=[f"{verb} {text[:40]}" for text, verb, _ in FILES])
def test_a_wrong_value_in_a_file_is_named(
    text: str,
    verb: str,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wrong.yaml").write_text(text)
    assert refusal([verb, "-c", "wrong.yaml"], capsys).startswith(sentence)
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.yaml"]


def test_a_checkpoint_that_a_method_lacks_is_named_with_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.write(tmp_path)
    key = "model.methods.meta-searched.start"
    told = f"'{key}': There is no checkpoint 'last.ckpt': give the path of one that `fit` wrote, by --{key} FILE."
    assert refusal([*FOLDER, "--data.tasks.root=images"], capsys) == told
    known = [*FOLDER, "--data.tasks.root=images", "--model.methods={my net: {class_path: MetaSearchedArchitecture}}"]
    absent = refusal([*known, "--model.methods.my net.start=absent.ckpt"], capsys)
    assert absent.endswith("give the path of one that `fit` wrote, by '--model.methods.my net.start' FILE.")

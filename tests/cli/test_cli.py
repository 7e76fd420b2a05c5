"""Verbs, help, and errors in one sentence."""

import gc
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.trainer.connectors.checkpoint_connector import _CheckpointConnector
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException

import lit_metanas
from lit_metanas.callbacks.replica_check import AgreedError
from lit_metanas.cli import command_line, errors
from lit_metanas.cli.command_line import main
from lit_metanas.cli.errors import UsageError, is_from_checkpoint
from lit_metanas.cli.parser_messages import usage_error
from lit_metanas.cli.program import Program, _with_null
from lit_metanas.records.record import FailedWorkError

Toy, Refusal = Callable[..., int], Callable[..., str]
Output, Patch = pytest.CaptureFixture[str], pytest.MonkeyPatch


@pytest.mark.parametrize(("words", "buffering"), [(["--help"], 1), (["fit", "-c", "conv4", "--print_config"], -1)])
def test_an_output_that_nobody_reads_any_longer_is_no_fault(
    words: list[str], buffering: int, here: Path, monkeypatch: Patch, capsys: Output
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", buffering) as file:
        for name in ("stdout", "__stdout__"):
            monkeypatch.setattr(sys, name, file)
        assert main(words) == 1  # what is left goes nowhere; else it would be a fault at the end
    assert capsys.readouterr().err == ""


def test_without_an_output_a_command_still_works(monkeypatch: Patch, capsys: Output) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["--version"]) == 0
    assert capsys.readouterr().err == ""


def test_version_and_no_arguments(capsys: Output) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lit-metanas {lit_metanas.__version__}\n"
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("usage: lit-metanas VERB")


def test_each_verb_works_in_the_run_directory(toy: Toy, toy_folder: Path, capsys: Output) -> None:
    assert toy("fit", "--trainer.default_root_dir=out") == 0
    made = {str(path.relative_to(toy_folder / "out")) for path in (toy_folder / "out").rglob("*") if path.is_file()}
    assert made == {".fit.lock", "config.fit.yaml", "logs/fit/metrics.csv", "checkpoints/last.ckpt"}
    last = "--ckpt_path=out/checkpoints/last.ckpt"
    assert toy("validate", "--trainer.default_root_dir=val", last) == 0
    for verb in ("test", "search"):
        capsys.readouterr()
        assert toy(verb, f"--trainer.default_root_dir={verb}", last) == 0
        assert "adapted with a gradient of shape (1, 4)" in capsys.readouterr().out
        assert yaml.safe_load((toy_folder / verb / f"config.{verb}.yaml").read_text())["ckpt_path"] == last[12:]


def test_a_resumed_fit_ends_like_an_uninterrupted_one(toy: Toy, toy_folder: Path) -> None:
    assert toy("fit", "--trainer.default_root_dir=whole", "--trainer.max_epochs=3") == 0
    assert toy("fit", "--trainer.default_root_dir=parts") == 0
    resumed = ["--trainer.default_root_dir=parts", "--ckpt_path=parts/checkpoints/last.ckpt", "--trainer.max_epochs=3"]
    with pytest.warns(UserWarning, match="this run changes trainer.max_epochs"):
        toy("fit", *resumed)
    whole, parts = (torch.load(f"{name}/checkpoints/last.ckpt", weights_only=True) for name in ("whole", "parts"))
    assert whole["global_step"] == parts["global_step"] == 6
    assert torch.equal(whole["state_dict"]["layer.weight"], parts["state_dict"]["layer.weight"])
    assert [path.name for path in (toy_folder / "parts" / "checkpoints").iterdir()] == ["last.ckpt"]


def test_an_interrupted_fit_says_how_to_go_on(toy: Toy, monkeypatch: Patch, capsys: Output) -> None:
    monkeypatch.setattr("signal.signal", lambda number, handler: None)  # Lightning switches Ctrl-C off
    assert toy("fit", "--model.interrupt=1", "--trainer.default_root_dir=out") == 130
    assert "`fit` goes on with --ckpt_path" in capsys.readouterr().err
    assert Path("out/checkpoints/last.ckpt").is_file()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["fitt"], ["verb 'fitt'", "did you mean 'fit'"]),
        (["--verison"], ["option '--verison'"]),
        (["fit", "\udcff"], ["' is not UTF-8: rename the file or folder."]),
        (["fit", "model.rate"], ["did you mean '--model.rate'?"]),
        (["fit", "--trainer.max_epoch=3"], ["--trainer.max_epoch=3", "did you mean '--trainer.max_epochs'"]),
        (["fit", "--model.part=lit_toys.Prat"], ["part", "Prat", "did you mean 'Part'"]),
        (["fit", "--model=lit_toy.ToyModel"], ["model", "lit_toy"]),
        (["fit", "-c", "broken.yaml"], ["broken.yaml", "line 2"]),
        (["fit", "-c", "typo.yaml"], ["max_epoch", "did you mean '--trainer.max_epochs'"]),
        (["fit", "foo"], ["unrecognized arguments: foo: see `lit-metanas fit --help`."]),
        (["auto", "toy.yaml", "minutes"], ["did you mean '--minutes'?"]),
        (["fit", "-c", "{trainer: null}"], ["'trainer' cannot be 'None': it takes a mapping"]),
        (["report", "reslts"], ["did you mean '--results'?"]),
    ],
)
def test_a_mistake_gets_one_sentence_with_the_keys_path(
    args: list[str], words: list[str], toy_folder: Path, refusal: Refusal
) -> None:
    (toy_folder / "broken.yaml").write_text("model: [\n")
    (toy_folder / "typo.yaml").write_text("trainer: {max_epoch: 3}\n")
    verb, *rest = args
    said = refusal(verb, "-c", "toy.yaml", *rest) if verb == "fit" else refusal(*args)
    assert all(word in said for word in words), said
    assert len(said) < 600


def test_what_is_missing_is_named(toy_folder: Path, refusal: Refusal) -> None:
    Path("lacking.yaml").write_text("directory: x\nphases: [{}]\n")
    for command, said in (
        ("fit", "required: data, model, as in `lit-metanas fit -c "),
        ("auto --minutes 3", "required: data, as in `lit-metanas auto my_images"),
        ("predict", "required: model, examples, as in `lit-metanas predict model photo.jpg`."),
        ("run -c lacking.yaml", "the following arguments are required: verb, name"),
        ("fit --model=lit_toys.ToyModel --data=lit_toys.ToyData", "the following arguments are required: part"),
    ):
        assert said in refusal(*command.split())


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--model.rate=-1", "'model': rate = -1.0 must be above 0."),
        ("--data.file=absent.npz", "'data': There is no file 'absent.npz'."),
        (
            "--trainer.callbacks=[{class_path: lit_metanas.callbacks.SkipStop, init_args: {most: 1.0}}]",
            "'trainer': SkipStop: most is 1.0",
        ),
    ],
)
def test_what_a_constructor_refuses_is_said_as_it_said_it_with_its_key(
    argument: str, words: str, toy: Toy, refusal: Refusal
) -> None:
    assert refusal("fit", "-c", "toy.yaml", argument).startswith(words)
    with pytest.raises(UsageError) as caught:
        toy("fit", argument, "--debug")
    assert isinstance(caught.value.__cause__, ValueError | FileNotFoundError)


def test_a_training_without_end_gets_one_sentence(toy: Toy, refusal: Refusal) -> None:
    said = refusal("fit", "-c", "toy.yaml", "--trainer.max_epochs=null")
    assert said.startswith("Nothing ends the training of ToyModel: set the Trainer's max_epochs, ")
    assert toy("test", "--trainer.max_epochs=null") == 0
    assert not Path("runs/latest/checkpoints").exists()
    said = refusal("fit", "-c", "fit/meta_search", "--model.flops=null")
    assert "Nothing ends the training of MetaSearch: set the model's flops, " in said


@pytest.mark.parametrize(
    ("content", "words"),
    [("hyper-parameters", "hyper-parameters"), ("folder", "is a folder"), ("absent", "There is no checkpoint")],
)
def test_a_checkpoint_that_cannot_be_used_gets_one_sentence(
    content: str, words: str, toy_folder: Path, refusal: Refusal
) -> None:
    file = toy_folder / "bad.ckpt"
    if content == "hyper-parameters":
        frame = {"state_dict": {}, "pytorch-lightning_version": "2.6.0"}
        torch.save({**frame, "hyper_parameters": {"rate": 3.0}}, file)
    elif content == "folder":
        file.mkdir()
    assert words in refusal("test", "-c", "toy.yaml", "--ckpt_path=bad.ckpt")


def test_a_checkpoint_of_another_model_gets_one_sentence(toy: Toy, refusal: Refusal) -> None:
    assert toy("fit", "--trainer.default_root_dir=out") == 0
    other = ["--ckpt_path=out/checkpoints/last.ckpt", "--model.part.width=5", "--data.width=5"]
    said = refusal("test", "-c", "toy.yaml", *other)
    assert "does not fit the configured model" in said
    assert "size mismatch for layer.weight" in said


@pytest.mark.parametrize(
    ("variables", "agreed", "told"),
    [
        ({"LOCAL_RANK": "0"}, True, True),
        ({"LOCAL_RANK": "1"}, True, False),
        ({"SLURM_LOCALID": "2"}, True, False),
        ({"LOCAL_RANK": "1"}, False, True),
    ],
)
def test_what_all_processes_know_is_told_once_on_a_machine(
    variables: dict[str, str], agreed: bool, told: bool, monkeypatch: Patch, capsys: Output
) -> None:
    for name in ("LOCAL_RANK", "SLURM_LOCALID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def fail(*args: object, **options: object) -> None:
        raise (AgreedError if agreed else ChildProcessError)("Process 1 has another 'w'.")

    monkeypatch.setattr("lit_metanas.cli.command_line.execute", fail)
    assert main(["fit"]) == 1
    assert capsys.readouterr().err == ("lit-metanas: Process 1 has another 'w'.\n" if told else "")


def test_the_exceptions_that_are_known_by_name_are_there() -> None:
    assert SIGTERMException.__name__ == command_line.STOPPED
    assert AgreedError.__name__ == errors.AGREED
    known = (MisconfigurationException, FailedWorkError)
    assert tuple(kind.__name__ for kind in known) == errors.SELF_EXPLAINING


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("could not create a primitive"),
    ],
)
def test_memory_that_runs_out_gets_one_sentence(error: Exception, monkeypatch: Patch, refusal: Refusal) -> None:
    monkeypatch.setattr(command_line, "execute", partial(_raise, error))
    said = refusal("auto", code=1)
    assert said.startswith(f"Out of memory ({type(error).__name__}")
    assert str(error) in said
    assert said.endswith("): give fewer or smaller examples, or smaller batches or networks.")


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (SystemExit("why"), 1)])
def test_a_process_that_is_not_the_first_ends_silently(
    error: BaseException, code: int, monkeypatch: Patch, capsys: Output
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(command_line, "execute", partial(_raise, error))
    assert (main([]), capsys.readouterr().err) == (code, "")


def test_work_that_fails_is_told_from_a_wrong_command(monkeypatch: Patch, refusal: Refusal) -> None:
    for kind, code in ((FailedWorkError, 1), (ValueError, 2), (UsageError, 2)):
        monkeypatch.setattr(command_line, "execute", partial(_raise, kind("All of 8 trainings failed.")))
        assert refusal("search", code=code) == "All of 8 trainings failed."


def _raise(error: BaseException, *args: object, **options: object) -> None:
    raise error


def test_lightning_lets_its_reading_of_a_checkpoints_configuration_be_switched_off(
    toy: Toy, monkeypatch: Patch
) -> None:
    called: list[Program] = []
    assert Program._parse_ckpt_path is not LightningCLI._parse_ckpt_path
    monkeypatch.setattr(Program, "_parse_ckpt_path", lambda program: called.append(program))
    assert toy("validate") == 0
    assert len(called) == 1


def test_an_error_while_lightning_restores_a_training_is_known() -> None:
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    connector = _CheckpointConnector(trainer)
    connector._loaded_checkpoint = {"optimizer_states": 3}
    with pytest.raises(Exception) as caught:
        connector.restore_optimizers()
    assert is_from_checkpoint(caught.value)
    assert not is_from_checkpoint(KeyError("elsewhere"))
    assert str(errors.describe_known(caught.value)).startswith("The checkpoint cannot be resumed (")
    assert errors.describe_known(OSError(5, "Input/output error", "a.ckpt")) == "Input/output error: 'a.ckpt'."
    assert (
        str(usage_error(RecursionError("deep"), [])) == "The command line cannot be understood (RecursionError: deep)."
    )


def test_null_within_a_class_is_null() -> None:
    given = ("None", "[None, 'a']", "'None'", "None!")
    assert [*map(_with_null, given)] == ["null", '[null, "a"]', "'None'", "None!"]


def test_garbage_is_left_but_where_triton_is_loaded(monkeypatch: Patch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    assert callable(command_line._prepared("colorsys", "rgb_to_hsv"))
    for loaded in (True, False):
        assert (gc.isenabled(), gc.get_freeze_count() > 0) == (True, loaded)
        (monkeypatch.setitem if loaded else monkeypatch.delitem)(sys.modules, "triton", *[sys] * loaded)
        command_line._leave_garbage()
    assert gc.get_freeze_count() > 0


def test_a_warning_of_ours_is_a_sentence_without_code() -> None:
    shown = command_line._one_sentence
    assert shown("Say so.", UserWarning, command_line.__file__, 3) == "lit-metanas: Say so.\n"
    assert shown("Old.", UserWarning, "elsewhere.py", 4) == "elsewhere.py:4: UserWarning: Old.\n"


def test_no_parser_is_made_for_another_verb(toy_folder: Path, monkeypatch: Patch) -> None:
    """Each takes a tenth of a second."""
    made = []
    monkeypatch.setattr(Program, "add_arguments_to_parser", lambda self, parser: made.append(parser.prog))
    Program(["fit", "-c", "toy.yaml"])
    assert made == ["lit-metanas fit"]

"""The verbs that are Lightning's: one Trainer, one model, one data module; and the parser of these."""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from jsonargparse import ArgumentError, ArgumentParser, Namespace
from lightning import pytorch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import SIGTERMException

from lit_metanas.callbacks import ReplicaCheck, ResultsFile
from lit_metanas.cli.configuration_files import BASE, with_bases
from lit_metanas.cli.errors import UsageError, describe, find_own_modules, public_names
from lit_metanas.cli.parser_messages import usage_error
from lit_metanas.cli.run_output import (
    SaveConfig,
    StartAnnouncement,
    csv_logger,
    end_of_evaluation,
    end_of_fit,
    end_of_search,
    set_checkpoints_aside,
    wandb_in,
)
from lit_metanas.cli.verbs import MODELS, TRAINER_VERBS
from lit_metanas.io.checkpoints import check_checkpoint
from lit_metanas.io.files import own_path
from lit_metanas.io.locks import directory_lock
from lit_metanas.io.text import short_number
from lit_metanas.training import Preemption, Trainer

USUAL_DIRECTORY = "runs/latest"

_Kind = TypeVar("_Kind")


class Program(LightningCLI):
    """LightningCLI with the verb ``search``, defaults that suit meta-learning, and errors of one sentence."""

    # A run's directory is `trainer.default_root_dir`: by default `runs/latest`, and of a search the folder of its
    # results. In it every verb leaves `config.<verb>.yaml` and, without other instructions,
    # `logs/<verb>/metrics.csv`, and `fit` leaves `checkpoints/last.ckpt` after every epoch. One `fit` at a time runs in
    # a directory. One that does not go on from a checkpoint sets those of an earlier one aside.

    def __init__(self, args: ArgsType, run: bool = True, suggests: bool = True) -> None:
        quiet = {"exit_on_error": False, "allow_abbrev": False}
        given = [verb for verb in TRAINER_VERBS if isinstance(args, list) and args[:1] == [verb]]
        self._verbs = given or list(TRAINER_VERBS)
        own: dict[str, dict[str, Any]] = {verb: {**quiet, "prog": f"lit-metanas {verb}"} for verb in self._verbs}
        for verb in own.keys() & {"validate", "test"}:
            own[verb]["default_config_files"] = [str(Path(__file__).with_name("scores.yaml"))]
        named = type("VerbParser", (Parser,), {"command": " ".join(["lit-metanas", *given])})
        self._held = ExitStack()
        self._suggests = suggests
        self._begins_at: int | None = None
        self._begins_anew_in: Path | None = None
        with self._held:
            super().__init__(
                model_class=LightningModule,
                datamodule_class=LightningDataModule,
                subclass_mode_model=True,
                subclass_mode_data=True,
                trainer_class=Trainer,
                trainer_defaults={"default_root_dir": USUAL_DIRECTORY},
                save_config_callback=SaveConfig,
                save_config_kwargs={"overwrite": True, "save_to_log_dir": False},
                seed_everything_default=0,
                parser_class=named,
                parser_kwargs={**quiet, "prog": "lit-metanas", **own},
                auto_configure_optimizers=False,
                args=args,
                run=run,
            )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """The verbs that can be given, and what of each method's arguments is not the user's to give."""
        # A parser takes a tenth of a second to make: where a verb is given, its own is the only one. Checkpoints are
        # always loaded without executing code, so `weights_only` is not offered.
        own, lightnings = {"model", "datamodule", "weights_only", "return_predictions"}, LightningCLI.subcommands()
        return {verb: own | lightnings.get(verb, set()) for verb in self._verbs}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what is neither the Trainer's, the model's nor the data's."""
        parser.add_argument(f"--{BASE}", type=str, help=argparse.SUPPRESS)  # no saved configuration has it

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, and look at the checkpoint before anything is built."""
        self.config = configuration(parser, args)
        if (path := of_verb(self.config).get("ckpt_path")) is not None:
            self._begins_at = check_checkpoint(path, goes_on=self.verb == "fit")

    def _parse_ckpt_path(self) -> None:
        """Leave the configuration as it is: Lightning lets a checkpoint override it, class paths included."""
        # There is no public switch for it. A test fails where Lightning no longer calls this.

    @property
    def verb(self) -> str:
        """What is run; ``fit`` where the objects are only built."""
        return str(self.config.get("subcommand", "fit"))

    def before_instantiate_classes(self) -> None:
        """Set the run's directory, and name the file for the configuration."""
        chosen = of_verb(self.config)
        trainer, arguments = chosen.trainer, chosen.model.get("init_args")
        if trainer.default_root_dir == USUAL_DIRECTORY and self.verb == "search" and arguments is not None:
            folder = arguments.get("directory")  # where it writes its results
            if isinstance(folder, str) and folder:
                trainer.default_root_dir = folder
        own_path(trainer.default_root_dir, "trainer.default_root_dir")
        if "spawn" in str(trainer.strategy):
            raise UsageError(
                f"'trainer.strategy' cannot be '{trainer.strategy}': give ddp, which starts the program anew; a model "
                "of this package is not copied to another process."
            )
        if all(chosen[key].get("class_path", "").startswith("lit_metanas.") for key in ("model", "data")):
            # Else Lightning makes YAML of the whole configuration, a third of the time in which it is read, for modules
            # that save it as their hyper-parameters.
            self.config_dump: dict[str, Any] = {}
        self.save_config_kwargs["config_filename"] = f"config.{self.verb}.yaml"

    def instantiate_classes(self) -> None:
        """Build the objects; a constructor's refusal becomes a UsageError with the object's key."""
        try:
            super().instantiate_classes()
        except (ValueError, FileNotFoundError) as error:
            cause: BaseException = error  # what a constructor said, below what the parser made of it
            while str(cause).startswith("Does not validate") and cause.__cause__ is not None:
                cause = cause.__cause__
            key, said = self._refused_key(), str(cause)
            if key is None or getattr(cause, "strerror", None):  # else the operating system's sentence, not ours
                raise cause from None
            if not isinstance(cause, ValueError | OSError):
                said = f"{describe(cause)}."
            raise UsageError(f"'{key}': {said}") from cause

    def _refused_key(self) -> str | None:
        """The first key whose object alone is refused, too."""
        verb = self.config.get("subcommand")
        for key in ("data", "model", "trainer"):
            alone = Namespace({key: of_verb(self.config)[key]})
            if verb is not None:
                alone = Namespace({"subcommand": verb, verb: alone})
            try:
                self.parser.instantiate_classes(alone)
            except (ValueError, FileNotFoundError):
                return key
        return None

    def before_fit(self) -> None:
        """Refuse a training without end; make room for the checkpoints of one that begins."""
        assert isinstance(self.trainer, Trainer)
        self.trainer.check_end(self.model)
        if self._begins_anew_in is not None:
            set_checkpoints_aside(self._begins_anew_in)

    def after_fit(self) -> None:
        """Print the results, or that nothing was left to do; heed a signal that came too late to stop the training."""
        start, *_ = self._of_trainer(StartAnnouncement)
        config = Path(self.trainer.default_root_dir, self.save_config_kwargs["config_filename"])
        lines = end_of_fit(self.trainer, self.model, config=config, seconds=time.monotonic() - start.begin)
        if self._begins_at is not None and self.trainer.global_step == self._begins_at:
            lines = [
                f"lit-metanas: the training of '{of_verb(self.config).ckpt_path}' is finished, and nothing was done: "
                "raise trainer.max_epochs, max_steps or the model's flops to go on."
            ]
        self._say(lines)
        if any(each.received for each in self._of_trainer(Preemption)):  # of a `run` the next phase is not begun
            raise SIGTERMException("Stopped by a signal; the training is finished.")

    def after_validate(self) -> None:
        """Print the scores."""
        self._say(end_of_evaluation(self.trainer, self.model, "validate", kept=()))

    def after_test(self) -> None:
        """Print the scores, and the files that keep them."""
        kept = [each.path for each in self._of_trainer(ResultsFile)]
        self._say(end_of_evaluation(self.trainer, self.model, "test", kept=kept))

    def after_search(self) -> None:
        """Print the results."""
        self._say(end_of_search(self.model))

    def _of_trainer(self, kind: type[_Kind]) -> list[_Kind]:
        return [each for each in self.trainer.callbacks if isinstance(each, kind)]  # type: ignore[attr-defined]

    def _say(self, lines: Sequence[str]) -> None:
        """Print what there is to say at the end, on the first process; without a suggestion only the first line."""
        if self.trainer.is_global_zero:
            print(*lines[: None if self._suggests else 1], sep="\n", flush=True)

    def instantiate_trainer(self, **kwargs: Any) -> pytorch.Trainer:
        """Build the Trainer, with a logger, checkpoints and guards where none are configured."""
        given, runs, fits = of_verb(self.config_init), "subcommand" in self.config, self.verb == "fit"
        settings, root, goes_on = given.trainer, Path(given.trainer.default_root_dir), bool(given.get("ckpt_path"))
        if runs and fits:
            self._held.enter_context(directory_lock(root, "fit", "trainer.default_root_dir"))
        if settings.logger is None or settings.logger is True:
            kwargs["logger"] = csv_logger(root, self.verb)
        elif runs:
            configured, goes_on_there = of_verb(self.config).trainer.logger, goes_on or self.verb == "search"
            kwargs["logger"] = wandb_in(root, self.verb, settings.logger, configured, goes_on=goes_on_there)
        callbacks: Any = settings.callbacks or []
        if not isinstance(callbacks, list):
            callbacks = [callbacks]
        guards: list[Callback] = [Preemption()]
        if fits:
            guards = [ReplicaCheck(), Preemption(), StartAnnouncement(root)]
        lacking = [guard for guard in guards if not any(isinstance(each, type(guard)) for each in callbacks)]
        if settings.enable_checkpointing is None and not any(isinstance(each, Checkpoint) for each in callbacks):
            if fits:
                # Keeps `checkpoints/last.ckpt`, replaced whenever an epoch is complete.
                last = ModelCheckpoint(
                    root / "checkpoints", filename="last", save_on_train_epoch_end=True, enable_version_counter=False
                )
                callbacks = [*callbacks, last]
            else:
                kwargs["enable_checkpointing"] = False
            if fits and runs and not goes_on:
                self._begins_anew_in = root
        if settings.enable_progress_bar is None and not sys.stdout.isatty():
            kwargs["enable_progress_bar"] = False  # a log would get a line for each step
        try:
            return super().instantiate_trainer(callbacks=[*lacking, *callbacks], **kwargs)
        except (TypeError, ValueError, MisconfigurationException, ModuleNotFoundError) as error:
            raise UsageError(f"'trainer': {error}") from error


class Parser(LightningArgumentParser):
    """Hands null down to the arguments of arguments."""

    # Jsonargparse gives a value within a class to a parser of that class, as one word `--key=value` in which null has
    # become Python's word for it. A class within a class would take that for a text.

    command: ClassVar[str] = "lit-metanas"

    def __init__(self, *args: Any, prog: str | None = None, **options: Any) -> None:
        super().__init__(*args, prog=prog or self.command, **options)  # a class's help is a parser without a name

    def parse_args(
        self, args: Any = None, namespace: Any = None, env: bool | None = None, defaults: bool = True, **options: Any
    ) -> Any:
        """Parse a command line, or the one word of a class's argument."""
        if isinstance(args, list) and len(args) == 1 and isinstance(args[0], str):
            key, equals, value = args[0].partition("=")
            args = [f"{key}{equals}{_with_null(value)}"]
        return super().parse_args(args, namespace, env, defaults, **options)


def _with_null(text: str) -> str:
    """What Python prints of null, or of lists and mappings with null in them, as YAML."""
    if "None" in text:
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            value = ast.literal_eval(text)
            if value is None or isinstance(value, dict | list):
                return json.dumps(value)
    return text


def configuration(parser: LightningArgumentParser, args: ArgsType) -> Namespace:
    """Parse a command line, or a mapping of its keys; raises a UsageError of one sentence."""
    words: list[str] = []
    verb = ""
    if isinstance(args, list):
        verb = next((word for word in args[:1] if word in TRAINER_VERBS), "")
        args = words = with_bases(args, verb)
    known = ["config", "seed_everything", "trainer", "model", "data", "ckpt_path", "trainer.threads"]
    known += [f"trainer.{name}" for name in inspect.signature(pytorch.Trainer).parameters]
    try:
        config = parse_with_classes(parser, args)
    except Exception as error:  # whatever a configuration makes a parser raise, it is wrong
        raise usage_error(error, words, known, verb) from error
    chosen = of_verb(config)
    for key in ("trainer", "model", "data"):
        if not isinstance(chosen.get(key), Namespace):
            raise UsageError(f"'{key}' cannot be '{chosen.get(key)}': it takes a mapping of keys and values.")
    seed = chosen.get("seed_everything")
    if not isinstance(seed, bool) and seed is not None and not 0 <= seed < 2**32:
        raise UsageError(f"'seed_everything' cannot be {short_number(seed)}: give a number from 0 to {2**32 - 1}.")
    model = str(chosen.model.class_path).rpartition(".")[2]
    right = next((each for each, models in MODELS.items() if model in models), verb)
    if verb and (right == "search") != (verb == "search"):  # what `fit` takes, `validate` and `test` take, too
        raise UsageError(f"{model} is for `lit-metanas {right}`, not for `{verb}`.")
    return config


def of_verb(config: Namespace) -> Namespace:
    """The configuration of the chosen verb, or the whole where there are no verbs."""
    if (verb := config.get("subcommand")) is None:
        return config
    return config[verb]


def parse_with_classes(parser: ArgumentParser, args: ArgsType) -> Namespace:
    """Parse arguments in which a public class of this package may stand by its name alone."""
    # jsonargparse knows the names of imported classes. The rooms are imported where the arguments are not understood
    # without: else each verb would pay for all of them.

    parse = partial(parser.parse_args, args) if isinstance(args, list) else partial(parser.parse_object, args)
    with suppress(ArgumentError):  # to be said, if at all, of the second attempt alone
        return parse()
    public_names()
    find_own_modules()
    return parse()

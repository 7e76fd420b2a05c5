"""The verbs that are Lightning's: one Trainer, one model, one data module."""

from __future__ import annotations

import argparse
import ast
import inspect
import itertools
import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentError, Namespace
from lightning import pytorch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger

import lit_metanas
from lit_metanas.callbacks import Preemption, RankMonitor, ReplicaCheck
from lit_metanas.cli.bases import KEY, with_bases
from lit_metanas.cli.checkpoint_check import check_checkpoint
from lit_metanas.cli.environment import name_run
from lit_metanas.cli.errors import UsageError
from lit_metanas.cli.experiment.plan import set_aside
from lit_metanas.cli.parser_messages import refused
from lit_metanas.cli.verbs import TRAINER_VERBS
from lit_metanas.io.checkpoints import AtomicCheckpointIO
from lit_metanas.io.files import replacing
from lit_metanas.io.locks import directory_lock, is_further_process
from lit_metanas.training import Trainer


class Parser(LightningArgumentParser):
    """Hands null down to the arguments of arguments.

    Jsonargparse gives a value within a class to a parser of that class, as one word ``--key=value`` in which null has
    become Python's word for it. A class within a class would take that for a text.
    """

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
    if "None" not in text:
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return json.dumps(value) if value is None or isinstance(value, dict | list) else text


class SaveConfig(SaveConfigCallback):
    """Saves the configuration as ``config.<verb>.yaml`` in the run's directory; says what a resumed run changed."""

    def save_config(self, trainer: pytorch.Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the file, on the first process."""
        text = self.parser.dump(self.config, skip_none=True)
        path = Path(trainer.default_root_dir) / self.config_filename
        if path.is_file() and self.config.get("ckpt_path"):
            before, now = dict(_leaves(_saved(path))), dict(_leaves(yaml.safe_load(text)))
            names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
            changed = [name for name in names if name not in ("ckpt_path", "config")]
            if changed:
                how = f"this run changes {', '.join(changed)}" if "" not in before else "it was damaged"
                warnings.warn(f"'{path}' is replaced: {how}.", stacklevel=2)
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


class Program(LightningCLI):
    """LightningCLI with the verb ``search``, defaults that suit meta-learning, and errors of one sentence.

    A run's directory is ``trainer.default_root_dir``. In it every verb leaves ``config.<verb>.yaml`` and, without
    other instructions, ``logs/<verb>/metrics.csv``, and ``fit`` leaves ``checkpoints/last.ckpt`` after every epoch.
    A ``fit`` that gets SIGTERM does so, too, and before SLURM takes the job off its nodes. Several processes stop
    together where one is lost (RankMonitor) or holds other numbers than the rest (ReplicaCheck).

    One ``fit`` at a time runs in a directory. One that does not go on from a checkpoint sets those of an earlier one
    aside.

    Args:
        args: the command line.
        run: whether the first argument is a verb to run; otherwise the objects are only built.
    """

    def __init__(self, args: ArgsType = None, run: bool = True) -> None:
        quiet = {"exit_on_error": False, "allow_abbrev": False}
        of_verb: dict[str, dict[str, Any]] = {verb: {**quiet, "prog": f"lit-metanas {verb}"} for verb in TRAINER_VERBS}
        of_verb["predict"]["default_config_files"] = [str(Path(__file__).with_name("predict.yaml"))]
        self._held, self._begins_at = ExitStack(), -1
        with self._held:
            super().__init__(
                model_class=LightningModule,
                datamodule_class=LightningDataModule,
                subclass_mode_model=True,
                subclass_mode_data=True,
                trainer_class=Trainer,
                trainer_defaults={"default_root_dir": "runs/latest"},
                save_config_callback=SaveConfig,
                save_config_kwargs={"overwrite": True, "save_to_log_dir": False},
                seed_everything_default=0,
                parser_class=Parser,
                parser_kwargs={**quiet, "prog": "lit-metanas", **of_verb},
                auto_configure_optimizers=False,
                args=args,
                run=run,
            )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The verbs, and what of each method's arguments is not the user's to give."""
        # Checkpoints are always loaded without executing code, so `weights_only` is not offered.
        lightnings = LightningCLI.subcommands()
        verbs = {verb: {"model", "datamodule", "weights_only", *lightnings.get(verb, ())} for verb in TRAINER_VERBS}
        verbs["predict"].add("return_predictions")
        return verbs

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what is neither the Trainer's, the model's nor the data's."""
        parser.add_argument(f"--{KEY}", type=str, help=argparse.SUPPRESS)  # no saved configuration has it

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, with one sentence for what is wrong."""
        known = ["config", "seed_everything", "trainer", "model", "data", "ckpt_path", "trainer.threads"]
        known += [f"trainer.{name}" for name in inspect.signature(pytorch.Trainer).parameters]
        args = sys.argv[1:] if args is None else args
        args = with_bases(args) if isinstance(args, list) else args
        try:
            self.config = _parsed(parser, args)
        except Exception as error:  # whatever a configuration makes a parser raise, it is wrong
            words = args if isinstance(args, list) else []
            raise refused(error, words, known) from (None if isinstance(error, ArgumentError) else error)
        chosen = _chosen(self.config)
        for key in ("trainer", "model", "data"):
            if not isinstance(chosen.get(key), Namespace):
                raise UsageError(f"'{key}' cannot be '{chosen.get(key)}': it takes a mapping of keys and values.")
        if chosen.get("ckpt_path") is not None:
            check_checkpoint(chosen.ckpt_path)

    def before_instantiate_classes(self) -> None:
        """Name the file that the configuration is saved in."""
        self.save_config_kwargs["config_filename"] = f"config.{self.config.get('subcommand', 'fit')}.yaml"

    def instantiate_classes(self) -> None:
        """Build the objects.

        Raises:
            UsageError: a constructor refuses its arguments; the key of its object, and the sentence as it said it.
        """
        try:
            super().instantiate_classes()
        except (ValueError, FileNotFoundError) as error:
            cause = _cause(error)
            key = self._refused_key()
            if key is None or getattr(cause, "strerror", None):  # else the operating system's sentence, not ours
                raise cause from None
            raise UsageError(f"'{key}': {cause}") from cause

    def _refused_key(self) -> str | None:
        """The first key whose object alone is refused, too."""
        verb, chosen = self.config.get("subcommand"), _chosen(self.config)
        for key in ("data", "model", "trainer"):
            alone = Namespace({key: chosen[key]})
            try:
                self.parser.instantiate_classes(alone if verb is None else Namespace({"subcommand": verb, verb: alone}))
            except (ValueError, FileNotFoundError):
                return key
        return None

    def before_fit(self) -> None:
        """Note where a resumed training goes on."""
        path = _chosen(self.config).get("ckpt_path")
        if path is not None and Path(path).is_file():
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            if not {"global_step", "loops", "optimizer_states"} <= content.keys():
                raise ValueError(
                    f"The checkpoint '{path}' holds weights, but no training to go on with: give one that `lit-metanas "
                    "fit` wrote."
                )
            self._begins_at = int(content["global_step"])

    def after_fit(self) -> None:
        """Say so where the training was finished before."""
        if self.trainer.global_step == self._begins_at and self.trainer.is_global_zero:
            path = _chosen(self.config).ckpt_path
            print(
                f"lit-metanas: the training of '{path}' is finished, and nothing was done: raise trainer.max_epochs, "
                "max_steps or the model's flops to go on."
            )

    def instantiate_trainer(self, **kwargs: Any) -> pytorch.Trainer:
        """Build the Trainer, with a logger and checkpoints in the run's directory where none are configured."""
        chosen = _chosen(self.config_init)
        settings = chosen.trainer
        verb = self.config.get("subcommand", "fit")
        root = Path(settings.default_root_dir)
        if verb == "fit" and "subcommand" in self.config:
            self._held.enter_context(directory_lock(root, verb, "trainer.default_root_dir"))
        if settings.logger is None or settings.logger is True:
            kwargs["logger"] = CSVLogger(root, name="logs", version=_free(root / "logs", verb))
        elif "subcommand" in self.config:
            name_run(settings.logger, root, verb, goes_on=verb == "search" or bool(chosen.get("ckpt_path")))
        callbacks = settings.callbacks or []
        callbacks = list(callbacks) if isinstance(callbacks, list) else [callbacks]
        if settings.enable_checkpointing is None and not any(isinstance(each, Checkpoint) for each in callbacks):
            if verb == "fit":
                if "subcommand" in self.config and not chosen.get("ckpt_path"):
                    _set_aside(root / "checkpoints")
                callbacks.append(_last_epoch(root / "checkpoints"))
            else:
                kwargs["enable_checkpointing"] = False
        guards = (RankMonitor, ReplicaCheck, Preemption) if verb == "fit" else (RankMonitor,)
        lacking = [guard() for guard in guards if not any(isinstance(each, guard) for each in callbacks)]
        callbacks = [*lacking, *callbacks]  # the first to hear of an error is RankMonitor: others would send messages
        plugins = settings.plugins or []
        plugins = list(plugins) if isinstance(plugins, list) else [plugins]
        if not any(isinstance(each, CheckpointIO) for each in plugins):
            plugins.append(AtomicCheckpointIO())
        return super().instantiate_trainer(callbacks=callbacks, plugins=plugins, **kwargs)


def _parsed(parser: LightningArgumentParser, args: ArgsType) -> Namespace:
    """Parse arguments in which a public class of this package may stand by its name alone.

    jsonargparse knows the names of imported classes. The package is imported where the arguments are not understood
    without: else each verb would pay for all rooms.
    """

    def parse() -> Namespace:
        return parser.parse_args(args) if isinstance(args, list) else parser.parse_object(args)

    try:
        return parse()
    except ArgumentError:
        for name in lit_metanas.__all__:
            getattr(lit_metanas, name)
        return parse()


def _set_aside(folder: Path) -> None:
    """Rename an earlier training's checkpoints: what is called the last one is to be of the training that begins."""
    aside = None if is_further_process() else set_aside(folder)
    if aside is not None:
        print(f"lit-metanas: set aside what an earlier training left: {aside}")


def _cause(error: Exception) -> BaseException:
    """What a constructor said, below what the parser made of it."""
    cause: BaseException = error
    while str(cause).startswith("Does not validate") and cause.__cause__ is not None:
        cause = cause.__cause__
    return cause


def _last_epoch(folder: Path) -> ModelCheckpoint:
    """Keeps ``last.ckpt``, replaced whenever an epoch is complete."""
    return ModelCheckpoint(folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)


def _free(folder: Path, name: str) -> str:
    """``name``, or ``name.1`` and so on where a previous run has left it in the folder."""
    names = (name if number == 0 else f"{name}.{number}" for number in itertools.count())
    return next(free for free in names if not (folder / free).exists())


def _chosen(config: Namespace) -> Namespace:
    """The configuration of the chosen verb, or the whole where there are no verbs."""
    verb = config.get("subcommand")
    chosen = config if verb is None else config[verb]
    assert isinstance(chosen, Namespace)
    return chosen


def _saved(path: Path) -> object:
    """An earlier run's configuration; None where the file is damaged."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError):
        return None


def _leaves(tree: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(tree, dict) and tree:
        for name, value in tree.items():
            yield from _leaves(value, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, tree

"""Help texts of the command line, which load nothing: common keys, known classes, and where the rest is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from lit_metanas.cli.verbs import KEYS, MODELS, VERBS

EPISODES = {"EpisodeDataModule": "episodes of a task source: glyphs, Omniglot, a folder of images"}
TRAINING_TASKS = {"TrainingTaskDataModule": "whole tasks to meta-train on, for TaskReptile"}

DATA: Mapping[str, Mapping[str, str]] = {
    "fit": {**EPISODES, **TRAINING_TASKS, "RecordDataModule": "records of earlier searches, for MetaSurrogate"},
    "validate": {**EPISODES, **TRAINING_TASKS},
    "test": EPISODES,
    "search": {
        "TargetTaskDataModule": "target tasks, for TargetSearch: own images, or drawn from a task source",
        **{name: f"{text.partition(':')[0]}, for SourceSearch" for name, text in EPISODES.items()},
        "TableDataModule": "tabular benchmarks, for TableSearch",
    },
    "predict": {
        "NewExamples": "new examples in files or folders, of the kind --data.kind (the default)",
    },
}
"""This package's data modules for each verb, by the names that ``--data`` takes."""

EXAMPLES = {
    "fit": "-c meta_search --data.way 20 --trainer.max_epochs 3",
    "validate": "-c runs/latest/config.fit.yaml --ckpt_path runs/latest/checkpoints/last.ckpt",
    "test": "-c runs/latest/config.fit.yaml --ckpt_path runs/latest/checkpoints/last.ckpt",
    "search": "-c from_scratch --model.directory runs/mine",
    "predict": "model photo.jpg",
}

CHECKPOINTS = {
    "fit": "go on from this checkpoint (default: start from the beginning)",
    "validate": "the checkpoint to score",
    "test": "the checkpoint to score",
    "search": "a checkpoint of the model itself, which is rarely wanted",
}

PREDICT = {
    "EXPORTED PATH ...": "an exported network's folder and new examples, whatever kind it takes; or, by keys:",
    "--model.directory FOLDER": "an exported network's, or one in which it is the only one (must be given)",
    "--data.examples PATH ...": "files or folders of new examples (must be given)",
    "--data.kind KIND": "images, sounds, texts, rows, pairs or questions (default: images)",
    "--model.output FILE": "gets the whole table, CSV or JSON (default: predictions.csv); --csv prints it instead",
}
"""What ``predict`` is given of its model and its data."""

TRAINER = {
    "max_epochs": "stop after so many epochs",
    "accelerator": "cpu, gpu or another (default: the fastest that is there)",
    "devices": "how many of them, or their numbers, as in [0,1] (default: all)",
    "threads": "torch's threads on a CPU (default: 1, the fastest for small images)",
    "precision": "of numbers: 32-true, 16-mixed, bf16-mixed and others (default: 32-true)",
    "default_root_dir": "the run's directory (default: runs/latest; of a search model.directory)",
    "logger": "WandbLogger, TensorBoardLogger and others (default: CSV files)",
    "callbacks": "ArchitectureLogger, EpisodeProgressBar, SkipStop and others, as a list",
}
"""The most common of the Trainer's arguments; ``fit`` has them all, the other verbs all but the first."""

PHASE = {
    "verb": "the command: fit, test, search, report and others (must be given)",
    "name": "the phase's name, and its folder's (must be given)",
    "each": "protocol, method or both: one phase for each",
    "config": "configurations, relative to the file that names them",
    "args": "further arguments of the command",
    "per_seed": "once for each seed, or once (default: true)",
    "minutes": "how long it takes, for the estimate of what is left (default: 1.0)",
    "only_with": "an input, without which the phase is left out",
    "only_without": "an input, with which the phase is left out",
}
"""All keys of an experiment's phase."""

OPERANDS = {
    "auto": "DATA",
    "run": "[EXPERIMENT]",
    "predict": "EXPORTED PATH ...",
    "push": "FOLDER NAME/MODEL",
    "configs": "[NAME]",
}
"""What stands right after a verb, without keys."""

CALLS = {
    "auto": "my_images --minutes 10 --max_latency 5ms --output model",
    "run": "quick",
    "report": "--results runs/scratch/results.json",
    "push": "out NAME/MODEL --dry-run",
    "records": "--storage sqlite:///studies.db --write studies.jsonl",
    "dashboard": "--output dashboard.json",
    "configs": "meta_search",
}
"""An example of each."""


def whole_help() -> str:
    """What ``lit-metanas --help`` prints."""
    verbs = "\n".join(f"  {verb:<9} {text}" for verb, text in VERBS.items())
    return f"""usage: lit-metanas VERB [-c CONFIG ...] [--KEY VALUE ...]

Meta-learned neural architecture search: meta-train on many small tasks, then find a good network for a new task
in a few steps.

verbs:
{verbs}

Configurations are YAML files of your own, or shipped ones, which go by their names. Later ones override earlier ones,
key by key, and the command line overrides them all.

examples:
  lit-metanas auto my_images --minutes 10
  lit-metanas predict model new_images
  lit-metanas run quick
  lit-metanas run my_images --help

options:
  --help      this text; after a verb, its common keys
  --help-all  after a verb, all its keys
  --version   the version
  --debug     show tracebacks, and all that Lightning says
"""


def summary(verb: str) -> str:
    """What a verb does, as a sentence."""
    return f"{VERBS[verb][:1].upper()}{VERBS[verb][1:]}."


def verb_help(verb: str) -> str:
    """What ``lit-metanas VERB --help`` prints: what fits on a screen."""
    if verb in KEYS:
        return _all_keys(verb)
    model, flag = next(iter(MODELS[verb])), " [--csv]" if verb == "predict" else ""
    trainer = {f"--trainer.{key}": text for key, text in TRAINER.items() if verb == "fit" or key != "max_epochs"}
    options = {
        **(PREDICT if verb == "predict" else {}),
        "-c, --config FILE": "a configuration, in YAML; may be given several times",
        **({"--ckpt_path FILE": CHECKPOINTS[verb]} if verb in CHECKPOINTS else {}),
        "--seed_everything N": "seed of all random numbers (default: 0)",
        "--print_config": "print the whole configuration, and stop",
    }
    more = {
        f"lit-metanas {verb} --model.help {model}": "all arguments of a class",
        f"lit-metanas {verb} --help-all": "all keys, the rest of the Trainer's too",
    }
    return "\n".join([
        f"usage: {_command(verb)}{flag} [-c CONFIG ...] [--KEY VALUE ...]",
        "",
        summary(verb),
        "",
        *_section("options", options),
        *_section("models (--model CLASS, with its arguments as --model.ARGUMENT VALUE)", MODELS[verb]),
        *_section("data (--data CLASS, with its arguments as --data.ARGUMENT VALUE)", DATA[verb]),
        *_section("Lightning's Trainer", trainer),
        "Classes of this package go by their names, others by their paths, such as package.module.Class.",
        "",
        *_section("example", {example(verb): ""}),
        *_section("more", more),
    ])  # fmt: skip


def example(verb: str) -> str:
    """A whole command."""
    return f"lit-metanas {verb} {CALLS.get(verb) or EXAMPLES[verb]}"


def _command(verb: str) -> str:
    """A verb, and what stands right after it."""
    return " ".join(["lit-metanas", verb, *([OPERANDS[verb]] if verb in OPERANDS else [])])


def _all_keys(verb: str) -> str:
    """The help of a verb that is a function."""
    options = {
        "-c, --config FILE": "a configuration, in YAML; may be given several times",
        **{f"--{key} VALUE": text for key, text in KEYS[verb].items()},
        "--print_config": "print the whole configuration, and stop",
    }
    more = {"lit-metanas run EXPERIMENT --help": "what an experiment is for, and its inputs"}
    return "\n".join([
        f"usage: {_command(verb)} [-c CONFIG ...] [--KEY VALUE ...]",
        "",
        summary(verb),
        "",
        *_section("options", options),
        *(_section("keys of a phase", PHASE) if verb == "run" else []),
        *_section("example", {example(verb): ""}),
        *(_section("more", more) if verb == "run" else []),
    ])  # fmt: skip


def experiment_help(args: Sequence[str]) -> str:
    """What ``lit-metanas run EXPERIMENT --help`` prints: the first words of the files, and their inputs' values.

    It is empty where no file is given, or none that can be read: the experiment's keys are all that there is to say.
    """
    import yaml  # only where a file is given

    from lit_metanas.cli.configuration_files import with_bases
    from lit_metanas.cli.shipped_configurations import shown_path
    from lit_metanas.io.yaml_files import read_yaml

    lines: list[str] = []
    inputs: dict[str, str] = {}
    must: dict[str, str] = {}
    for path in (word.removeprefix("--config=") for word in with_bases(args, "run") if word.startswith("--config=")):
        with suppress(OSError, ValueError, yaml.YAMLError):  # run without --help says what is wrong
            tree, text = read_yaml(path), Path(path).read_text(encoding="utf-8")
            comments = takewhile(lambda line: line.startswith("#"), text.splitlines())
            lines += [f"{shown_path(path)}:", *(f"  {comment.lstrip('# ')}" for comment in comments), ""]
            given = tree.get("inputs") if isinstance(tree, dict) else None
            needs = tree.get("needs") if isinstance(tree, dict) else None
            inputs |= {f"--inputs.{name}": str(value) or "none" for name, value in dict(given or {}).items()}
            must |= {f"--inputs.{name}": str(value) for name, value in dict(needs or {}).items()}
    if not lines:
        return ""
    options = {
        "--directory FOLDER": "where everything goes",
        "--seeds [N, ...]": "the seeds; each has a folder of its own",
        "--jobs N": "how many seeds run side by side (default: 1)",
    }
    return "\n".join([
        *lines,
        *(_section("inputs, and what they are by default", inputs) if inputs else []),
        *(_section("inputs that must be there before it begins", must) if must else []),
        *_section("options", options),
        *_section("more", {"lit-metanas run --help": "all keys of an experiment"}),
    ])  # fmt: skip


def _section(title: str, rows: Mapping[str, str]) -> list[str]:
    width = max(len(name) for name in rows)
    return [f"{title}:", *(f"  {name:<{width}}  {text}".rstrip() for name, text in rows.items()), ""]

"""The verbs of the command line: their models, data and keys, and their help texts. It loads light modules alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lit_metanas.automl.options import NOT_OF_STUDENTS, STUDENT_FOLDER, shell_help

TRAINER_VERBS = {
    "fit": "meta-train on episodes, or train one child network",
    "validate": "score a checkpoint on the validation episodes",
    "test": "score a checkpoint on the held-out episodes",
    "search": "search an architecture for each target task, train it, score it, export it",
}
"""Verbs of Lightning's Trainer, each with what it does: they take a model and data."""

VERBS = {
    "auto": "find a network for your data within minutes, sizes and a latency",
    "distil": "find a small network that learns from an exported model",
    "run": "go through the phases of an experiment, in one directory",
    **TRAINER_VERBS,
    "predict": "run an exported network on new images, texts, sounds or rows",
    "report": "turn results into a table, figures and a Markdown page",
    "configs": "list the shipped configurations, or print one",
    "schema": "make a JSON schema, by which editors complete and check configurations",
}
"""All verbs, in the order in which the help lists them."""

LISTS: Mapping[str, Sequence[str]] = {
    "auto": ("--encoders",),
    "predict": ("--examples",),
    "report": ("--results",),
}
"""Options that take one file or several."""

META_SEARCH = {"MetaSearch": "learns, on episodes, weights and an architecture that adapt to new tasks"}
TASK_REPTILE = {"TaskReptile": "learns, on whole tasks of any objective, weights that a search of new ones begins with"}
MODELS: Mapping[str, Mapping[str, str]] = {
    "fit": {
        **META_SEARCH,
        **TASK_REPTILE,
        "MetaSurrogate": "learns to predict scores from the records of earlier searches",
    },
    "validate": {**META_SEARCH, **TASK_REPTILE},
    "test": META_SEARCH,
    "search": {
        "TargetSearch": "searches each task by each method; trains, scores and exports what was found",
        "SourceSearch": "searches one architecture for all tasks of a source, by successive halving",
        "TableSearch": "searches tabular benchmarks by query-based methods; nothing is trained",
    },
}
"""This package's models for each verb, by the names that ``--model`` takes."""

KEYS: Mapping[str, Mapping[str, str]] = {
    "auto": shell_help(output="model"),
    "distil": {
        "model": "the folder of an exported model, the teacher; may be the first word (must be given)",
        **shell_help(NOT_OF_STUDENTS, output=STUDENT_FOLDER),
    },
    "run": {
        "phases": "in order, each a mapping of the keys below (must be given)",
        "directory": "where everything goes (must be given)",
        "seeds": "the seeds, as in [0,1,2]; each has a folder of its own (default: [0])",
        "protocols": "names, for phases of each protocol",
        "methods": "names, for phases of each method, and what stands for what in them",
        "inputs": "what the user has to give, by name: --inputs.NAME VALUE",
        "args": "further arguments of all phases of a verb",
        "jobs": "how many steps run side by side (default: one for each core)",
    },
    "predict": {
        "model": "the folder of an exported network; may be the first word (must be given)",
        "examples": "files or folders of new examples; may be the words after it (must be given)",
        "kind": "images, sounds, texts, rows, pairs, questions or a class path, if it is not that of the network",
        "output": "gets the whole table, CSV or JSON; --csv prints it instead (default: predictions.csv)",
    },
    "report": {
        "results": "one or several results.json (must be given)",
        "output": "folder for the report (default: report)",
        "reference": "method that all others are compared with, pair by pair",
        "scratch": "search from scratch that the pay-off of meta-training is counted against "
        "(default: the most accurate method that searches without meta-training)",
        "probabilities": "probabilities.json of a fit, for the heat map",
        "architectures": "architectures.json, to draw (default: those of exported networks)",
        "next_step": "command to suggest at the end (default: one that uses the best exported network)",
        "subject": "method of which one sentence says what it won over the reference, and what it cost",
    },
    "configs": {"name": "the configuration to print; may be the first word (default: a list of all)"},
    "schema": {"path": "the file to write; may be the first word (default: it is printed)"},
}
"""All keys of the verbs that are functions."""

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
}
"""This package's data modules for each verb, by the names that ``--data`` takes."""

EXAMPLES = {
    "auto": "my_images --minutes 10 --max_latency 5ms --output model",
    "distil": "model my_images --max_size 200kB",
    "run": "quick",
    "fit": "-c meta_search --data.way 20 --trainer.max_epochs 3",
    "validate": "-c runs/latest/config.fit.yaml --ckpt_path runs/latest/checkpoints/last.ckpt",
    "test": "-c runs/latest/config.fit.yaml --ckpt_path runs/latest/checkpoints/last.ckpt",
    "search": "-c from_scratch --model.directory runs/mine",
    "predict": "model photo.jpg",
    "report": "--results runs/scratch/results.json",
    "configs": "meta_search",
    "schema": "schema.json",
}

CHECKPOINTS = {
    "fit": "go on from this checkpoint (default: start from the beginning)",
    "validate": "the checkpoint to score",
    "test": "the checkpoint to score",
    "search": "a checkpoint of the model itself, which is rarely wanted",
}

TRAINER = {
    "max_epochs": "stop after so many epochs",
    "accelerator": "cpu, gpu or another (default: the fastest that is there)",
    "devices": "how many of them, or their numbers, as in [0,1] (default: all)",
    "threads": "torch's threads on a CPU (default: 1, the fastest for small images)",
    "precision": "of numbers: auto, 32-true, bf16-mixed and others (default: 32-true)",
    "default_root_dir": "the run's directory (default: runs/latest; of a search model.directory)",
    "logger": "WandbLogger, TensorBoardLogger and others (default: CSV files)",
    "callbacks": "ArchitectureLogger, ReplicaCheck, SkipStop and others, as a list",
}
"""The most common of the Trainer's arguments; ``fit`` has them all, the other verbs all but the first."""

PHASE = {
    "verb": "the command: fit, test, search, report and others (must be given)",
    "name": "the phase's name, and its folder's (must be given)",
    "each": "protocol, method or both: one phase for each",
    "config": "configurations, relative to the file that names them",
    "args": "further arguments of the command",
    "per_seed": "once for each seed, or once (default: true)",
    "needs": "names of the earlier phases that it needs (default: all)",
    "only_with": "an input, without which the phase is left out",
    "only_without": "an input, with which the phase is left out",
}
"""All keys of an experiment's phase."""

OPERANDS = {
    "auto": "DATA",
    "distil": "MODEL DATA",
    "run": "[EXPERIMENT]",
    "predict": "EXPORTED PATH ... [--csv]",
    "configs": "[NAME]",
    "schema": "[PATH]",
}
"""What stands right after a verb, without keys."""

CONFIG = {"-c, --config FILE": "a configuration, in YAML; may be given several times"}
PRINT = {"--print_config": "print the whole configuration, and stop"}


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
  lit-metanas configs my_images

options:
  --help      this text; after a verb, its common keys
  --help-all  after a verb, all its keys
  --version   the version
  --debug     show tracebacks, and all that Lightning says
"""


def verb_help(verb: str) -> str:
    """What ``lit-metanas VERB --help`` prints: what fits on a screen."""
    if verb in KEYS:
        return _all_keys(verb)
    options = {
        **CONFIG,
        "--ckpt_path FILE": CHECKPOINTS[verb],
        "--seed_everything N": "seed of all random numbers (default: 0)",
        **PRINT,
    }
    trainer = {f"--trainer.{key}": text for key, text in TRAINER.items() if verb == "fit" or key != "max_epochs"}
    return "\n".join([
        *_head(verb),
        *_section("options", options),
        *_section("models (--model CLASS, with its arguments as --model.ARGUMENT VALUE)", MODELS[verb]),
        *_section("data (--data CLASS, with its arguments as --data.ARGUMENT VALUE)", DATA[verb]),
        *_section("Lightning's Trainer", trainer),
        "Classes of this package go by their names, others by their paths, such as package.module.Class.",
        "",
        *_section("example", {example(verb): ""}),
        *_section("more", {
            f"lit-metanas {verb} --model.help {next(iter(MODELS[verb]))}": "all arguments of a class",
            f"lit-metanas {verb} --help-all": "all keys, the rest of the Trainer's too",
        }),
    ])  # fmt: skip


def example(verb: str) -> str:
    """A whole command."""
    return f"lit-metanas {verb} {EXAMPLES[verb]}"


def _head(verb: str) -> list[str]:
    words = ["usage: lit-metanas", verb, OPERANDS.get(verb, ""), "[-c CONFIG ...] [--KEY VALUE ...]"]
    return [" ".join(filter(None, words)), "", f"{VERBS[verb][:1].upper()}{VERBS[verb][1:]}.", ""]


def _all_keys(verb: str) -> str:
    phase, more = dict[str, str](), dict[str, str]()
    if verb == "run":
        phase, more = PHASE, {"lit-metanas configs EXPERIMENT": "what an experiment is for, and its inputs"}
    return "\n".join([
        *_head(verb),
        *_section("options", {**CONFIG, **{f"--{key} VALUE": text for key, text in KEYS[verb].items()}, **PRINT}),
        *_section("keys of a phase", phase),
        *_section("example", {example(verb): ""}),
        *_section("more", more),
    ])  # fmt: skip


def _section(title: str, rows: Mapping[str, str]) -> list[str]:
    if not rows:
        return []
    width = max(len(name) for name in rows)
    return [f"{title}:", *(f"  {name:<{width}}  {text}".rstrip() for name, text in rows.items()), ""]

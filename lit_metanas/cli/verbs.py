"""The verbs of the command line, the models that they take, and keys. Only light modules are loaded for it."""

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
        "jobs": "how many seeds run side by side (default: one for each core)",
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
        "reference": "method that all others are compared with",
        "scratch": "search from scratch that the pay-off of meta-training is counted against",
        "probabilities": "probabilities.json of a fit, for the heat map",
        "architectures": "architectures.json, to draw (default: those of exported networks)",
        "next_step": "command to suggest at the end (default: one that uses the best exported network)",
        "subject": "method of which one sentence says what it won over the reference, and what it cost",
    },
    "configs": {"name": "the configuration to print; may be the first word (default: a list of all)"},
    "schema": {"path": "the file to write; may be the first word (default: it is printed)"},
}
"""All keys of the verbs that are functions."""

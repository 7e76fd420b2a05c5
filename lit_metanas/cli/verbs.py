"""The verbs of the command line, the models that they take, and keys. Nothing is loaded for it."""

from collections.abc import Mapping, Sequence

TRAINER_VERBS = {
    "fit": "meta-train on episodes, or train one child network",
    "validate": "score a checkpoint on the validation episodes",
    "test": "score a checkpoint on the held-out episodes",
    "search": "search an architecture for each target task, train it, score it, export it",
    "predict": "run an exported network on new images, texts, sounds or rows",
}
"""Verbs of Lightning's Trainer, each with what it does: they take a model and data."""

VERBS = {
    "auto": "find a network for your data within minutes, sizes and a latency",
    "run": "go through the phases of an experiment, in one directory",
    **TRAINER_VERBS,
    "report": "turn results into a table, figures and a Markdown page",
    "push": "send an exported network with its model card to the Hugging Face Hub",
    "records": "move searches between an Optuna storage and files of records",
    "dashboard": "make a Weights & Biases workspace of what was logged",
    "configs": "list the shipped configurations, or print one",
}
"""All verbs, in the order in which the help lists them."""

LISTS: Mapping[str, Sequence[str]] = {
    "predict": ("--data.examples",),
    "report": ("--results",),
    "records": ("--read",),
}
"""Options that take one file or several."""

META_SEARCH = {"MetaSearch": "learns, on episodes, weights and an architecture that adapt to new tasks"}
TASK_REPTILE = {"TaskReptile": "learns, on whole tasks of any objective, weights that a search of new ones begins with"}
MODELS: Mapping[str, Mapping[str, str]] = {
    "fit": {
        **META_SEARCH,
        **TASK_REPTILE,
        "MetaSurrogate": "learns to predict scores from the records of earlier searches",
        "Child": "trains the network of one architecture, on a data module of your own",
    },
    "validate": {**META_SEARCH, **TASK_REPTILE},
    "test": META_SEARCH,
    "search": {
        "TargetSearch": "searches each task by each method; trains, scores and exports what was found",
        "SourceSearch": "searches one architecture for all tasks of a source, by successive halving",
        "TableSearch": "searches tabular benchmarks by query-based methods; nothing is trained",
    },
    "predict": {"ExportedModel": "runs an exported network (the default)"},
}
"""This package's models for each verb, by the names that ``--model`` takes."""

KEYS: Mapping[str, Mapping[str, str]] = {
    "auto": {
        "data": "a folder or file, which may stand first, without --data (must be given)",
        "minutes": "how long all may take; one is enough for small data, pairs need two (default: 10)",
        "output": "folder for the network, a report and the records (default: model)",
        "kind": "images, sounds, transcripts, texts, rows, pairs or questions, if it cannot be found out",
        "test": "the test part, given as the data are (default: some of them)",
        "group": "whole groups in each part: a column, folder (class/group/file), or (p[0-9]+)_ in files' names",
        "min_per_class": "classes with fewer examples are left out (default: those that cannot be divided)",
        "objective": "the path of an objective's class, such as grades.Ordinal (default: to tell classes apart)",
        "start": "a checkpoint that `fit` of TaskReptile wrote, for all networks to begin with",
        "max_parameters": "most trainable parameters",
        "max_flops": "most multiply-adds for one input",
        "max_latency": "most time for one input, as in 5ms, measured on this machine",
        "latency_batch": "inputs at once that max_latency is for (default: 1)",
        "max_size": "most bytes of the exported program, as in 500kB",
        "pareto": "a whole front: networks that trade accuracy against parameters (if none is named), flops or latency",
        "onnx": "true, or --onnx alone: the network as model.onnx, too, for onnxruntime (default: false)",
        "int8": "true, or --int8 alone: and with weights of 8 bits, and what these cost (default: false)",
        "flops": "training FLOPs instead of minutes, as an earlier result tells them: [1e11,2e11]",
        "seed": "of search and training (default: 0)",
        "threads": "torch's threads, in training and for the latency (default: 1)",
    },
    "run": {
        "phases": "in order, each a mapping of the keys below (must be given)",
        "directory": "where everything goes (must be given)",
        "seeds": "the seeds, as in [0,1,2]; each has a folder of its own (default: [0])",
        "protocols": "names, for phases of each protocol",
        "methods": "names, for phases of each method, and what stands for what in them",
        "inputs": "what the user has to give, by name: --inputs.NAME VALUE",
        "args": "further arguments of all phases of a verb",
        "needs": "inputs that must be files or folders, and what each is",
        "jobs": "how many seeds run side by side (default: 1)",
        "pace": "how long the phases take, in times of their minutes (default: 1.0)",
    },
    "report": {
        "results": "one or several results.json (must be given, but for --leaderboard)",
        "output": "folder for the report (default: report)",
        "reference": "method that all others are compared with",
        "scratch": "search from scratch that the pay-off of meta-training is counted against",
        "probabilities": "probabilities.json of a fit, for the heat map",
        "architectures": "architectures.json, to draw (default: those of exported networks)",
        "next_step": "command to suggest at the end (default: one that uses the best exported network)",
        "leaderboard": "a folder; all results in it become one sortable page, leaderboard.html",
        "subject": "method of which one sentence says what it won over the reference, and what it cost",
    },
    "push": {
        "folder": "the exported network's; may be the first word (must be given)",
        "repo": "the repository, as NAME/MODEL; may be the second word (must be given)",
        "dry_run": "true, or --dry-run alone: check the card and list what would be sent (default: false)",
        "license": "of the network, by the Hub's names, as in apache-2.0, for the card (default: what it says)",
    },
    "records": {
        "storage": "address of Optuna's storage, as in sqlite:///studies.db (must be given)",
        "write": "a file that gets a line for each study",
        "read": "files of records, whose lines become studies",
        "study": "only studies whose names begin so; with --read, what the new names begin with",
        "prefix": "of the parameters of anyone's studies that are choices (default: arch.)",
        "space": "the class or file of the space whose choices they are (default: all parameters but floats)",
    },
    "dashboard": {
        "entity": "the user or team of the project (default: the one that is logged in)",
        "project": "the project of the runs (default: lit-metanas)",
        "name": "the workspace's name (default: lit-metanas)",
        "output": "a file for the specification; then nothing is sent, and no login is needed",
    },
    "configs": {"name": "the configuration to print; may be the first word (default: a list of all)"},
}
"""All keys of the verbs that are functions."""

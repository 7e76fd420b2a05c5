"""The verbs of the command line."""

TRAINER_VERBS = {
    "fit": "meta-train on episodes, or train one child network",
    "validate": "score a checkpoint on the validation episodes",
    "test": "score a checkpoint on the held-out episodes",
    "search": "search an architecture for each target task, train it, score it, export it",
    "predict": "classify new images with an exported network",
}
"""Verbs of Lightning's Trainer, each with what it does: they take a model and data."""

VERBS = {
    "run": "go through the phases of an experiment, in one directory",
    **TRAINER_VERBS,
    "report": "turn results into a table, figures and a Markdown page",
    "records": "move searches between an Optuna storage and files of records",
    "dashboard": "make a Weights & Biases workspace of what was logged",
}
"""All verbs, in the order in which the help lists them."""

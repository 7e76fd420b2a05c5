"""Gradient boosting and extra-trees on tables, with scikit-learn's defaults.

From the folder ``benchmarks``: ``python -m references.row_forests train.csv test.csv``, each a table with a column
``label``.
"""

import csv
from pathlib import Path

import numpy as np
from references.clock_training import main
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.preprocessing import OrdinalEncoder

MODELS = {
    "HistGradientBoosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
    "ExtraTrees": lambda seed: ExtraTreesClassifier(500, n_jobs=-1, random_state=seed),
}
MISSING = ("", "?", "NA", "nan", "null")


def read(file):
    """The columns of a table, a dictionary of texts, and the labels."""
    with Path(file).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {name: [row[name] for row in rows] for name in rows[0] if name != "label"}, [row["label"] for row in rows]


def numbers(learned, tested):
    """A column as numbers; categories in the order of the alphabet, and what is missing as NaN."""
    try:
        return [
            np.array([np.nan if value in MISSING else float(value) for value in part]) for part in (learned, tested)
        ]
    except ValueError:
        code = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan).fit(np.array([learned]).T)
        return [code.transform(np.array([part]).T)[:, 0] for part in (learned, tested)]


def run(train, test, seconds, seed, model="HistGradientBoosting"):
    """The accuracy on ``test``; it takes seconds."""
    columns = [numbers(train[0][name], test[0][name]) for name in train[0]]
    learned, tested = (np.stack(part, 1) for part in zip(*columns, strict=True))
    return MODELS[model](seed).fit(learned, train[1]).score(tested, test[1])


if __name__ == "__main__":
    main(read, run, MODELS)

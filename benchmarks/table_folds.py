"""``auto`` on tables against a line of scikit-learn, in five folds.

    python benchmarks/table_folds.py --data FOLDER --flops 2e11 --tables housing german

A folder of data holds ``tables.zip``. Numbers are judged by R², classes by balanced accuracy; classes and numbers
are divided into folds by scikit-learn. The references take categories one-hot, and gaps as the median, or as
HistGradientBoosting does. Each fold is printed as a line of JSON, and the means of all at the end.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from zipfile import ZipFile

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import lit_metanas as lm

NUMBERS = ("housing", "abalone", "auto_imports")
CLASSES = ("german", "breast-cancer", "horse-colic", "mammography")
FOLDS = 5
Rows = list[list[str]]


def read_table(folder: Path, name: str) -> tuple[list[str], Rows]:
    """The names of the columns, of which the last one is predicted, and the rows of a table."""
    kind = "numbers" if name in NUMBERS else "classes"
    with ZipFile(folder / "tables.zip") as archive:
        names, *rows = csv.reader(io.StringIO(archive.read(f"{kind}/{name}.csv").decode()))
    return names, [row for row in rows if row]


def cells_of(rows: Rows) -> tuple[Any, list[int]]:
    """The cells to learn from, and which columns are of categories."""
    cells = np.array([row[:-1] for row in rows], dtype=object)
    categories = []
    for place, column in enumerate(cells.T):
        try:
            cells[:, place] = [float("nan" if cell in ("", "?") else cell) for cell in column]
        except ValueError:
            categories.append(place)
    return cells, categories


def references(numbers: bool, categories: list[int]) -> Mapping[str, Any]:
    """A linear model and boosted trees."""
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    filled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    plain = make_column_transformer((one_hot, categories), remainder=filled)
    trees = make_column_transformer((one_hot, categories), remainder="passthrough")
    if numbers:
        return {
            "linear": make_pipeline(plain, Ridge()),
            "trees": make_pipeline(trees, HistGradientBoostingRegressor(random_state=0)),
        }
    return {
        "linear": make_pipeline(plain, LogisticRegression(class_weight="balanced", max_iter=5000)),
        "trees": make_pipeline(trees, HistGradientBoostingClassifier(random_state=0)),
    }


def by_auto(names: list[str], train: Rows, test: Rows, numbers: bool, budget: Mapping[str, float], seed: int) -> Any:
    """The result of ``auto`` on both parts as files."""
    with TemporaryDirectory() as folder:
        paths = [Path(folder, part) for part in ("train.csv", "test.csv")]
        for path, rows in zip(paths, (train, test), strict=True):
            path.write_text("\n".join(",".join(row) for row in [names, *rows]), encoding="utf-8")
        how: dict[str, Any] = {"objective": "regression"} if numbers else {"metric": "balanced_accuracy"}
        given = {"kind": "rows", "label": names[-1], "seed": seed, "progress": False, "workers": 1, **budget, **how}
        return lm.auto(paths[0], test=paths[1], **given)


def folds_of(labels: list[str], numbers: bool) -> list[tuple[Any, Any]]:
    """The places to learn from, and to test, of each fold."""
    divide = KFold if numbers else StratifiedKFold
    return [*divide(FOLDS, shuffle=True, random_state=0).split(np.zeros(len(labels)), labels)]


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tables", nargs="+", default=[*NUMBERS, *CLASSES])
    parser.add_argument("--flops", type=float)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--folds", type=int, nargs="+", default=[*range(FOLDS)])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--references", action="store_true", help="these alone")
    given = parser.parse_args()
    budget = {"minutes": given.minutes} if given.flops is None else {"flops": given.flops}
    warnings.simplefilter("ignore")
    for name in given.tables:
        names, rows = read_table(given.data, name)
        numbers, scores = name in NUMBERS, dict[str, list[float]]()
        labels = [row[-1] for row in rows]
        score: Callable[..., float] = r2_score if numbers else balanced_accuracy_score
        targets = np.array(labels, dtype=float) if numbers else np.array(labels)
        cells, categories = cells_of(rows)
        for fold, (learned, tested) in enumerate(folds_of(labels, numbers)):
            if fold not in given.folds:
                continue
            for method, model in references(numbers, categories).items():
                said = model.fit(cells[learned], targets[learned]).predict(cells[tested])
                scores.setdefault(method, []).append(float(score(targets[tested], said)))
            train, test = ([rows[place] for place in places] for places in (learned, tested))
            for seed in [] if given.references else given.seeds:
                begin = perf_counter()
                result = by_auto(names, train, test, numbers, budget, seed)
                scores.setdefault("auto", []).append(float(result.test_score))
                line = {
                    "table": name,
                    "fold": fold,
                    "seed": seed,
                    "test": result.test_score,
                    "val": result.val_score,
                }
                line |= {"seconds": round(perf_counter() - begin), "budget": result.budget, "rival": result.rival}
                line |= {"architecture": dict(result.architecture), "recipe": str(result.recipe)}
                print(json.dumps(line, default=str), flush=True)
        print(json.dumps({"table": name, **{method: fmean(own) for method, own in scores.items()}}), flush=True)


if __name__ == "__main__":
    main()

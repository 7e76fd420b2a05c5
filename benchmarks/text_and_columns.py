"""Tickets whose urgency is a matter of their text and of their columns: both, one alone, and pipelines of scikit-learn.

    python benchmarks/text_and_columns.py --data FOLDER --flops 3e10 --seeds 0 1 2

The texts are requests of ``clinc150.json``, of ten domains. Customer, hour and amount are drawn, and the urgency
follows from all by a formula with noise: no reader of the texts or of the columns alone can know it. Each run is
printed as a line of JSON, and the means over seeds at the end.
"""

from __future__ import annotations

import argparse
import csv
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import lit_metanas as lm

COLUMNS = ["request", "customer", "hour", "amount", "urgency"]
CUSTOMERS = {"new": -0.8, "regular": 0.0, "business": 0.8}
KINDS = ("tables", "texts", "rows")
TESTED = 0.25


def tickets(folder: Path, number: int) -> list[list[str]]:
    """Rows of ``COLUMNS``."""
    draw = np.random.default_rng(0)
    requests = json.loads((folder / "clinc150.json").read_text(encoding="utf-8"))
    pairs, domains = requests["train"], requests["domains"]
    domain_of = {intent: place for place, intents in enumerate(domains.values()) for intent in intents}
    weights = draw.permutation(np.linspace(-1.5, 1.5, len(domains)))
    by_day = draw.permutation(np.arange(len(domains)) % 2 == 0)
    rows = []
    for place in draw.permutation(len(pairs))[:number].tolist():
        text, intent = pairs[place]
        domain = domain_of[requests["intents"][intent]]
        customer, hour, amount = str(draw.choice([*CUSTOMERS])), int(draw.integers(24)), float(draw.lognormal(3, 1))
        near = 1.0 if (8 <= hour < 20) == by_day[domain] else -1.0  # what is urgent by day, or by night
        score = weights[domain] + CUSTOMERS[customer] + 0.4 * (np.log(amount) - 3) + near + 0.3 * draw.normal()
        urgency = ("low", "usual", "high")[int(score > -0.7) + int(score > 0.7)]
        rows.append([text, customer, str(hour), "" if draw.random() < 0.1 else f"{amount:.2f}", urgency])
    return rows


def pipelines() -> dict[str, Any]:
    """Words by tf-idf, categories one-hot: a linear model, and boosted trees of the 500 most frequent words."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    parts = [(OneHotEncoder(), [1]), (numbers, [2, 3])]
    words, frequent = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), TfidfVectorizer(max_features=500)
    dense = FunctionTransformer(lambda found: found.toarray() if hasattr(found, "toarray") else found)
    return {
        "logistic regression": make_pipeline(
            make_column_transformer((words, 0), *parts), LogisticRegression(C=10, max_iter=2000)
        ),
        "boosted trees": make_pipeline(
            make_column_transformer((frequent, 0), *parts), dense, HistGradientBoostingClassifier(random_state=0)
        ),
    }


def cells_of(rows: Sequence[Sequence[str]]) -> Any:
    """The cells to learn from, as scikit-learn takes them."""
    return np.array([[text, name, float(hour), float(amount or "nan")] for text, name, hour, amount, _ in rows], object)


def main() -> None:
    """Run all methods."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--flops", type=float, default=3e10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--kinds", nargs="+", default=[*KINDS])
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    rows, found = tickets(given.data, given.rows), dict[str, list[float]]()
    last = round(len(rows) * (1 - TESTED))
    train, test = rows[:last], rows[last:]
    for name, model in pipelines().items():
        model.fit(cells_of(train), [row[-1] for row in train])
        found[name] = [100 * float(model.score(cells_of(test), [row[-1] for row in test]))]
        print(json.dumps({"method": name, "test": found[name][0]}), flush=True)
    with TemporaryDirectory() as folder:
        paths = [Path(folder, part) for part in ("train.csv", "test.csv")]
        for path, part in zip(paths, (train, test), strict=True):
            with path.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([COLUMNS, *part])
        for kind in given.kinds:
            for seed in given.seeds:
                begin, how = perf_counter(), {"kind": kind, "label": COLUMNS[-1], "seed": seed}
                result = lm.auto(paths[0], test=paths[1], flops=given.flops, workers=1, progress=False, **how)
                found.setdefault(kind, []).append(100 * result.test_accuracy)
                line = {"method": kind, "seed": seed, "test": 100 * result.test_accuracy, "rival": result.rival}
                line |= {"seconds": round(perf_counter() - begin), "tried": result.cost.queries, "space": result.space}
                print(json.dumps(line | {"architecture": dict(result.architecture)}), flush=True)
    for name, values in found.items():
        spread = f" ± {stdev(values):.1f} over {len(values)} seeds" if len(values) > 1 else ""
        print(f"{name}: {fmean(values):.1f} %{spread}", flush=True)


if __name__ == "__main__":
    main()

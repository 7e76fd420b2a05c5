"""Run the exported network beside this file: on series, a .csv or .tsv file each. Each answer is a line of JSON."""

import argparse
import csv
import importlib
import json
import sys
from bisect import bisect_left
from collections.abc import Iterator
from math import exp, isinf, isnan, nan, tanh
from pathlib import Path
from typing import Any


def without_gaps(channel: list[float], mean: float) -> list[float]:
    """A channel whose missing values are interpolated in time, or the mean if nothing of it is known."""
    known = [at for at, value in enumerate(channel) if not isnan(value)] or [-1]
    found = []
    for at, value in enumerate(channel):
        place = bisect_left(known, at)
        first, last = known[max(0, place - 1)], known[min(place, len(known) - 1)]
        if first < 0:
            value = mean
        elif isnan(value):
            share = max(0, min(1, (at - first) / max(1, last - first)))
            value = channel[first] + share * (channel[last] - channel[first])
        found.append(value)
    return found


def scaled_series(file: Path, made: dict[str, Any]) -> list[list[float]]:
    """The input of a file's series: its channels, scaled, averaged and padded, and the mask; ``(features, steps)``."""
    form: Any = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if file.suffix.lower() == ".tsv" else {"strict": True}
    missing, channels = ("", "na", "n/a", "nan", "null", "none", "?"), list[list[float]]()
    try:
        head, *rows = [row for row in csv.reader(file.read_text(encoding="utf-8-sig").split("\n"), **form) if row]
        head = [name.strip() for name in head]
        if wrong := [name for name in made["names"] if head.count(name) != 1]:
            raise ValueError(f"it does not name the column '{wrong[0]}' once")
        places = [head.index(name) for name in made["names"]] or list(range(len(head)))
        if len(places) != len(made["means"]):
            raise ValueError(f"it has {len(places)} columns, and {len(made['means'])} were learned from")
        if wide := [row for row in rows if len(row) != len(head)]:
            raise ValueError(f"it has {len(wide[0])} values for {len(head)} columns")
        texts = [[row[at].strip().lower().replace("_", "x") for row in rows] for at in places]
        channels = [[nan if text in missing else float(ascii(text)[1:-1]) for text in own] for own in texts]
        if any(isinf(value) for own in channels for value in own):
            raise ValueError("it has an infinite number")
        count = max((at + 1 for own in channels for at, value in enumerate(own) if not isnan(value)), default=0)
        if not count:
            raise ValueError("it has no value")
    except (OSError, ValueError, csv.Error) as error:
        raise SystemExit(f"{file} cannot be read ({error}): fix it.") from None
    every, steps, inputs = made["every"], made["steps"], []
    for own, mean, deviation in zip(channels, made["means"], made["deviations"], strict=True):
        scaled = [max(-100.0, min(100.0, (one - mean) / deviation)) for one in without_gaps(own[:count], mean)]
        parts = [scaled[at : at + every] for at in range(0, count, every)][:steps]
        inputs.append([sum(part) / len(part) for part in parts])
    return [own + [0.0] * (steps - len(own)) for own in [*inputs, [1.0] * len(inputs[0])]]


def _columns(row: list[float], names: list[str], goal: dict[str, Any]) -> dict[str, Any]:
    """Probabilities, those of the prediction first; several labels; or numbers with the ends of their intervals."""
    if "thresholds" in goal:
        shares = [0.5 + 0.5 * tanh(score / 2) for score in row]
        found = [name for share, name, least in zip(shares, names, goal["thresholds"], strict=True) if share >= least]
        return {"labels": found} | {f"p({name})": share for name, share in zip(names, shares, strict=True)}
    if "means" not in goal:
        shifted = [score + more for score, more in zip(row, goal.get("shift", [0.0] * len(row)), strict=True)]
        shares = [exp(score - max(shifted)) for score in shifted]
        found = sorted(zip(row, shares, names, strict=True), reverse=True)
        return {name: share / sum(shares) for _, share, name in found}
    ends = {"prediction": 0}
    if "reaches" in goal:
        ends |= {"lower": -1, "upper": 1}
    shown = [f"({name})" * (len(names) > 1) for name in names]
    named = list(zip(shown, row, goal.get("reaches", row), strict=True))
    return {end + name: value + sign * reach for name, value, reach in named for end, sign in ends.items()}


def _each_file(paths: list[Path], read: Any) -> Iterator[Any]:
    """What is read of each file, also in folders. One that cannot be read is named; null stands in its line."""
    for file in [file for path in paths for file in (sorted(path.rglob("[!.]*.*")) if path.is_dir() else [path])]:
        try:
            yield read(file)
        except SystemExit as error:
            _left_out.append(file)
            print(error, file=sys.stderr)
            print("null")


_left_out = list[Path]()

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--model", default="model.pt2", help="model.pt2 by torch, model.onnx by onnxruntime and numpy")
    given, folder = parser.parse_args(), Path(__file__).resolve().parent
    about, path = json.loads((folder / "model.json").read_text(encoding="utf-8")), str(folder / given.model)
    if path.endswith(".pt2"):
        lib: Any = importlib.import_module("torch")
        run: Any = lib.export.load(path).module()
    else:
        lib, session = importlib.import_module("numpy"), importlib.import_module("onnxruntime").InferenceSession(path)
        run = lambda inputs: session.run(None, {"inputs": inputs})[0]  # noqa: E731
    for inputs in _each_file(given.files, lambda file: scaled_series(file, about["input"]["preprocessing"])):
        scores = run(lib.asarray([inputs], dtype=lib.float32)).tolist()[0]
        print(json.dumps(_columns(scores, about["classes"], about.get("objective", {})), ensure_ascii=False))
    if _left_out:
        sys.exit(1)

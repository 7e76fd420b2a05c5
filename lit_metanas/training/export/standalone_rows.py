"""Run the exported network beside this file: on tables, .csv or .tsv. Each row's answer is a line of JSON."""

import argparse
import csv
import importlib
import json
from math import isinf, isnan, nan
from pathlib import Path
from typing import Any


def scale_number(value: float, scale: list[float]) -> float:
    """A number by the mean and deviation of its column, or as the normal score that 49 quantiles give; 0 if missing."""
    if isnan(value) or len(scale) == 2:
        return 0.0 if isnan(value) else max(-1000.0, min(1000.0, (value - scale[0]) / scale[1]))
    first, last = sum(knot < value for knot in scale), sum(knot <= value for knot in scale)
    place = (first + last - 1) / 2
    if first == last and 0 < first < len(scale):  # quartered, since the difference of two large numbers is infinite
        place += (value / 4 - scale[first - 1] / 4) / (scale[first] / 4 - scale[first - 1] / 4) - 0.5
    return max(0.0, min(48.0, place)) / 8 - 3


def scaled_rows(file: Path, made: dict[str, Any]) -> list[list[float]]:
    """The inputs of a table's rows: the columns that the network looks at, and the share that is missing."""
    scales = made.get("knots") or list(zip(made["means"], made["deviations"], strict=True))
    form: Any = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if file.suffix.lower() == ".tsv" else {"strict": True}
    missing, inputs = ("", "na", "n/a", "nan", "null", "none", "?"), []
    try:
        lines = csv.reader(file.read_text(encoding="utf-8-sig").split("\n"), **form)
        head = [name.strip() for name in next(lines, [])]
        if wrong := [name for name in made["names"] if head.count(name) != 1]:
            raise ValueError(f"it does not name the column '{wrong[0]}' once")
        places = [head.index(name) for name in made["names"]] or range(len(scales))
        for row in (row for row in lines if len(row) > 1 or "".join(row).strip()):
            if len(row) != (width := len(head) if made["names"] else len(scales)):
                raise ValueError(f"it has {len(row)} values for {width} columns")
            texts = [ascii(row[at].strip().lower().replace("_", "x"))[1:-1] for at in places]  # other digits fail
            if any(map(isinf, numbers := [nan if text in missing else float(text) for text in texts])):
                raise ValueError("it has an infinite number")
            inputs.append([*map(scale_number, numbers, scales), sum(map(isnan, numbers)) / len(numbers)])
    except (OSError, ValueError, csv.Error) as error:
        raise SystemExit(f"{file} cannot be read ({error}; rows before: {len(inputs)}): fix it.") from None
    return inputs


def _numbers(row: list[float], names: list[str], goal: dict[str, Any]) -> dict[str, float]:
    """Numbers by their columns, with both ends of their intervals if these are known."""
    ends = {"prediction": 0, "lower": -1, "upper": 1} if "reaches" in goal else {"prediction": 0}
    shown = [f"({name})" if len(names) > 1 else "" for name in names]
    named = list(zip(shown, row, goal.get("reaches", row), strict=True))
    return {end + name: value + sign * reach for name, value, reach in named for end, sign in ends.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--model", default="model.pt2", help="model.pt2 by torch, model.onnx by onnxruntime and numpy")
    given, folder = parser.parse_args(), Path(__file__).resolve().parent
    about, path = json.loads((folder / "model.json").read_text(encoding="utf-8")), str(folder / given.model)
    session = None if path.endswith(".pt2") else importlib.import_module("onnxruntime").InferenceSession(path)
    lib: Any = importlib.import_module("numpy" if session else "torch")
    run: Any = (lambda inputs: session.run(None, {"inputs": inputs})[0]) if session else lib.export.load(path).module()
    rows = [row for file in given.files for row in scaled_rows(file, about["input"]["preprocessing"])]
    for at in range(0, len(rows), 64):
        for row in run(lib.asarray(rows[at : at + 64], dtype=lib.float32)).tolist():
            if "objective" in about:
                print(json.dumps(_numbers(row, about["classes"], about["objective"]), ensure_ascii=False))
                continue
            shares = lib.exp(lib.asarray(row, dtype=lib.float64) - max(row))
            named = sorted(zip((shares / shares.sum()).tolist(), about["classes"], strict=True))
            print(json.dumps({name: share for share, name in named[::-1]}, ensure_ascii=False))

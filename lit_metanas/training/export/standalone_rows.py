"""Run the exported network beside this file: on tables, .csv or .tsv. Each row's answer is a line of JSON."""

import argparse
import csv
import importlib
import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from io import StringIO
from itertools import pairwise
from math import isfinite, tanh
from pathlib import Path
from typing import Any
from unicodedata import category, normalize

GAPS = ("", "na", "n/a", "nan", "null", "none", "?")


def number_in(text: str) -> float:
    """A number, or a boolean as 1 or 0."""
    plain = ascii(text.lower().replace("_", "x"))[1:-1]  # other digits fail
    number = float({"true": "1", "false": "0"}.get(plain, plain))
    if not isfinite(number):
        raise ValueError("it has an infinite number")
    return number


def standardised(value: float, part: dict[str, Any]) -> float:
    """A number by mean and deviation."""
    return max(-1000.0, min(1000.0, (value - part["mean"]) / part["deviation"]))


def normal_score(value: float, knots: list[float]) -> float:
    """The normal score of a number among 49 quantiles."""
    first, last = sum(knot < value for knot in knots), sum(knot <= value for knot in knots)
    place = (first + last - 1) / 2
    if first == last and 0 < first < len(knots):  # quartered, since the difference of two large numbers is infinite
        place += (value / 4 - knots[first - 1] / 4) / (knots[first] / 4 - knots[first - 1] / 4) - 0.5
    return max(0.0, min(48.0, place)) / 8 - 3


def cell_numbers(text: str, column: dict[str, Any]) -> list[float]:
    """What the network gets of a cell that is no gap, by the kind of its column."""
    if column["kind"] == "number":
        return [standardised(number_in(text), column)]
    if column["kind"] == "quantiles":
        return [normal_score(number_in(text), column["knots"])]
    if column["kind"] == "pieces":
        value, edges = number_in(text), [edge / 4 for edge in column["edges"]]
        pieces = [max(0.0, min(1.0, (value / 4 - low) / (high - low))) for low, high in pairwise(edges)]
        return [standardised(value, column["number"]), *pieces]
    if column["kind"] == "categories":
        known = [*column["categories"], *[None] * column["rare"]]
        place = known.index(text[:200]) if text[:200] in known else len(column["categories"])
        return [float(place == own) for own in range(len(known))]
    iso, form = text.replace("Z", "+00:00"), column["form"]
    date = datetime.fromisoformat(iso) if form == "ISO 8601" else datetime.strptime(text, form)
    parts = (date.year, date.month, date.weekday(), date.hour)
    return [standardised(value, part) for value, part in zip(parts, column["parts"], strict=True)]


def gap_numbers(column: dict[str, Any]) -> list[float]:
    """What the network gets of a gap."""
    if column["kind"] == "pieces":
        edges = len(column["edges"])
        return [0.0, *(float(place < edges // 2) for place in range(edges - 1))]
    sizes = {"categories": len(column.get("categories", ())) + column.get("rare", 0), "dates": 4}
    return [0.0] * sizes.get(column["kind"], 1)


def _n_grams(words: list[str], text: str, across: bool) -> list[str]:
    """Words and pairs behind a tab, nothing, and pieces of two to five characters; or pieces of words alone."""
    begin, end = ("\t", "") if across else (" ", " ")
    whole = [begin + " ".join(words[at : at + size]) + end for size in (1, 2) for at in range(len(words) - size + 1)]
    lines = ["", f" {' '.join(text.split())} "] if across else whole[: len(words)]
    cut = (one[at : at + size] for one in lines for size in range(2, 6) for at in range(len(one) - 1))
    return list(dict.fromkeys([*whole, *lines[:across], *cut]))


def tokens_of_texts(texts: list[str], part: dict[str, Any]) -> list[list[int]]:
    """The words, n-grams, characters or byte pairs of each text by number, padded and cut."""
    kind, steps = part["kind"], part["steps"]
    known = {piece: number for number, piece in enumerate(part["pieces" if kind == "byte pairs" else kind], 2)}
    texts = [normalize("NFC", text[: 100 * steps]) for text in texts]
    if kind == "byte pairs":
        tokenizers = importlib.import_module("tokenizers")
        pairs = tokenizers.models.BPE(vocab=known, merges=[tuple(pair) for pair in part["merges"]])
        tokenizer = tokenizers.Tokenizer(pairs)
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        found = [tokenizer.encode(normalize("NFC", text.lower())).ids for text in texts]
    elif kind in ("words", "grams"):
        signs = "".join(sign for sign in map(chr, range(0x300, 0x20D0)) if category(sign)[0] == "M")
        words = re.compile(rf"[\w{signs}]+(?:['’][\w{signs}]+)*|\S")
        texts = [normalize("NFC", text.lower()) for text in texts]
        rows = [words.findall(text) for text in texts]
        if kind == "grams":
            known[""] = 1
            cut = [_n_grams(*both, part.get("across", False)) for both in zip(rows, texts, strict=True)]
            rows = [[gram for gram in row if gram in known] for row in cut]
        found = [[known.get(word, 1) for word in row] for row in rows]
    else:
        found = [[known.get(character, 1) for character in text] for text in texts]
    return [((row or [1]) + [0] * steps)[:steps] for row in found]


def encoded_rows(file: Path, made: dict[str, Any]) -> list[list[float]]:
    """The inputs of a table's rows: those of the columns that the network looks at, and the share that is missing.

    If a text is read, too, its tokens stand behind them.
    """
    form: Any = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if file.suffix.lower() == ".tsv" else {"strict": True}
    reads, names = made.get("places", []), made["names"]
    columns = made["columns"]["columns"] if reads else made["columns"]
    free = [at for at in range(len(columns) + len(reads)) if at not in reads]
    used = [(at, one) for at, one in zip(free, columns, strict=True) if one["kind"] != "unused"]
    wanted, inputs, texts = [*(at for at, _ in used), *reads], list[list[float]](), list[str]()
    try:
        lines = csv.reader(StringIO(file.read_text(encoding="utf-8-sig")), **form)
        head = [name.strip() for name in next(lines, [])]
        if wrong := [names[at] for at in wanted if names and head.count(names[at]) != 1]:
            raise ValueError(f"it does not name the column '{wrong[0]}' once")
        places = {at: head.index(names[at]) if names else at for at in wanted}
        for row in (row for row in lines if len(row) > 1 or "".join(row).strip()):
            if len(row) != (width := len(head) if names else len(free) + len(reads)):
                raise ValueError(f"it has {len(row)} values for {width} columns")
            found, gaps = list[float](), 0
            for at, column in used:
                gap = (text := row[places[at]].strip()).lower() in GAPS
                found += gap_numbers(column) if gap else cell_numbers(text, column)
                found += [float(gap)] * column["gaps"]
                gaps += gap
            inputs.append([*found, gaps / len(used)])
            read = (row[places[at]].strip() for at in reads)
            texts.append("\n".join(text for text in read if text.lower() not in GAPS))
    except (OSError, ValueError, csv.Error) as error:
        raise SystemExit(f"{file} cannot be read ({error}; rows before: {len(inputs)}): fix it.") from None
    if not reads:
        return inputs
    return [[*row, *tokens] for row, tokens in zip(inputs, tokens_of_texts(texts, made["tokens"]), strict=True)]


def _columns(row: list[float], names: list[str], goal: dict[str, Any]) -> dict[str, Any]:
    """Several labels with all probabilities, or numbers with both ends of their intervals if these are known."""
    if "thresholds" in goal:
        shares = [0.5 + 0.5 * tanh(score / 2) for score in row]
        found = [name for share, name, least in zip(shares, names, goal["thresholds"], strict=True) if share >= least]
        return {"labels": found} | {f"p({name})": share for name, share in zip(names, shares, strict=True)}
    ends = {"prediction": 0}
    if "reaches" in goal:
        ends |= {"lower": -1, "upper": 1}
    shown = [f"({name})" * (len(names) > 1) for name in names]
    named = list(zip(shown, row, goal.get("reaches", row), strict=True))
    return {end + name: value + sign * reach for name, value, reach in named for end, sign in ends.items()}


def _each_file(paths: list[Path], read: Any) -> Iterator[Any]:
    """What is read of each file, also in folders. One that cannot be read is named, and left out."""
    for file in [file for path in paths for file in (sorted(path.rglob("[!.]*.*")) if path.is_dir() else [path])]:
        try:
            yield read(file)
        except SystemExit as error:
            _left_out.append(file)
            print(error, file=sys.stderr)


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
    tables = _each_file(given.files, lambda file: encoded_rows(file, about["input"]["preprocessing"]))
    rows = [row for table in tables for row in table]
    for at in range(0, len(rows), 64):
        for row in run(lib.asarray(rows[at : at + 64], dtype=lib.float32)).tolist():
            if {"means", "thresholds"} & about.get("objective", {}).keys():
                print(json.dumps(_columns(row, about["classes"], about["objective"]), ensure_ascii=False))
                continue
            shares = lib.exp(lib.asarray(row, dtype=lib.float64) - max(row))
            named = sorted(zip((shares / shares.sum()).tolist(), about["classes"], strict=True))
            print(json.dumps({name: share for share, name in named[::-1]}, ensure_ascii=False))
    if _left_out:
        sys.exit(1)

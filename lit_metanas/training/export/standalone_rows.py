"""Run the exported network beside this file: on tables, .csv or .tsv. Each row's answer is a line of JSON."""

import csv
import json
from datetime import datetime
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Any

from lit_metanas.training.export.standalone_parts import (
    each_file,
    lines_of_table,
    named_answer,
    numbered_tokens,
    open_model,
)

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
    match column["kind"]:
        case "number":
            return [standardised(number_in(text), column)]
        case "quantiles":
            return [normal_score(number_in(text), column["knots"])]
        case "pieces":
            value, edges = number_in(text), [edge / 4 for edge in column["edges"]]
            pieces = [max(0.0, min(1.0, (value / 4 - low) / (high - low))) for low, high in pairwise(edges)]
            return [standardised(value, column["number"]), *pieces]
        case "categories":
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


def encoded_rows(file: Path, made: dict[str, Any]) -> list[list[float]]:
    """The inputs of a table's rows: those of the columns that the network looks at, and the share that is missing."""
    # If a text is read, too, its tokens stand behind them.
    reads, names = made.get("places", []), made["names"]
    columns = made["columns"]["columns"] if reads else made["columns"]
    free = [at for at in range(len(columns) + len(reads)) if at not in reads]
    used = [(at, one) for at, one in zip(free, columns, strict=True) if one["kind"] != "unused"]
    wanted, inputs, texts = [*(at for at, _ in used), *reads], list[list[float]](), list[str]()
    try:
        lines = iter(lines_of_table(file))
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
    return [[*row, *tokens] for row, tokens in zip(inputs, numbered_tokens(texts, made["tokens"]), strict=True)]


if __name__ == "__main__":
    files, about, lib, run = open_model(__doc__)
    for rows in each_file(files, lambda file: encoded_rows(file, about["input"]["preprocessing"])):
        for at in range(0, len(rows), 64):
            for row in run(lib.asarray(rows[at : at + 64], dtype=lib.float32)).tolist():
                print(json.dumps(named_answer(row, about, lib), ensure_ascii=False))

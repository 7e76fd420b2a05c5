"""Run the exported network beside this file: on series, a .csv or .tsv file each. Each answer is a line of JSON."""

import csv
import json
from bisect import bisect_left
from math import isinf, isnan, nan
from pathlib import Path
from typing import Any

from lit_metanas.training.export.standalone_parts import each_file, lines_of_table, named_answer, open_model


def without_gaps(channel: list[float], mean: float) -> list[float]:
    """A channel whose missing values are interpolated in time, or the mean if nothing of it is known."""
    known, found = [at for at, value in enumerate(channel) if not isnan(value)], list(channel)
    if not known:
        return [mean] * len(channel)
    for at in {*range(len(channel))} - {*known}:
        place = bisect_left(known, at)
        first, last = known[max(0, place - 1)], known[min(place, len(known) - 1)]
        share = max(0, min(1, (at - first) / max(1, last - first)))
        found[at] = channel[first] + share * (channel[last] - channel[first])
    return found


def scaled_series(file: Path, made: dict[str, Any]) -> list[list[float]]:
    """The input of a file's series: its channels, scaled, averaged and padded, and the mask; ``(features, steps)``."""
    missing, channels = ("", "na", "n/a", "nan", "null", "none", "?"), list[list[float]]()
    try:
        head, *rows = [row for row in lines_of_table(file) if row]
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


if __name__ == "__main__":
    files, about, lib, run = open_model(__doc__)
    for inputs in each_file(files, lambda file: scaled_series(file, about["input"]["preprocessing"]), "null"):
        row = run(lib.asarray([inputs], dtype=lib.float32)).tolist()[0]
        print(json.dumps(named_answer(row, about, lib), ensure_ascii=False))

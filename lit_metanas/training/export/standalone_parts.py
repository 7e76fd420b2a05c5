"""Functions that the scripts of exports share: each script gets the source of those that it imports."""

import argparse
import csv
import gzip
import importlib
import json
import re
import sys
from collections.abc import Iterator
from io import StringIO
from itertools import groupby
from math import tanh
from pathlib import Path
from typing import Any
from unicodedata import category, normalize


def numbered_tokens(texts: list[str], part: dict[str, Any]) -> list[list[int]]:
    """The words, n-grams, characters or byte pairs of each text by number, padded and cut."""

    def grams(words: list[str], text: str) -> list[str]:  # words and pairs, nothing, and pieces; or pieces of words
        begin, end = ("\t", "") if (across := part.get("across", False)) else (" ", " ")
        places = [(at, at + size) for size in (1, 2) for at in range(len(words) - size + 1)]
        whole = [begin + " ".join(words[first:last]) + end for first, last in places]
        lines = ["", f" {' '.join(text.split())} "] if across else whole[: len(words)]
        cut = (one[at : at + size] for one in lines for size in range(2, 6) for at in range(len(one) - 1))
        return list(dict.fromkeys([*whole, *lines[:across], *cut]))

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
            rows = [[gram for gram in grams(*both) if gram in known] for both in zip(rows, texts, strict=True)]
        found = [[known.get(word, 1) for word in row] for row in rows]
    else:
        found = [[known.get(character, 1) for character in text] for text in texts]
    return [((row or [1]) + [0] * steps)[:steps] for row in found]


def open_model(said: str | None) -> tuple[list[Path], dict[str, Any], Any, Any]:
    """The files of the command, the description of the network, the library that runs it, and what does so."""
    parser = argparse.ArgumentParser(description=said)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--model", default="model.pt2", help="model.pt2 by torch, model.onnx by onnxruntime and numpy")
    given, folder = parser.parse_args(), Path(__file__).resolve().parent
    about, path = json.loads((folder / "model.json").read_text(encoding="utf-8")), str(folder / given.model)
    if path.endswith(".pt2"):
        torch = importlib.import_module("torch")
        return given.files, about, torch, torch.export.load(path).module()
    session = importlib.import_module("onnxruntime").InferenceSession(path)
    return given.files, about, importlib.import_module("numpy"), lambda inputs: session.run(None, {"inputs": inputs})[0]


def lines_of_table(file: Path) -> list[list[str]]:
    """The lines of a table, by what divides the first one into the most columns; decimal commas become points."""
    content = gzip.decompress(file.read_bytes()) if file.suffix.lower() == ".gz" else file.read_bytes()
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig").lstrip("\r\n")
    except UnicodeDecodeError:
        text = content.decode("cp1252").lstrip("\r\n")
    if ".tsv" in file.name.lower():
        return list(csv.reader(StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE))
    first = re.split(r"[\r\n]", text, maxsplit=1)[0]
    separator = max(",;\t|", key=re.sub('"[^"]*"', "", first).count)
    head, *lines = list(csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)) or [[]]
    number = re.compile(r"([-+]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?)?")  # as spreadsheets write it, or a gap
    for place in range(len(head) * (separator == ";")):
        cells = [line[place].strip() for line in lines if len(line) == len(head)]
        if any("," in cell for cell in cells) and all(map(number.fullmatch, cells)):
            for line in lines:
                line[place : place + 1] = [cell.replace(".", "").replace(",", ".") for cell in line[place : place + 1]]
    return [head, *lines]


def each_file(paths: list[Path], read: Any, instead: str = "") -> Iterator[Any]:
    """What is read of each file, also in folders. One that cannot be read is named; ``instead`` stands in its line."""
    left_out = False
    for file in [file for path in paths for file in (sorted(path.rglob("[!.]*.*")) if path.is_dir() else [path])]:
        try:
            yield read(file)
        except SystemExit as error:
            left_out = True
            print(error, file=sys.stderr)
            if instead:
                print(instead)
    if left_out:
        sys.exit(1)


def named_answer(row: list[Any], about: dict[str, Any], lib: Any) -> Any:
    """Shares of classes; several labels and all probabilities; numbers and ends of their intervals; or symbols."""
    names, goal = about["classes"], about.get("objective", {})
    match goal:
        case {"thresholds": least}:
            shares = [0.5 + 0.5 * tanh(score / 2) for score in row]
            found = [name for share, name, own in zip(shares, names, least, strict=True) if share >= own]
            return {"labels": found} | {f"p({name})": share for name, share in zip(names, shares, strict=True)}
        case {"means": _}:
            ends = {"prediction": 0}
            if "reaches" in goal:
                ends |= {"lower": -1, "upper": 1}
            shown = [f"({name})" * (len(names) > 1) for name in names]
            named = list(zip(shown, row, goal.get("reaches", row), strict=True))
            return {end + name: value + sign * reach for name, value, reach in named for end, sign in ends.items()}
        case {"kind": kind} if kind != "classification":
            best = lib.asarray(row).argmax(-1).tolist()  # of each step; in transcripts repetitions are one, 0 no symbol
            return " ".join(names[symbol - 1] for symbol, _ in groupby(best) if symbol) if names else best
    shift = goal.get("shift", [0.0] * len(row))  # the class of the highest score is predicted, however probable it is
    scores = lib.asarray([score + more for score, more in zip(row, shift, strict=True)], dtype=lib.float64)
    powers = lib.exp(scores - scores.max())
    ranked = sorted(zip(row, (powers / powers.sum()).tolist(), names, strict=True), reverse=True)
    return {name: share for _, share, name in ranked}

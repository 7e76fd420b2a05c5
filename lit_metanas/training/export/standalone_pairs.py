"""Run the exported network beside this file: on .txt files, a text a line. What it writes of each is a line of JSON."""

import argparse
import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unicodedata import category, normalize


def _n_grams(words: list[str], text: str, across: bool) -> list[str]:
    """Words and pairs behind a tab, nothing, and pieces of two to five characters; or pieces of words alone."""
    begin, end = ("\t", "") if across else (" ", " ")
    whole = [begin + " ".join(words[at : at + size]) + end for size in (1, 2) for at in range(len(words) - size + 1)]
    lines = ["", f" {' '.join(text.split())} "] if across else whole[: len(words)]
    cut = (one[at : at + size] for one in lines for size in range(2, 6) for at in range(len(one) - 1))
    return list(dict.fromkeys([*whole, *lines[:across], *cut]))


def source_tokens(texts: list[str], part: dict[str, Any]) -> list[list[int]]:
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


def written_text(tokens: list[int], part: dict[str, Any]) -> str:
    """What tokens say, up to the end, 0. Between words are spaces, but for marks that stand close to a neighbour."""
    kind, end = part["kind"], [*tokens, 0].index(0)
    if kind == "byte pairs":
        pieces = [part["pieces"][token - 2] for token in tokens[:end] if token > 1]
        return " ".join(importlib.import_module("tokenizers").decoders.ByteLevel().decode(pieces).split())
    found = [part[kind][token - 2] if token > 1 else "\N{REPLACEMENT CHARACTER}" for token in tokens[:end]]
    joined = re.sub(r" (?=[.,;:!?%)\]}’。，、])|(?<=[(\[{¿¡]) ", "", " ".join(found))
    return joined if kind == "words" else "".join(found)


def read_lines(file: Path) -> list[str]:
    """The texts of a file."""
    try:
        content = file.read_text(encoding="utf-8-sig").rstrip()
    except (OSError, ValueError) as error:
        raise SystemExit(f"{file} cannot be read ({error}): give a file in UTF-8, a text a line.") from None
    return [line.strip() for line in content.split("\n")] if content else []


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
    for texts in _each_file(given.files, read_lines):
        rows = source_tokens(texts, about["input"]["preprocessing"])
        for at in range(0, len(rows), 64):
            for row in run(lib.asarray(rows[at : at + 64], dtype=lib.int64)).argmax(-1).tolist():
                print(json.dumps(written_text(row, about["objective"]["target"]), ensure_ascii=False))
    if _left_out:
        sys.exit(1)

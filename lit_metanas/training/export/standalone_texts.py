"""Run the exported network beside this file: on .txt files, a text a line. Each text's answer is a line of JSON."""

import importlib
import json
import re
from itertools import chain
from pathlib import Path
from typing import Any
from unicodedata import normalize

from lit_metanas.training.export.standalone_parts import each_file, named_answer, numbered_tokens, open_model


def pretrained_tokens(texts: list[str], part: dict[str, Any]) -> list[list[int]]:
    """The tokens of each text by the tokenizer of an encoder, padded and cut."""
    made, steps = importlib.import_module("tokenizers").Tokenizer.from_str("".join(part["tokenizer"])), part["steps"]
    rows = (made.encode(normalize("NFC", text[: 100 * steps]), add_special_tokens=False).ids for text in texts)
    return [([2 + number for number in row[:steps]] or [1]) + [0] * (steps - max(1, len(row))) for row in rows]


def written_text(tokens: list[int], part: dict[str, Any]) -> str:
    """What tokens say, up to the end, 0. Between words are spaces, but for marks that stand close to a neighbour."""
    kind, end = part["kind"], [*tokens, 0].index(0)
    if kind == "byte pairs":
        pieces = [part["pieces"][token - 2] for token in tokens[:end] if token > 1]
        return " ".join(importlib.import_module("tokenizers").decoders.ByteLevel().decode(pieces).split())
    found = [part[kind][token - 2] if token > 1 else "\N{REPLACEMENT CHARACTER}" for token in tokens[:end]]
    joined = re.sub(r" (?=[.,;:!?%)\]}’。，、])|(?<=[(\[{¿¡]) ", "", " ".join(found))
    return joined if kind == "words" else "".join(found)


def read_texts(file: Path, made: dict[str, Any]) -> list[list[int]]:
    """The tokens of each line of a file, by one preprocessing, or by two, one behind the other."""
    try:
        content = file.read_text(encoding="utf-8-sig").rstrip()
    except (OSError, ValueError) as error:
        raise SystemExit(f"{file} cannot be read ({error}): give a file in UTF-8, a text a line.") from None
    texts = [line.strip() for line in content.split("\n") if content]
    readers = {"pretrained tokens": pretrained_tokens}
    parts = [readers.get(part["kind"], numbered_tokens)(texts, part) for part in made.get("parts", [made])]
    return [list(chain(*tokens)) for tokens in zip(*parts, strict=True)]


if __name__ == "__main__":
    files, about, lib, run = open_model(__doc__)
    target = about.get("objective", {}).get("target")
    for rows in each_file(files, lambda file: read_texts(file, about["input"]["preprocessing"])):
        for at in range(0, len(rows), 64):
            scores = run(lib.asarray(rows[at : at + 64], dtype=lib.int64))
            if target:
                answers = [written_text(row, target) for row in scores.argmax(-1).tolist()]
            else:
                answers = [named_answer(row, about, lib) for row in scores.tolist()]
            for answer in answers:
                print(json.dumps(answer, ensure_ascii=False))

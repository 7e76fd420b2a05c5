"""Run the exported network beside this file: on images, or .npy files of inputs (n, ...)."""

import argparse
import ast
import importlib
import json
import re
import sys
from collections.abc import Iterator
from itertools import chain, groupby
from math import exp, tanh
from pathlib import Path
from typing import Any


def read_inputs(file: Path, about: dict[str, Any], lib: Any) -> Any:
    """Inputs ``(n, ...)`` of a file, as torch or numpy holds them."""
    kind, *size = about.get("shape") or ["image", about["channels"], about["height"], about["width"]]
    if file.suffix == ".npy":
        kinds = {"|u1": "uint8", "<f4": "float32", "<f8": "float64", "<i8": "int64"}
        header, data = file.read_bytes()[10:].split(b"\n", 1)
        if (head := ast.literal_eval(header.decode()))["fortran_order"] or head["descr"] not in kinds:
            raise SystemExit(f"{file} does not hold {' or '.join(kinds.values())}, row by row: convert it.")
        inputs = lib.frombuffer(bytearray(data), dtype=getattr(lib, kinds[head["descr"]])).reshape(head["shape"])
    elif kind != "image":
        raise SystemExit(f"{file} is not read by this script: give .npy of {kind} {size}, or run lit-metanas predict.")
    else:
        try:
            (pil := importlib.import_module("PIL.ImageOps")).exif_transpose(raw := pil.Image.open(file), in_place=True)
            drawn = pil.Image.alpha_composite(pil.Image.new("RGBA", raw.size, "white"), raw.convert("RGBA"))
            if re.match("I;16|I (PNG|PPM)", f"{raw.mode} {raw.format}"):  # Pillow would cut 16 bits off at 255
                drawn = raw.convert("I").point(lambda value: (value + 128.25) / 257).convert("L")
            elif raw.mode in ("I", "F"):
                raise ValueError("its pixels have 32 bits")
            pixels = bytearray(drawn.convert("L" if size[0] == 1 else "RGB").resize(size[:0:-1], 2).tobytes())
        except Exception as error:
            raise SystemExit(f"{file} is no image that can be read ({error}): leave it out.") from None
        inputs = lib.moveaxis(lib.frombuffer(pixels, dtype=lib.uint8).reshape((1, *size[1:], size[0])), -1, 1)
    if list(inputs.shape[1:]) != (size[1:] if kind == "tokens" else size):
        raise SystemExit(f"{file} has inputs of shape {list(inputs.shape[1:])}, and the network is for {kind} {size}.")
    given = lib.asarray(inputs, dtype=lib.int64 if kind == "tokens" else lib.float32)
    return given / 255 if inputs.dtype == lib.uint8 and kind == "image" else given


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
    words, folder = parser.parse_args(), Path(__file__).resolve().parent
    about, path = json.loads((folder / "model.json").read_text(encoding="utf-8")), str(folder / words.model)
    if path.endswith(".pt2"):
        lib: Any = importlib.import_module("torch")
        run: Any = lib.export.load(path).module()
    else:
        lib, session = importlib.import_module("numpy"), importlib.import_module("onnxruntime").InferenceSession(path)
        run = lambda inputs: session.run(None, {"inputs": inputs})[0]  # noqa: E731
    inputs = _each_file(words.files, lambda file: run(read_inputs(file, about["input"], lib)).tolist())
    for row in chain.from_iterable(inputs):
        names, goal = about["classes"], about.get("objective", {})
        if {"means", "thresholds"} & goal.keys() or goal.get("kind", "classification") == "classification":
            told: Any = _columns(row, names, goal)
        else:  # of each step; in transcripts repetitions are one, and 0 is no symbol
            best = lib.asarray(row).argmax(-1).tolist()
            told = " ".join(names[symbol - 1] for symbol, _ in groupby(best) if symbol) if names else best
        print(json.dumps(told, ensure_ascii=False))
    if _left_out:
        sys.exit(1)

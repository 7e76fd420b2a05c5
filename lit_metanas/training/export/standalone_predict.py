"""Run the exported network beside this file: on images, or .npy files of inputs (n, ...)."""

import argparse
import ast
import importlib
import json
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from math import tanh
from pathlib import Path
from typing import Any

OWN_FOLDER = Path(__file__).resolve().parent
ARRAY_KINDS = {"|u1": "uint8", "<f4": "float32", "<f8": "float64", "<i8": "int64"}
"""The numbers that .npy files may hold, as these and as torch and numpy name them."""


def open_model(name: str) -> tuple[Any, Any]:
    """The library that holds tensors, and the function that runs the network."""
    path = str(OWN_FOLDER / name)
    if path.endswith(".pt2"):
        torch = importlib.import_module("torch")
        return torch, torch.export.load(path).module()
    session = importlib.import_module("onnxruntime").InferenceSession(path)
    return importlib.import_module("numpy"), lambda inputs: session.run(None, {"inputs": inputs})[0]


def array_of_file(file: Path, lib: Any) -> Any:
    """The array of a .npy file, which torch alone does not read."""
    header, data = file.read_bytes()[10:].split(b"\n", 1)
    head = ast.literal_eval(header.decode())
    if head["fortran_order"] or head["descr"] not in ARRAY_KINDS:
        raise SystemExit(f"{file} does not hold {' or '.join(ARRAY_KINDS.values())}, row by row: convert it.")
    return lib.frombuffer(bytearray(data), dtype=getattr(lib, ARRAY_KINDS[head["descr"]])).reshape(head["shape"])


def image_pixels(file: Path, channels: int, height: int, width: int, lib: Any) -> Any:
    """An image, upright and without transparency, of the network's size and colours; (1, channels, height, width)."""
    pil = importlib.import_module("PIL.ImageOps")
    try:
        raw = pil.Image.open(file)
        pil.exif_transpose(raw, in_place=True)
        drawn = pil.Image.alpha_composite(pil.Image.new("RGBA", raw.size, "white"), raw.convert("RGBA"))
        if re.match("I;16|I (PNG|PPM)", f"{raw.mode} {raw.format}"):  # Pillow would cut 16 bits off at 255
            drawn = raw.convert("I").point(lambda value: (value + 128.25) / 257).convert("L")
        elif raw.mode in ("I", "F"):
            raise ValueError("its pixels have 32 bits")
        drawn = drawn.convert("L" if channels == 1 else "RGB").resize((width, height), pil.Image.Resampling.BILINEAR)
    except Exception as error:
        raise SystemExit(f"{file} is no image that can be read ({error}): leave it out.") from None
    pixels = lib.frombuffer(bytearray(drawn.tobytes()), dtype=lib.uint8)
    return lib.moveaxis(pixels.reshape((1, height, width, channels)), -1, 1)


def read_inputs(file: Path, about: dict[str, Any], lib: Any) -> Any:
    """Inputs ``(n, ...)`` of a file, as torch or numpy holds them."""
    kind, *size = about.get("shape") or ["image", about["channels"], about["height"], about["width"]]
    if file.suffix == ".npy":
        inputs = array_of_file(file, lib)
    elif kind == "image":
        channels, height, width = size
        inputs = image_pixels(file, channels, height, width, lib)
    else:
        raise SystemExit(f"{file} is not read by this script: give .npy of {kind} {size}, or run lit-metanas predict.")
    if list(inputs.shape[1:]) != (size[1:] if kind == "tokens" else size):
        raise SystemExit(f"{file} has inputs of shape {list(inputs.shape[1:])}, and the network is for {kind} {size}.")
    given = lib.asarray(inputs, dtype=lib.int64 if kind == "tokens" else lib.float32)
    if inputs.dtype == lib.uint8 and kind == "image":
        given = given / 255
    return given


def named_labels(scores: list[float], names: list[str], thresholds: list[float]) -> dict[str, Any]:
    """The labels whose probabilities reach their thresholds, and all probabilities."""
    shares = [0.5 + 0.5 * tanh(score / 2) for score in scores]
    found = [name for share, name, least in zip(shares, names, thresholds, strict=True) if share >= least]
    return {"labels": found} | {f"p({name})": share for name, share in zip(names, shares, strict=True)}


def named_numbers(values: list[float], names: list[str], reaches: list[float] | None) -> dict[str, float]:
    """The numbers that are predicted, and the ends of their intervals, if these are known."""
    answer = dict[str, float]()
    for place, (name, value) in enumerate(zip(names, values, strict=True)):
        end = f"({name})" if len(names) > 1 else ""
        answer[f"prediction{end}"] = value
        if reaches:
            answer |= {f"lower{end}": value - reaches[place], f"upper{end}": value + reaches[place]}
    return answer


def named_classes(row: list[float], names: list[str], shift: list[float] | None, lib: Any) -> dict[str, float]:
    """The probabilities of all classes. The class of the highest score comes first, however probable it is."""
    scores = lib.asarray(row, dtype=lib.float64)
    if shift:
        scores = scores + lib.asarray(shift, dtype=lib.float64)
    powers = lib.exp(scores - scores.max())
    ranked = sorted(zip(row, (powers / powers.sum()).tolist(), names, strict=True), reverse=True)
    return {name: share for _, share, name in ranked}


def named_answer(row: list[Any], about: dict[str, Any], lib: Any) -> Any:
    """What the network's output for one input says, by the names of classes, labels, numbers or symbols."""
    names, goal = about["classes"], about.get("objective", {})
    if "thresholds" in goal:
        return named_labels(row, names, goal["thresholds"])
    if "means" in goal:
        return named_numbers(row, names, goal.get("reaches"))
    if goal.get("kind", "classification") == "classification":
        return named_classes(row, names, goal.get("shift"), lib)
    best = lib.asarray(row).argmax(-1).tolist()  # of each step
    if not names:
        return best
    return " ".join(names[symbol - 1] for symbol, _ in groupby(best) if symbol)  # repetitions are one, 0 is no symbol


def each_file(paths: list[Path]) -> Iterator[Path]:
    """The files, also those in folders."""
    for path in paths:
        if path.is_dir():
            yield from sorted(path.rglob("[!.]*.*"))
        else:
            yield path


def print_answers() -> None:
    """Print an answer for each input, a line of JSON; a file that cannot be read is named, and gets ``null``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--model", default="model.pt2", help="model.pt2 by torch, model.onnx by onnxruntime and numpy")
    given = parser.parse_args()
    about = json.loads((OWN_FOLDER / "model.json").read_text(encoding="utf-8"))
    lib, run = open_model(given.model)
    left_out = False
    for file in each_file(given.files):
        try:
            inputs = read_inputs(file, about["input"], lib)
        except SystemExit as error:
            left_out = True
            print(error, file=sys.stderr)
            print("null")
            continue
        for row in run(inputs).tolist():
            print(json.dumps(named_answer(row, about, lib), ensure_ascii=False))
    if left_out:
        sys.exit(1)


if __name__ == "__main__":
    print_answers()

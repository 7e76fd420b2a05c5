"""Run the exported network beside this file: on images, or .npy files of inputs (n, ...)."""

import ast
import importlib
import json
import re
from itertools import chain
from pathlib import Path
from typing import Any

from lit_metanas.training.export.standalone_parts import each_file, named_answer, open_model


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
            pixels = bytearray(drawn.convert({1: "L"}.get(size[0], "RGB")).resize(size[:0:-1], 2).tobytes())
        except Exception as error:
            raise SystemExit(f"{file} is no image that can be read ({error}): leave it out.") from None
        inputs = lib.moveaxis(lib.frombuffer(pixels, dtype=lib.uint8).reshape((1, *size[1:], size[0])), -1, 1)
    if list(inputs.shape[1:]) != size[kind == "tokens" :]:
        raise SystemExit(f"{file} has inputs of shape {list(inputs.shape[1:])}, and the network is for {kind} {size}.")
    given = lib.asarray(inputs, dtype={"tokens": lib.int64}.get(kind, lib.float32))
    if inputs.dtype == lib.uint8 and kind == "image":
        return given / 255
    return given


if __name__ == "__main__":
    files, about, lib, run = open_model(__doc__)
    inputs = each_file(files, lambda file: run(read_inputs(file, about["input"], lib)).tolist(), "null")
    for row in chain.from_iterable(inputs):
        print(json.dumps(named_answer(row, about, lib), ensure_ascii=False))

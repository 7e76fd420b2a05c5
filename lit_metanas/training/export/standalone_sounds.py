"""Run the exported network beside this file: on WAV files, others by soundfile. Each answer is a line of JSON."""

import argparse
import importlib
import json
import sys
import wave
from collections.abc import Iterator
from math import ceil, exp, log2, log10, pi, tanh
from pathlib import Path
from typing import Any


def heard_sound(file: Path, to: int, seconds: int, lib: Any) -> Any:
    """The first seconds of a file, one channel in [-1, 1], resampled to a rate by a windowed sinc function."""
    try:
        if file.suffix.lower() == ".wav":
            with wave.open(str(file)) as wav:
                (channels, width, rate, *_), data = wav.getparams(), wav.readframes(wav.getframerate() * seconds)
            places = range(0, len(data), width)
            ints = [int.from_bytes(data[at : at + width], "little", signed=width > 1) for at in places]
            sound = (lib.asarray(ints) / 2 ** (8 * width - 1)).reshape(-1, channels).mean(1) - int(width == 1)
        else:
            with importlib.import_module("soundfile").SoundFile(str(file)) as other:
                rate, found = other.samplerate, other.read(other.samplerate * seconds, always_2d=True)
            sound = lib.asarray(found).mean(1)
    except (EOFError, ImportError, OSError, ValueError, RuntimeError, wave.Error) as error:
        raise SystemExit(f"{file} cannot be read ({error}): save it as a plain WAV file of whole numbers.") from None
    cut, reach = 1.0 if rate == to else 0.95 * min(1.0, to / rate), ceil(8 * max(1.0, rate / to) / 0.95)
    padded = lib.concatenate([lib.zeros(reach), sound, lib.zeros(reach + rate // to + 2)])
    places = lib.arange(ceil(len(sound) * to / rate)) * rate
    apart = (cut * (near - lib.asarray(places % to, dtype=lib.float64) / to) for near in range(-reach, reach + 2))
    weights = [lib.sinc(one) * lib.cos(one.clip(-8, 8) * pi / 16) ** 2 for one in apart]
    return sum(weight * padded[places // to + tap] for tap, weight in enumerate(weights)) / sum(weights)


def log_mel(file: Path, made: dict[str, Any], lib: Any) -> Any:
    """The logarithm of a sound's energy in bands, step by step, and the mask: shape ``(bins + 1, steps)``."""
    rate, steps, highest = made["rate"], made["steps"], made["highest"] or made["rate"] / 2
    window, hop = max(2, round(made["window"] * rate)), max(1, round(made["hop"] * rate))
    sound = heard_sound(file, rate, steps * hop // rate + 3, lib)[: (steps - 1) * hop + window]
    count, size = 1 + max(0, ceil((len(sound) - window) / hop)), 2 ** ceil(log2(2 * window))
    hann, heard = lib.sin(lib.arange(window) * (pi / window)) ** 2, lib.hstack([sound, lib.zeros(steps * hop + window)])
    spectra = lib.fft.rfft(heard[lib.arange(steps)[:, None] * hop + lib.arange(window)] * hann, size)
    edges = lib.logspace(log10(700 + made["lowest"]), log10(700 + highest), made["bins"] + 2, dtype=lib.float64) - 700
    slopes = (lib.arange(size // 2 + 1) * (rate / size) - edges[:-1, None]) / (edges[1:] - edges[:-1])[:, None]
    bands = lib.minimum(slopes[:-1], 1 - slopes[1:]).clip(0) * (2 / (size * (hann**2).sum()))
    logs = (lib.log((lib.abs(spectra) ** 2 @ bands.T).clip(made["floor"])) - made["mean"]) / made["deviation"]
    logs = logs - logs[:count].mean(0) * made["centre"]
    return lib.asarray(lib.concatenate([logs.T, lib.ones((1, steps))]) * (lib.arange(steps) < count), dtype=lib.float32)


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
    given, folder = parser.parse_args(), Path(__file__).resolve().parent
    about, path = json.loads((folder / "model.json").read_text(encoding="utf-8")), str(folder / given.model)
    if path.endswith(".pt2"):
        lib: Any = importlib.import_module("torch")
        run: Any = lib.export.load(path).module()
    else:
        lib, session = importlib.import_module("numpy"), importlib.import_module("onnxruntime").InferenceSession(path)
        run = lambda inputs: session.run(None, {"inputs": inputs})[0]  # noqa: E731
    for inputs in _each_file(given.files, lambda file: log_mel(file, about["input"]["preprocessing"], lib)):
        scores = run(inputs[None])[0]
        if (goal := about.get("objective", {})).get("kind") != "transcription":
            print(json.dumps(_columns(scores.tolist(), about["classes"], goal), ensure_ascii=False))
            continue
        path = scores.argmax(-1).tolist()
        said = (about["classes"][now - 1] for last, now in zip([0, *path], path, strict=False) if now not in (0, last))
        print(json.dumps(" ".join(said), ensure_ascii=False))
    if _left_out:
        sys.exit(1)

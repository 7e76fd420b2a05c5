"""Run the exported network beside this file: on WAV files, others by soundfile. Each answer is a line of JSON."""

import importlib
import json
import wave
from math import ceil, log2, log10, pi
from pathlib import Path
from typing import Any

from lit_metanas.training.export.standalone_parts import each_file, named_answer, open_model


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


if __name__ == "__main__":
    files, about, lib, run = open_model(__doc__)
    for inputs in each_file(files, lambda file: log_mel(file, about["input"]["preprocessing"], lib), "null"):
        print(json.dumps(named_answer(run(inputs[None]).tolist()[0], about, lib), ensure_ascii=False))

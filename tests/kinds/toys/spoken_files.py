"""Recordings of made-up words, as WAV files in class folders."""

import wave
from pathlib import Path

import lit_metanas as lm


def write_sounds(root: Path, words: int = 2, each: int = 5) -> list[str]:
    source = lm.kinds.SpokenWords()
    names = []
    for word in range(words):
        for number, sound in enumerate(source.sounds("test", word, range(each))):
            path = root / f"word{word}" / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            with wave.open(str(path), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes((sound * 32767).short().numpy().tobytes())
            names.append(str(path.relative_to(root)))
    return names

"""Recordings of made-up words, as WAV files in class folders."""

from pathlib import Path

import soundfile

import lit_metanas as lm


def write_sounds(root: Path, words: int = 2, each: int = 5) -> list[str]:
    source = lm.kinds.SpokenWords()
    names = []
    for word in range(words):
        for number, sound in enumerate(source.sounds("test", word, range(each))):
            path = root / f"word{word}" / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, sound.numpy(), 8000)
            names.append(str(path.relative_to(root)))
    return names

"""Pairs of texts as tasks, and what cheap baselines get on them: words to phones, and languages to English.

The files are not distributed here; what is absent is skipped, with its name:

    python benchmarks/translation_data.py --data FOLDER
    python benchmarks/translation_data.py --data FOLDER --sets g2p --languages ady dut

``g2p20.json.gz`` has words and phones of SIGMORPHON's task of 2021, in its parts; ``tatoeba112.json.gz`` sentences of
112 languages and their English translations, of which each is in one part only, whatever the language. ``numbers`` and
``phrases`` are the embedded ones.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torchmetrics.functional.text import chrf_score, word_error_rate

from lit_metanas.io.files import write_whole
from lit_metanas.tasks import Characters, NumberWords, PhrasePairs
from lit_metanas.tasks.source import Subset
from lit_metanas.tasks.text.words import TextPreprocessing, split_words
from lit_metanas.tasks.translation.pair_tasks import PairTasks, meta_subsets
from lit_metanas.tasks.translation.text_pairs import Parts, TextPair, TextShares, distinct_pairs
from lit_metanas.tasks.translation.translation_objective import TextMetric

NEAR, ROUNDS = 10, 5
"""Sources whose edit distance is measured, of those with most pairs of letters in common; rounds of the alignment."""

Baseline = Callable[[Sequence[TextPair], Sequence[str]], list[str]]
"""What it says of some sources, given pairs to learn from."""


class RealPairs(PairTasks):
    """Pairs in memory, divided already; languages are held out by a seed, or by name.

    Args:
        name: of the data set.
        pairs: the parts of each language.
        subset: which languages are the tasks.
        preprocessing: as in ``ParallelTable``.
        target_preprocessing: as in ``ParallelTable``.
        seed: of the draw of languages.
        metric: what tasks are judged by.
        meta_val: languages to choose by; if this or the next list is given, none is drawn.
        meta_test: languages to report on.
    """

    def __init__(
        self,
        name: str,
        pairs: Mapping[str, Parts],
        subset: Subset = "test",
        preprocessing: TextPreprocessing | None = None,
        target_preprocessing: TextPreprocessing | None = None,
        seed: int = 0,
        metric: TextMetric = "chrF",
        meta_val: Sequence[str] | None = None,
        meta_test: Sequence[str] | None = None,
    ) -> None:
        names = meta_subsets(
            sorted(pairs),
            meta_val,
            meta_test,
            fractions=(0.64, 0.16, 0.2),
            seed=seed,
            owner="RealPairs",
            place=name,
            noun="language",
        )
        super().__init__(names, subset, preprocessing, target_preprocessing, metric, noun="language")
        self._name, self._pairs = name, pairs

    @property
    def name(self) -> str:
        """The name that was given."""
        return self._name

    def parts(self, name: str, draw: int) -> Parts:
        """The pairs of a language."""
        return self._pairs[name]


def g2p(folder: Path) -> dict[str, Parts]:
    """Words and their phones, with spaces between, in the parts that the task has."""
    languages = _read(folder, "g2p20.json.gz")["languages"]
    parts: Mapping[Subset, str] = {"train": "train", "val": "dev", "test": "test"}
    return {
        code: {subset: [TextPair(*pair) for pair in found[part]] for subset, part in parts.items()}
        for code, found in languages.items()
    }


def tatoeba(folder: Path, seed: int = 0) -> dict[str, Parts]:
    """Sentences and their English translations: 60 % to learn from, 20 % for each of the other parts."""
    shares = TextShares("tatoeba", 0.6, 0.2, 0.2, seed, split_by="target")
    found = {}
    for code, pairs in _read(folder, "tatoeba112.json.gz")["pairs"].items():
        once = dict.fromkeys((other.strip(), english.strip()) for other, english in pairs)
        rows = ((f"pair {number}", TextPair(*pair)) for number, pair in enumerate(once))
        found[code] = shares.deal(distinct_pairs(rows, code))
    return found


def number_words(folder: Path) -> dict[str, Parts]:
    """Numbers below 1,000 and their names in the held-out languages of ``NumberWords``; no file is read."""
    tasks = NumberWords()
    return {name: tasks.parts(name, 0) for name in tasks.names}


def phrase_pairs(folder: Path) -> dict[str, Parts]:
    """English phrases in the held-out languages of ``PhrasePairs``; no file is read."""
    tasks = PhrasePairs()
    return {name: tasks.parts(name, 0) for name in tasks.names}


SETS: Mapping[str, Callable[[Path], dict[str, Parts]]] = {
    "g2p": g2p,
    "tatoeba": tatoeba,
    "numbers": number_words,
    "phrases": phrase_pairs,
}


def tasks(name: str, folder: Path, subset: Subset = "test") -> RealPairs:
    """The tasks of a data set, character by character."""
    steps = 64 if name == "g2p" else 200
    return RealPairs(name, SETS[name](folder), subset, Characters(steps=steps), Characters(steps=steps))


def _read(folder: Path, name: str) -> Any:
    file = folder / name
    if not file.is_file():
        raise FileNotFoundError(f"There is no file {file}")
    return json.loads(gzip.decompress(file.read_bytes()))


def edit_distance(one: str, other: str) -> int:
    """Letters to be changed, added or left out (Levenshtein 1966)."""
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        above, row[0] = row[0], place
        for column, second in enumerate(other, 1):
            above, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, above + (letter != second))
    return row[-1]


def nearest(learned: Sequence[TextPair], sources: Sequence[str]) -> list[str]:
    """The target of the source at the least edit distance; the first of several."""
    sizes = np.array([len(pair.source) + 1 for pair in learned])
    places: dict[str, list[int]] = defaultdict(list)
    for place, pair in enumerate(learned):
        for letters in _letter_pairs(pair.source):
            places[letters].append(place)
    found = []
    for source in sources:
        asked = _letter_pairs(source)
        common = np.zeros(len(learned))
        for letters in asked:
            common[places.get(letters, [])] += 1
        near = np.argsort(-2 * common / (sizes + len(asked)), kind="stable")[:NEAR]
        found.append(learned[min(near, key=lambda place: (edit_distance(source, learned[place].source), place))].target)
    return found


def _letter_pairs(text: str) -> set[str]:
    """The pairs of letters in a text, with a mark at both ends."""
    marked = f"\n{text}\n"
    return {marked[at : at + 2] for at in range(len(text) + 1)}


def most_frequent(learned: Sequence[TextPair], sources: Sequence[str]) -> list[str]:
    """The most frequent target, whatever the source; the first of several."""
    target, _ = Counter(pair.target for pair in learned).most_common(1)[0]
    return [target] * len(sources)


Lexicon = dict[str, dict[str, float]]
"""The probability of each word of a target given a word of a source."""


def lexicon_of(pairs: Sequence[tuple[Sequence[str], Sequence[str]]], rounds: int = ROUNDS) -> Lexicon:
    """Which words translate which, by expectation and maximisation (Brown et al. 1993, model 1, without empty word)."""
    table: Lexicon = defaultdict(lambda: defaultdict(lambda: 1.0))
    for _ in range(rounds):
        counts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for source, target in pairs:
            for word in target:
                whole = sum(table[other][word] for other in source)
                for other in source:
                    counts[other][word] += table[other][word] / whole
        table = {}
        for other, found in counts.items():
            total = sum(found.values())
            table[other] = {word: count / total for word, count in found.items()}
    return table


def word_by_word(learned: Sequence[TextPair], sources: Sequence[str]) -> list[str]:
    """The likeliest translation of each word, in the order of the source; unknown words are copied."""
    table = lexicon_of([(split_words(pair.source), split_words(pair.target)) for pair in learned])
    best = {word: max(found.items(), key=lambda item: (item[1], item[0]))[0] for word, found in table.items()}
    return [" ".join(best.get(word, word) for word in split_words(source)) for source in sources]


def letter_by_letter(learned: Sequence[TextPair], sources: Sequence[str]) -> list[str]:
    """What each letter becomes most often beside its neighbours: no phone, one or two.

    Letters and phones are aligned in their order by the likeliest path, first by ``lexicon_of``, then by how often what
    was aligned to a letter. A letter between neighbours that are new is looked up with one of them, or alone.
    """
    words = [(tuple(pair.source), tuple(pair.target.split())) for pair in learned]
    table = lexicon_of(words)
    floor = 1e-4

    def first(letter: str, chunk: tuple[str, ...]) -> float:
        return sum(math.log(table[letter].get(phone, floor)) for phone in chunk) if chunk else math.log(0.05)

    paths = [_path(*word, first) for word in words]
    for _ in range(2):
        seen = Counter(step for path in paths for step in path)
        letters = Counter(letter for letter, _ in seen.elements())
        scores = {step: math.log(count / letters[step[0]]) for step, count in seen.items()}
        paths = [
            _path(*word, lambda letter, chunk, scores=scores: scores.get((letter, chunk), math.log(floor)))
            for word in words
        ]
    counts: dict[tuple[str, ...], Counter[tuple[str, ...]]] = defaultdict(Counter)
    for path in paths:
        letters_of = [letter for letter, _ in path]
        for keys, (_, chunk) in zip(_contexts(letters_of), path, strict=True):
            for key in keys:
                counts[key][chunk] += 1
    best = {key: max(found.items(), key=lambda item: (item[1], item[0]))[0] for key, found in counts.items()}
    found = []
    for source in sources:
        chunks = (next((best[key] for key in keys if key in best), ()) for keys in _contexts(source))
        found.append(" ".join(phone for chunk in chunks for phone in chunk))
    return found


def _contexts(letters: Sequence[str]) -> Iterable[list[tuple[str, ...]]]:
    """Each letter with its neighbours, from the most to none."""
    marked = ["^", "^", *letters, "$", "$"]
    for at in range(2, len(letters) + 2):
        before, own, after = marked[at - 1], marked[at], marked[at + 1]
        wide = (marked[at - 2], before, own, after, marked[at + 2])
        yield [wide, (before, own, after), ("", own, after), (before, own, ""), (own,)]


def _path(
    letters: Sequence[str], phones: Sequence[str], score: Callable[[str, tuple[str, ...]], float]
) -> list[tuple[str, tuple[str, ...]]]:
    """The likeliest division of phones among letters, none to two each, or more to the last where they are too many."""
    best = {0: (0.0, ())}
    for place, letter in enumerate(letters):
        found: dict[int, tuple[float, Any]] = {}
        last = place == len(letters) - 1
        for begin, (value, path) in best.items():
            ends = [len(phones)] if last else range(begin, min(begin + 2, len(phones)) + 1)
            for end in ends:
                chunk = tuple(phones[begin:end])
                new = value + score(letter, chunk)
                if end not in found or new > found[end][0]:
                    found[end] = new, (path, (letter, chunk))
        best = found
    steps, path = [], best[len(phones)][1]
    while path:
        path, step = path
        steps.append(step)
    return steps[::-1]


BASELINES: Mapping[str, Mapping[str, Baseline]] = {
    "g2p": {"most frequent": most_frequent, "nearest": nearest, "letter by letter": letter_by_letter},
    "numbers": {"most frequent": most_frequent, "nearest": nearest, "letter by letter": letter_by_letter},
    "tatoeba": {"most frequent": most_frequent, "nearest": nearest, "word by word": word_by_word},
    "phrases": {"most frequent": most_frequent, "nearest": nearest, "word by word": word_by_word},
}


def measures(said: Sequence[str], meant: Sequence[str]) -> dict[str, float]:
    """In %: texts that are wrong, words (of phones: phones) that are wrong, and chrF."""
    wrong = sum(one != other for one, other in zip(said, meant, strict=True)) / len(meant)
    words = float(word_error_rate(list(said), list(meant)))
    chrf = float(chrf_score(list(said), [[text] for text in meant], n_word_order=0))
    return {"wrong": round(100 * wrong, 2), "word_error_rate": round(100 * words, 2), "chrf": round(100 * chrf, 2)}


def report(name: str, languages: Mapping[str, Parts]) -> list[dict[str, Any]]:
    """A row for each language and baseline, and one for their mean; the test part is told from the train part."""
    rows = []
    for code, parts in languages.items():
        learned, asked = parts["train"], [pair.source for pair in parts["test"]]
        meant = [pair.target for pair in parts["test"]]
        if "word by word" in BASELINES[name]:  # as the words of the word-by-word baseline are
            learned = [TextPair(pair.source, " ".join(split_words(pair.target))) for pair in learned]
            meant = [" ".join(split_words(text)) for text in meant]
        for baseline, say in BASELINES[name].items():
            row = {"set": name, "language": code, "baseline": baseline, "train": len(learned), "test": len(meant)}
            rows.append({**row, **measures(say(learned, asked), meant)})
            _show(rows[-1])
    for baseline in BASELINES[name]:
        found = [row for row in rows if row["baseline"] == baseline]
        mean = {key: round(float(np.mean([row[key] for row in found])), 2) for key in _MEASURES}
        rows.append({"set": name, "language": "mean", "baseline": baseline, "languages": len(found), **mean})
        _show(rows[-1])
    return rows


_MEASURES = ("wrong", "word_error_rate", "chrf")


def _show(row: Mapping[str, Any]) -> None:
    told = "  ".join(f"{key} {row[key]:5.1f}" for key in _MEASURES)
    print(f"{row['set']:8} {row['language']:5} {row['baseline']:17} {told}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what the baselines get on what data there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--sets", nargs="+", choices=[*SETS], default=[*SETS])
    parser.add_argument("--languages", nargs="+", help="codes; all unless given")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args(arguments)
    rows = []
    for name in given.sets:
        try:
            languages = SETS[name](given.data)
        except FileNotFoundError as error:
            print(f"{name} is skipped: {error}")
            continue
        wanted = {code: parts for code, parts in languages.items() if code in (given.languages or languages)}
        if wanted:
            rows += report(name, wanted)
    if given.output is not None:
        write_whole(given.output, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

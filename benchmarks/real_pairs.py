"""Searched networks against fixed ones at equal training FLOPs: connected digits, words to phones, and translation.

    python benchmarks/real_pairs.py --data FOLDER --rows digits g2p tatoeba --seeds 0 1 2 --output FILE.json

The folder holds ``fsdd_8k_int16.npz``, ``g2p20.json.gz`` and ``tatoeba112.json.gz``, as ``speech.py`` and
``translation_data.py`` describe them; ``numbers`` are embedded. A row whose file is absent is skipped
by name.

All networks of a row have one trainer and one recipe but for the number of epochs: the searched one is trained as the
recipe says, and the others for as many epochs as have the same training FLOPs, the search counted in. Networks of pairs
of texts begin with what Reptile learned on other languages, which is paid for once, however many new ones
there are, and told apart. Scores are in pairs: each is of a seed and a speaker, or a language, that is new.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import translation_data
from equal_flops import Given, run_rows, spent, train_fixed
from paired import SEARCHED, Paired
from speech import FSDD, RATE

import lit_metanas as lm
from lit_metanas.io.arrays import read_npz
from lit_metanas.tasks.translation.pair_tasks import PairTasks
from lit_metanas.tasks.translation.text_pairs import Parts, TextPair

TESTED_SPEAKERS = 5
"""The sixth one is for choosing alone: networks, and whatever else is settled by looking at scores."""
LONGEST = 7
"""Digits of a string; the fewest are three."""

DIGIT_SPACE: Mapping[str, Any] = {
    "operations": ("gru", "conv_3", "conv_5"), "activations": ("ReLU", "GELU"), "dropouts": (0.0, 0.2),
    "skips": ("residual",), "depths": (2, 3), "widths": (64,), "readouts": ("each",), "stride": 2,
}  # fmt: skip
PAIR_SPACE: Mapping[str, Any] = {
    "operations": ("gru", "conv_3"), "activations": ("ReLU",), "dropouts": (0.0, 0.2), "skips": ("residual",),
    "depths": (2,), "widths": (64,), "readouts": ("each",),
}  # fmt: skip
TWO_GRU = {"depth": "2", "layer1.operation": "gru", "layer2.operation": "gru"}
CONVOLUTIONS_AND_GRU = {
    "depth": "3", "layer1.operation": "conv_5", "layer2.operation": "conv_5", "layer3.operation": "gru",
    "dropout": "0.2",
}  # fmt: skip
"""Where the search for digits begins, chosen by the speaker for choosing."""


@dataclass(frozen=True)
class Plan:
    """How much is trained.

    Attributes:
        recipe: of all trainings.
        flops: of a search.
        meta_flops: of the meta-training, where there is one.
        held_out: speakers or languages a seed.
    """

    recipe: lm.Recipe
    flops: float
    meta_flops: float = 0.0
    held_out: int = 2


TEXT_RECIPE = lm.Recipe(epochs=8, batch_size=16, learning_rate=5e-3)
PLANS: Mapping[str, Plan] = {
    "digits": Plan(lm.Recipe(epochs=6, batch_size=16, learning_rate=5e-3), flops=1.2e11),
    "g2p": Plan(TEXT_RECIPE, flops=6e10, meta_flops=4e12, held_out=3),
    "tatoeba": Plan(TEXT_RECIPE, flops=6e10, meta_flops=3e12),
    "numbers": Plan(TEXT_RECIPE, flops=6e10, meta_flops=2e12),
}


@dataclass(frozen=True)
class GivenPairs(Given):
    """What the command line says.

    Attributes:
        held_out: speakers or languages a seed; None takes those of the plan.
    """

    held_out: int | None = None

    def plan(self, name: str) -> Plan:
        """How much of a row is trained."""
        plan = PLANS[name]
        recipe = replace(plan.recipe, epochs=max(1, round(plan.recipe.epochs * self.scale)))
        held_out = plan.held_out if self.held_out is None else self.held_out
        return Plan(recipe, plan.flops * self.scale, plan.meta_flops * self.scale, held_out)


@dataclass
class Tally:
    """The scores and costs of a row's methods, pair by pair."""

    space: lm.SearchSpace
    plan: Plan
    wrong: bool
    scores: dict[str, list[float]] = field(default_factory=dict)
    flops: dict[str, list[float]] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)

    def add(self, task: lm.Task, method: lm.Searcher, seed: int, gru: str, same: str | None = None) -> None:
        """Search a network for a task, and train others from scratch with the FLOPs that it has had.

        Args:
            task: the task.
            method: of the search.
            seed: of all trainings.
            gru: the name of the fixed network.
            same: that of the searched one if it is trained from scratch, too.
        """
        recipe, flops = self.plan.recipe, self.plan.flops
        ours = lm.search(task, self.space, method=method, flops=flops, recipe=recipe, seed=seed, progress=False)
        others = ({} if same is None else {same: ours.architecture}) | {gru: TWO_GRU}
        whole = spent(ours)
        results = {name: train_fixed(task, self.space, labels, recipe, whole, seed) for name, labels in others.items()}
        pair = f"{task.id}, seed {seed}"
        self.found[pair] = str(dict(ours.architecture))
        for name, result in {SEARCHED: ours, **results}.items():
            score = 100 * (1 - result.test_score if self.wrong else result.test_score)
            self.scores.setdefault(name, []).append(round(score, 2))
            self.flops.setdefault(name, []).append(spent(result))
        told = ", ".join(f"{name} {scores[-1]:.1f}" for name, scores in self.scores.items())
        print(f"  {pair}: {told}; {self.found[pair]}", flush=True)

    def paired(self, problem: str, metric: str, **notes: object) -> Paired:
        """The comparison."""
        cost = {name: float(np.mean(flops)) for name, flops in self.flops.items()}
        return Paired(problem, f"{metric}, %", not self.wrong, self.scores, cost, notes={**notes, "found": self.found})


def digit_strings(file: Path, tested: int, validated: int, seed: int, features: lm.LogMel, passes: int = 2) -> lm.Task:
    """Strings of three to seven digits of one speaker each; those of two speakers are for testing and for choosing.

    Args:
        file: the compact Free Spoken Digit Dataset.
        tested: the speaker to test with.
        validated: the speaker to choose by.
        seed: of what stands in a string.
        features: what makes inputs; strings that are longer are left out.
        passes: how often each recording to learn from stands in a string; the others stand in one.
    """
    data = read_npz(file, "get the compact Free Spoken Digit Dataset again")
    clips = [data["audio"][begin:end] for begin, end in pairwise(data["offsets"].tolist())]
    random = np.random.default_rng(seed)
    sounds: dict[str, list[np.ndarray]] = {part: [] for part in ("train", "val", "test")}
    said: dict[str, list[list[int]]] = {part: [] for part in sounds}
    for speaker in range(len(data["speaker_names"])):
        part = {tested: "test", validated: "val"}.get(speaker, "train")
        rows = np.flatnonzero(data["speaker"] == speaker)
        for _ in range(passes if part == "train" else 1):
            left = list(random.permutation(rows))
            while len(left) >= 3:
                string, left = np.split(left, [min(len(left), int(random.integers(3, LONGEST + 1)))])
                sound = np.concatenate([clips[row] for row in string])
                if len(sound) <= features.longest:
                    sounds[part].append(sound)
                    said[part].append([int(data["label"][row]) + 1 for row in string])

    def split(part: str) -> lm.Split:
        targets = torch.zeros(len(said[part]), LONGEST, dtype=torch.int64)
        for row, digits in zip(targets, said[part], strict=True):
            row[: len(digits)] = torch.tensor(digits)
        return lm.Split(features.encode([(sound, RATE) for sound in sounds[part]]), targets)

    names = tuple(map(str, range(10)))
    return lm.Task(
        f"digits/{data['speaker_names'][tested]}", way=11, train=split("train"), val=split("val"), test=split("test"),
        classes=names, preprocessing=features, objective=lm.Transcription(10),
    )  # fmt: skip


def digits(given: GivenPairs) -> list[Paired]:
    """Connected digits of speakers that were not heard: searched networks, and two bidirectional GRUs with CTC.

    Speakers are tested in turn, but for the last one, by whom all networks are chosen.
    """
    plan, file = given.plan("digits"), given.file(FSDD)
    tally = Tally(lm.SequenceSpace(**DIGIT_SPACE), plan, wrong=True)
    features = lm.LogMel(rate=RATE, hop=0.02, steps=200, centre=True)
    # A network trained by CTC says nothing for its first hundred steps: few candidates, each trained well past them.
    estimator = partial(lm.TrainingEstimator, recipe=plan.recipe)
    method = lm.EvolvingHalving(
        estimator=estimator, incumbent=CONVOLUTIONS_AND_GRU, candidates=(3,), rungs=(1.0,), finish=False
    )
    for seed in given.seeds:
        for place in range(plan.held_out):
            tested = (plan.held_out * seed + place) % TESTED_SPEAKERS
            task = digit_strings(file, tested, TESTED_SPEAKERS, seed, features)
            tally.add(task, method, seed, "bidirectional GRU")
    return [tally.paired("connected digits, new speakers", "word error rate")]


@dataclass(frozen=True)
class Languages:
    """Pairs of texts of many languages.

    Attributes:
        problem: what is asked.
        train: the languages to meta-train on.
        test: those that are held out.
        space: of the networks.
    """

    problem: str
    train: PairTasks
    test: PairTasks
    space: lm.EncoderDecoderSpace


def g2p(given: Given) -> Languages:
    """Words to phones: meta-training on the ten languages with 8,000 words, tests on the ten with 800."""
    pairs = translation_data.g2p(given.file("g2p20.json.gz").parent)
    few = min(len(parts["train"]) for parts in pairs.values())
    low = [code for code, parts in sorted(pairs.items()) if len(parts["train"]) == few]
    letters: dict[str, str] = {}
    lettered = {code: _lettered(parts, letters) for code, parts in pairs.items()}
    tokens = lm.Characters(steps=32)
    train, test = (
        translation_data.RealPairs(
            "g2p", lettered, subset, tokens, tokens, 0, "exact match", meta_val=[], meta_test=low
        )
        for subset in ("train", "test")
    )
    return Languages("words to phones, 800 words", train, test, _pair_space(32))


def _lettered(parts: Parts, letters: dict[str, str]) -> Parts:
    """Each phone as one letter of Unicode's private ones, so that a target has as many tokens as phones."""

    def letter(phone: str) -> str:
        return letters.setdefault(phone, chr(0xE000 + len(letters)))

    return {
        subset: [TextPair(pair.source, "".join(map(letter, pair.target.split()))) for pair in pairs]
        for subset, pairs in parts.items()
    }


def tatoeba(given: Given) -> Languages:
    """Sentences of many languages to English."""
    pairs = translation_data.tatoeba(given.file("tatoeba112.json.gz").parent)
    source, target = lm.Characters(steps=60), lm.BytePairs(size=800, steps=24)
    train, test = (translation_data.RealPairs("tatoeba", pairs, subset, source, target) for subset in ("train", "test"))
    return Languages("Tatoeba to English, new languages", train, test, _pair_space(24))


def numbers(given: Given) -> Languages:
    """Numbers below 1,000 to be spelled out; no file is read."""
    return Languages("numbers in words, new languages", lm.NumberWords("train"), lm.NumberWords(), _pair_space(80))


def _pair_space(steps: int) -> lm.EncoderDecoderSpace:
    return lm.EncoderDecoderSpace(
        lm.SequenceSpace(**PAIR_SPACE), decoders=("gru",), decoder_depths=(1,), decoder_dropouts=(0.0, 0.1),
        crosses=(1,), tied=("yes",), target_steps=steps,
    )  # fmt: skip


LANGUAGES: Mapping[str, Callable[[Given], Languages]] = {
    "g2p": g2p, "tatoeba": tatoeba, "numbers": numbers,
}  # fmt: skip


def meta_train(languages: Languages, plan: Plan, seed: int, folder: Path) -> tuple[str, float]:
    """A checkpoint of weights that Reptile learned on the languages to meta-train on, and what it cost."""
    model = lm.TaskReptile(space=languages.space, inner_steps=20, batch_size=100, flops=plan.meta_flops, seed=seed)
    data = lm.TrainingTaskDataModule(languages.train, steps_per_epoch=50, seed=seed)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lm.Trainer(max_epochs=-1, accelerator="cpu", **quiet)
    trainer.fit(model, data)
    path = folder / f"start{seed}.ckpt"
    trainer.save_checkpoint(path)
    return str(path), float(model.cost().flops)


def texts(name: str, given: GivenPairs) -> list[Paired]:
    """New languages, others for each seed: searched networks that begin meta-trained, and others from scratch."""
    languages, plan, paid = LANGUAGES[name](given), given.plan(name), []
    metric = languages.test.metric
    tally = Tally(languages.space, plan, wrong=metric == "exact match")
    for seed in given.seeds:
        with TemporaryDirectory() as kept:
            start, cost = meta_train(languages, plan, seed, Path(kept))
            paid.append(cost)
            estimator = partial(lm.TrainingEstimator, recipe=plan.recipe, start=start)
            method = lm.SuccessiveHalving(estimator=estimator, candidates=4)
            for place in range(plan.held_out):
                task = languages.test[(plan.held_out * seed + place) % len(languages.test)]
                tally.add(task, method, seed, "GRU with attention", "the same, not meta-trained")
    return [tally.paired(languages.problem, "word error rate" if tally.wrong else metric, meta_flops=paid)]


ROWS: Mapping[str, Callable[[GivenPairs], list[Paired]]] = {
    "digits": digits, **{name: partial(texts, name) for name in LANGUAGES},
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held-out", type=int, default=None, help="speakers or languages a seed")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Trainer|The .*dataloader|.*left out", UserWarning)
        run_rows(ROWS, GivenPairs, parser, arguments)


if __name__ == "__main__":
    main()

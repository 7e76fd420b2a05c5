"""Searched networks against fixed ones on recorded words, at equal training FLOPs, in pairs of seeds.

    python benchmarks/real_sounds.py --data FOLDER
    python benchmarks/real_sounds.py --data FOLDER --rows wake_words --seeds 0 1 2 --output FILE.json

The folder holds ``fsdd_8k_int16.npz`` and ``wake_words_8k_mulaw.npz``, which ``benchmarks/speech.py`` describes. A row
whose file is absent is skipped by name; both need the first. Each seed of spoken digits has two pairs, each of which
tests another speaker of five; the sixth one is for choosing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from equal_flops import (
    Cheap,
    FewShot,
    Given,
    Labels,
    OneTask,
    best_penalty,
    episode_accuracy,
    few_shot,
    one_task,
    run_rows,
)
from paired import Paired
from speech import FSDD, RATE, WAKE_WORDS, Clips, digit_sounds, mean_spectrum, scores, spoken_digits
from speech import wake_words as read_wake_words

import lit_metanas as lm

CONVOLUTIONS = {"depth": "3", "operation": "conv_5", "activation": "ReLU", "pool": "max", "readout": "mean"}
CONVOLUTIONS |= {"skip": "none", "dropout": "0"}
"""Convolutions with pooling, like those of ``benchmarks/speech.py``."""
SEPARABLE = {**CONVOLUTIONS, "operation": "sep_conv_7", "skip": "residual", "pool": "avg"}
"""Depthwise separable convolutions with residual skips, nearest to BC-ResNet (Kim et al. 2021)."""

DIGITS_START: Labels = {**SEPARABLE, "activation": "GELU", "dropout": "0.2"}
WAKE_WORDS_START: Labels = {**SEPARABLE, "activation": "GELU", "readout": "attention"}
"""Where the searches begin, chosen by recordings that no test has."""
WORDS = (800, 60, 0)
"""Synthesised words to learn from; the others are not used."""

TESTED_SPEAKERS, SPEAKERS_A_SEED = 5, 2
"""The sixth speaker is for choosing alone: networks, and whatever else was settled by looking at scores."""
RATES = (RATE, 6800, 7400, 8600, 9200)
"""Samples a second that recordings are taken to have: all but the first change speed and pitch (Ko et al. 2015)."""

WIDTHS = (32, 64)
FIXED = {"convolutions": CONVOLUTIONS, "separable convolutions": SEPARABLE}


def widest(labels: Labels) -> Labels:
    """A network of the largest width."""
    return {**labels, "width": str(max(WIDTHS))}


def fixed(*names: str) -> dict[str, Labels]:
    """Some of the fixed networks, of the largest width."""
    return {name: widest(FIXED[name]) for name in names}


@dataclass(frozen=True)
class GivenSounds(Given):
    """What the command line says.

    Attributes:
        episodes: test episodes a figure.
    """

    episodes: int = 600


def space(dropouts: Sequence[float], stride: int) -> lm.SequenceSpace:
    """Layers of convolutions or gated units, each of which halves the number of steps."""
    return lm.SequenceSpace(
        operations=("sep_conv_7", "sep_conv_5", "conv_3", "conv_5", "gated_linear"),
        activations=("ReLU", "GELU"),
        dropouts=dropouts,
        pools=("avg", "max"),
        depths=(2, 3),
        stride=stride,
        widths=WIDTHS,
        readouts=("mean", "max", "attention"),
    )


def digits(given: GivenSounds) -> list[Paired]:
    """Ten spoken digits of a speaker that neither training nor choice has heard; each pair has a speaker of its own."""
    sounds, labels, speakers = digit_sounds(given.file(FSDD))
    features, even = lm.LogMel(steps=80), [levelled(sound) for sound in sounds]
    series = [features.encode([(sound, rate) for sound in even]) for rate in RATES]
    pairs = [SPEAKERS_A_SEED * seed + place for seed in given.seeds for place in range(SPEAKERS_A_SEED)]
    epochs = [max(1, round(number * given.scale)) for number in (3, 2)]
    problem = OneTask(
        name="spoken digits, held-out speakers",
        task=partial(digits_task, series, labels, speakers),
        space=space((0.0, 0.2, 0.5), stride=2),
        fixed=fixed("separable convolutions"),
        recipe=lm.Recipe(epochs=epochs[0], learning_rate=3e-3, weight_decay=1e-2, label_smoothing=0.1),
        brief=epochs[1],
        method=partial(lm.EvolvingHalving, incumbent=widest(DIGITS_START), candidates=(3,), rungs=(1.0,), finish=False),
        flops=6e10 * given.scale,
    )
    plain = (digits_task(series[:1], labels, speakers, pair) for pair in pairs)
    return one_task(problem, pairs, {"logistic regression, log-mel": [linear(task) for task in plain]})


def levelled(sound: np.ndarray) -> np.ndarray:
    """Sound with a peak of 0.9: the loudest speaker of the digits has 16 times that of the quietest."""
    return (0.9 / max(1, int(np.abs(sound.astype(np.int32)).max())) * sound).astype(np.float32)


def digits_task(series: Sequence[torch.Tensor], labels: Sequence[int], speakers: Sequence[str], pair: int) -> lm.Task:
    """One speaker is for testing, the last one by name for choosing, and the other four to learn from.

    Args:
        series: all recordings as they are, and again at other speeds, which are not for testing.
        labels: which digit each recording is.
        speakers: who speaks it.
        pair: its number; the speakers are tested in turn.
    """
    names = sorted(set(speakers))
    tested, chosen = names[pair % TESTED_SPEAKERS], names[TESTED_SPEAKERS]
    parts = {"test": {tested}, "val": {chosen}, "train": set(names) - {tested, chosen}}

    def split(part: str) -> lm.Split:
        rows = [row for row, name in enumerate(speakers) if name in parts[part]]
        copies = series[:1] if part == "test" else series
        return lm.Split(torch.cat([each[rows] for each in copies]), torch.tensor(labels)[rows].repeat(len(copies)))

    return lm.Task(id=f"fsdd/{tested}", way=max(labels) + 1, **{part: split(part) for part in parts})


def linear(task: lm.Task) -> float:
    """Test accuracy of logistic regression on all values of the spectra, in per cent."""
    assert task.val is not None
    inputs = torch.cat([task.train.inputs, task.val.inputs, task.test.inputs])
    return best_penalty(inputs.flatten(1), task, penalties=(10.0, 100.0))


class MadeAndRecorded(lm.TaskSource):
    """Synthesised words to learn from, and recorded ones to choose by, by way of the validation episodes.

    Args:
        made: the synthesised words.
        recorded: whose classes become those of meta-validation.
    """

    def __init__(self, made: lm.SpokenWords, recorded: Clips) -> None:
        self.made, self.recorded = made, recorded

    @property
    def shape(self) -> lm.SeriesShape:
        """The shape of both."""
        return self.made.shape

    @property
    def preprocessing(self) -> lm.LogMel:
        """What made the series of both."""
        return self.made.preprocessing

    def prepare(self) -> None:
        """Speak the words, unless that was done before."""
        self.made.prepare()

    def classes(self, subset: lm.Subset) -> tuple[str, ...]:
        """Return the recorded words for validation, else synthesised ones."""
        source, subset = self._of(subset)
        return source.classes(subset)

    def instances(self, subset: lm.Subset, class_index: int, held_out: bool = False) -> int:
        """Return the number of a class's examples."""
        source, subset = self._of(subset)
        return source.instances(subset, class_index, held_out)

    def episode_instances(self, subset: lm.Subset, class_index: int) -> int:
        """Return how many of them episodes may use."""
        source, subset = self._of(subset)
        return source.episode_instances(subset, class_index)

    def inputs(
        self, subset: lm.Subset, class_index: int, instances: Sequence[int], held_out: bool = False
    ) -> torch.Tensor:
        """Return examples of one class."""
        source, subset = self._of(subset)
        return source.inputs(subset, class_index, instances, held_out)

    def _of(self, subset: lm.Subset) -> tuple[lm.TaskSource, lm.Subset]:
        return (self.recorded, "test") if subset == "val" else (self.made, subset)


def wake_words(given: GivenSounds) -> list[Paired]:
    """Recorded wake words of one source, by networks that have heard synthesised words alone."""
    features = lm.LogMel(steps=120)
    source = read_wake_words(given.file(WAKE_WORDS), features)
    words = MadeAndRecorded(
        lm.SpokenWords(features=features, words=WORDS), spoken_digits(given.file(FSDD), features, held_out=())
    )
    words.prepare()
    tests = {f"wake words, 5-way {shot}-shot": shot for shot in (1, 5)}

    def data(seed: int) -> lm.EpisodeDataModule:
        return lm.EpisodeDataModule(
            words, way=20, shot=1, query=2, tasks_per_step=1, steps_per_epoch=1000,
            eval_way=5, eval_query=5, val_episodes=min(100, given.episodes), seed=seed,
        )  # fmt: skip

    def test(shot: int) -> lm.EpisodeDataModule:
        episodes = partial(lm.EpisodeDataModule, source, within_group=True, test_episodes=given.episodes)
        return episodes(way=5, shot=shot, query=10)

    problem = FewShot(
        data=data,
        tests={name: test(shot) for name, shot in tests.items()},
        space=space((0.0, 0.2), stride=4),
        fixed=fixed("convolutions", "separable convolutions"),
        searcher=lm.EvolvingHalving(incumbent=widest(WAKE_WORDS_START), candidates=(3,), rungs=(0.24,), finish=False),
        flops=1e11 * given.scale,
    )
    cheap: Mapping[str, Cheap] = {
        name: {"mean spectra": [episode_accuracy(test.stream("test"), given.episodes, spectra)]}
        for name, test in problem.tests.items()
    }
    return few_shot(problem, given.seeds, cheap)


def spectra(episode: lm.Episode) -> torch.Tensor:
    """Scores of an episode's queries by prototypes of mean spectra, shape ``(n, way)``."""
    points = mean_spectrum(torch.cat([episode.support.inputs, episode.query.inputs]))
    return scores(points, episode.way, episode.shot)


ROWS: dict[str, Callable[[GivenSounds], list[Paired]]] = {"digits": digits, "wake_words": wake_words}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=600, help="test episodes a figure")
    run_rows(ROWS, GivenSounds, parser, arguments)


if __name__ == "__main__":
    main()

"""Searched networks against fixed ones on recorded words, at equal training FLOPs, in pairs of seeds.

    python benchmarks/real_sounds.py --data FOLDER
    python benchmarks/real_sounds.py --data FOLDER --rows wake_words --seeds 0 1 2 --output FILE.json

The folder holds ``fsdd_8k_int16.npz`` and ``wake_words_8k_mulaw.npz``, which ``benchmarks/speech.py`` describes. A row
whose file is absent is skipped by name. Each seed of spoken digits tests two other speakers of the six.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

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
from speech import FSDD, WAKE_WORDS, mean_spectrum, read_digits, scores
from speech import wake_words as read_wake_words

import lit_metanas as lm

CONVOLUTIONS = {"depth": "3", "operation": "conv_5", "activation": "ReLU", "pool": "max", "readout": "mean"}
CONVOLUTIONS |= {"skip": "none", "dropout": "0"}
"""Convolutions with pooling, like those of ``benchmarks/speech.py``."""
SEPARABLE = {**CONVOLUTIONS, "operation": "sep_conv_7", "skip": "residual", "pool": "avg"}
"""Depthwise separable convolutions with residual skips, nearest to BC-ResNet (Kim et al. 2021)."""

WIDTHS = (32, 64)
FIXED = {"convolutions": CONVOLUTIONS, "separable convolutions": SEPARABLE}


def fixed(*names: str) -> dict[str, Labels]:
    """Some of the fixed networks, of the largest width."""
    return {name: {**FIXED[name], "width": str(max(WIDTHS))} for name in names}


@dataclass(frozen=True)
class GivenSounds(Given):
    """What the command line says.

    Attributes:
        episodes: test episodes a figure.
    """

    episodes: int = 600


def space(dropouts: Sequence[float]) -> lm.SequenceSpace:
    """Layers of convolutions or gated units, each of which halves the number of steps."""
    return lm.SequenceSpace(
        operations=("conv_3", "conv_5", "sep_conv_7", "gated_linear"),
        activations=("ReLU", "GELU"),
        dropouts=dropouts,
        pools=("max", "avg"),
        depths=(2, 3),
        stride=2,
        widths=WIDTHS,
        readouts=("mean", "max", "attention"),
    )


def digits(given: GivenSounds) -> list[Paired]:
    """Ten spoken digits of speakers that neither training nor choice has heard."""
    series, labels, speakers = read_digits(given.file(FSDD), lm.LogMel(steps=80))
    tasks = {seed: digits_task(series, labels, speakers, seed) for seed in given.seeds}
    epochs = [max(1, round(number * given.scale)) for number in (12, 6)]
    problem = OneTask(
        name="spoken digits, held-out speakers",
        task=tasks.__getitem__,
        space=space((0.0, 0.2, 0.5)),
        fixed=fixed("separable convolutions"),
        recipe=lm.Recipe(epochs=epochs[0], learning_rate=3e-3, weight_decay=1e-2, label_smoothing=0.1),
        brief=epochs[1],
        method=partial(lm.SuccessiveHalving, candidates=6),
        flops=1e11 * given.scale,
    )
    return one_task(problem, given.seeds, {"logistic regression, log-mel": [linear(task) for task in tasks.values()]})


def digits_task(series: torch.Tensor, labels: Sequence[int], speakers: Sequence[str], seed: int) -> lm.Task:
    """Of the speakers two are for testing, others with each seed, one for choosing, and three to learn from."""
    names = sorted(set(speakers))
    turned = names[2 * seed % len(names) :] + names[: 2 * seed % len(names)]
    parts = {"test": turned[:2], "val": turned[2:3], "train": turned[3:]}
    rows = {part: [row for row, name in enumerate(speakers) if name in own] for part, own in parts.items()}
    split = {part: lm.Split(series[own], torch.tensor(labels)[own]) for part, own in rows.items()}
    return lm.Task(id=f"fsdd/{seed}", way=max(labels) + 1, **split)


def linear(task: lm.Task) -> float:
    """Test accuracy of logistic regression on all values of the spectra, in per cent."""
    assert task.val is not None
    inputs = torch.cat([task.train.inputs, task.val.inputs, task.test.inputs])
    return best_penalty(inputs.flatten(1), task, penalties=(10.0, 100.0))


def wake_words(given: GivenSounds) -> list[Paired]:
    """Recorded wake words of one source, by networks that have heard synthesised words alone."""
    words = lm.SpokenWords(features=lm.LogMel(steps=120))
    words.prepare()
    source = read_wake_words(given.file(WAKE_WORDS), words.features)
    tests = {f"wake words, 5-way {shot}-shot": shot for shot in (1, 5)}

    def data(seed: int) -> lm.EpisodeDataModule:
        return lm.EpisodeDataModule(
            words, way=20, shot=1, query=5, tasks_per_step=1, steps_per_epoch=1000,
            eval_query=5, val_episodes=min(60, given.episodes), seed=seed,
        )  # fmt: skip

    def test(shot: int) -> lm.EpisodeDataModule:
        episodes = partial(lm.EpisodeDataModule, source, within_group=True, test_episodes=given.episodes)
        return episodes(way=5, shot=shot, query=10)

    problem = FewShot(
        data=data,
        tests={name: test(shot) for name, shot in tests.items()},
        space=space((0.0, 0.2)),
        fixed=fixed("convolutions", "separable convolutions"),
        searcher=lm.SuccessiveHalving(candidates=8, eta=4, rungs=(0.25, 0.25)),
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

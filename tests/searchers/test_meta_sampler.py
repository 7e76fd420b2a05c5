"""The meta-sampler against a plain loop of textbook formulas, and in anyone's study."""

import math
import pickle
from functools import cache
from itertools import product
from statistics import NormalDist
from time import process_time

import numpy as np
import optuna
import pytest
import torch
from letters import ALL, SPACE, optimized

from lit_metanas.records import TaskScores
from lit_metanas.searchers import MetaSampler
from lit_metanas.searchers.samplers import meta_sampler
from lit_metanas.searchers.samplers.meta_sampler import Tried
from lit_metanas.spaces import LayeredSpace, NASBenchGraph, NASBenchGraphEncoding, OneHotEncoding
from lit_metanas.spaces.nas_bench_graph import GRAPH_OPERATIONS
from lit_metanas.surrogates import TransferSurrogate
from lit_metanas.surrogates.gaussian_process import GroupedKernel, fit_parameters
from lit_metanas.surrogates.meta_surrogate import SURROGATE_KEY, surrogate_entry
from lit_metanas.surrogates.transfer import fit_source

pytestmark = pytest.mark.usefixtures("quiet_optuna")

ENCODING = OneHotEncoding(SPACE)


@cache
def value(architecture, task=0):
    """Higher is better; tasks differ a little, and no two architectures are equal."""
    draw = torch.Generator().manual_seed(100 + task)
    own = torch.randn(16, generator=draw).double()
    places = enumerate(sorted(architecture.items()))
    common = sum((place + 2) ** 1.5 * "bca".index(label) for place, (_, label) in places) % 23
    return common + float(own @ ENCODING([architecture])[0, :16]) + 1e-3 * ALL.index(architecture)


def letters(trial):
    return value(SPACE.suggest(trial))


def scores_of(task, number):
    places = torch.randperm(len(ALL), generator=torch.Generator().manual_seed(task))[:number]
    architectures = tuple(ALL[place] for place in places)
    scores = torch.tensor([value(one, task) for one in architectures], dtype=torch.float64)
    return TaskScores(str(task), ENCODING(architectures), scores, architectures)


def write(path, tasks, encoding=ENCODING):
    """A checkpoint of these tasks."""
    features = encoding.candidates.features
    kernel = GroupedKernel.of(features, encoding.groups)
    sources = [fit_source(task, kernel, features) for task in tasks]
    mean = torch.stack([one.parameters for one in sources]).mean(0) if sources else kernel.prior.mean
    torch.save({SURROGATE_KEY: surrogate_entry(encoding, TransferSurrogate(kernel, sources, mean))}, path)
    return str(path)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    tasks = [scores_of(task, 60) for task in (1, 2, 3)]
    return write(tmp_path_factory.mktemp("surrogate") / "last.ckpt", tasks)


def make(checkpoint=None, seed=0, **options):
    return MetaSampler(space=SPACE, encoding=ENCODING, checkpoint=checkpoint, seed=seed, **options)


def tried(study):
    return [SPACE.canonical({name[5:]: label for name, label in trial.params.items()}) for trial in study.trials]


def improvement(mean, deviation, best):
    """Expected, on the best score so far."""
    z = (mean - best) / deviation
    return deviation * (NormalDist().pdf(z) + z * NormalDist().cdf(z))


class PlainSearch:
    """The whole search in loops: portfolio, parameters given, posterior by inversion, expected improvement by name."""

    def __init__(self, surrogate):
        self.surrogate = surrogate
        self.features = ENCODING(ALL).numpy()
        self.widths, self.scales = ENCODING.groups, surrogate.kernel.scales.tolist()
        self.sources = [self.expected(source) for source in surrogate.sources]

    def covariance(self, parameters, one, other):
        total, start = 0.0, 0
        for group, width in enumerate(self.widths):
            part = slice(start, start + width)
            total += math.exp(parameters[group]) * ((one[part] - other[part]) ** 2).sum() / self.scales[group]
            start += width
        return math.exp(parameters[-2] - total) + 1

    def expected(self, source):
        """Posterior mean over all, standardised."""
        parameters = source.parameters.numpy()
        means = np.array([
            sum(w * self.covariance(parameters, f, a)
                for f, w in zip(source.features.numpy(), source.weights.numpy(), strict=True)) for a in self.features
        ])  # fmt: skip
        return (means - means.mean()) / means.std()

    def first(self, number):
        """What one source begins with: improvement on the best that it expects, what was chosen being as expected."""
        (expected,) = self.sources
        parameters = self.surrogate.prior.mean.numpy()
        chosen = [int(expected.argmax())]
        while len(chosen) < number:
            known = self.features[chosen]
            noisy = np.array([[self.covariance(parameters, a, b) for b in known] for a in known])
            inverse = np.linalg.inv(noisy + math.exp(parameters[-1]) * np.eye(len(chosen)))
            gains = []
            for place, features in enumerate(self.features):
                cross = np.array([self.covariance(parameters, features, one) for one in known])
                deviation = 0.6 * math.sqrt(math.exp(parameters[-2]) + 1 - cross @ inverse @ cross)
                gains.append(-1 if place in chosen else improvement(expected[place], deviation, expected.max()))
            chosen.append(int(np.argmax(gains)))
        return chosen

    def next(self, places, scores):
        """The untried one of the largest improvement."""
        number = len(places)
        by_rank = [NormalDist().inv_cdf((1 + sum(o < s for o in scores) - 0.5) / number) for s in scores]
        fitted = number - number % 10 if number >= 10 else number
        first = torch.tensor([
            NormalDist().inv_cdf((1 + sum(o < s for o in scores[:fitted]) - 0.5) / fitted) for s in scores[:fitted]
        ], dtype=torch.float64)  # fmt: skip
        begun = torch.from_numpy(self.features[places[:fitted]])
        parameters = fit_parameters(self.surrogate.kernel, begun, first, self.surrogate.prior).numpy()
        known = self.features[places]
        noisy = np.array([[self.covariance(parameters, a, b) for b in known] for a in known])
        inverse = np.linalg.inv(noisy + math.exp(parameters[-1]) * np.eye(number))
        weights = [self.weight(by_rank, [source[place] for place in places]) for source in self.sources]
        best, chosen = -math.inf, -1
        for place, features in enumerate(self.features):
            cross = np.array([self.covariance(parameters, features, one) for one in known])
            others = sum(w * s[place] for w, s in zip(weights, self.sources, strict=True))
            mean = (0.75 * (cross @ inverse @ by_rank) + others) / (0.75 + sum(weights))
            deviation = math.sqrt(math.exp(parameters[-2]) + 1 - cross @ inverse @ cross)
            gain = improvement(mean, deviation, max(by_rank))
            if place not in places and gain > best:
                best, chosen = gain, place
        return chosen

    @staticmethod
    def weight(values, predictions):
        pairs = [(a, b) for a, b in product(range(len(values)), repeat=2) if values[a] > values[b]]
        wrong = sum(predictions[a] < predictions[b] for a, b in pairs) / len(pairs)
        return 0.75 * max(0.0, 1 - (wrong / 0.2) ** 2)


@pytest.mark.parametrize("transfer", [False, True])
def test_proposals_are_those_of_plain_loops(transfer, checkpoint):
    sampler = make(checkpoint if transfer else None)
    found = [ALL.index(one) for one in tried(optimized(sampler, 13, letters))]
    plain = PlainSearch(sampler._choice.surrogate)
    scores = [value(ALL[place]) for place in found]
    for number in (5, 8, 12) if transfer else (9,):
        assert plain.next(found[:number], scores[:number]) == found[number]


def test_a_single_source_is_begun_with_as_in_plain_loops(tmp_path):
    """Its best first, and none but good ones then: they were the first of the space's list."""
    one = write(tmp_path / "one.ckpt", [scores_of(1, 60)])
    sampler = make(one, first=8)
    found = [ALL.index(asked) for asked in tried(optimized(sampler, 8, letters))]
    assert found == PlainSearch(sampler._choice.surrogate).first(8)
    order = sampler._choice.first_pool.sources[0].argsort(descending=True).tolist()
    assert found[0] == order[0]
    assert all(order.index(place) < len(ALL) / 4 for place in found)


@pytest.mark.parametrize("transfer", [False, True])
def test_a_resumed_study_is_an_uninterrupted_one(transfer, checkpoint):
    given = checkpoint if transfer else None
    whole = optimized(make(given, 4), 14, letters)
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(study_name="s", storage=storage, direction="maximize")
    for number in (1, 7, 6):
        part = optuna.load_study(study_name="s", storage=storage, sampler=pickle.loads(pickle.dumps(make(given, 4))))
        part.optimize(letters, n_trials=number)
    assert tried(part) == tried(whole)


def test_pending_trials_count(checkpoint):
    study = optimized(make(checkpoint), 8, letters)
    others = [study.ask() for _ in range(6)]
    asked = [SPACE.suggest(trial) for trial in others]
    assert len({*asked, *tried(study)[:8]}) == 14
    # What is pending narrows the deviation beside it, so that the next is not the second best of the first look.
    choice, history = study.sampler._choice, tried(study)[:8]
    scores = torch.tensor([value(one) for one in history], dtype=torch.float64)
    order = list(choice.next(Tried(history, scores, []), np.random.default_rng(0)))
    assert list(choice.next(Tried(history, scores, asked[:3]), np.random.default_rng(0))) != order


def test_a_large_space_is_sampled_and_mutated(tmp_path):
    space = LayeredSpace(depths=(2, 3, 4), skips=("none", "residual"))
    encoding = OneHotEncoding(space)
    target = space.sample(torch.Generator().manual_seed(3))

    def match(architecture):
        return sum(architecture.get(name) == label for name, label in target.items())

    def scores(task):
        generator = torch.Generator().manual_seed(task)
        architectures = tuple(space.sample(generator) for _ in range(50))
        values = torch.tensor([float(match(one)) for one in architectures]).double()
        return TaskScores(str(task), encoding(architectures), values, architectures)

    given = write(tmp_path / "layered.ckpt", [scores(1), scores(2)], encoding)
    found = []
    for source, number in ((None, 15), (given, 6), (given, 6)):
        sampler = MetaSampler(space=space, encoding=encoding, checkpoint=source, seed=0)
        found.append(optimized(sampler, number, lambda trial: match(space.suggest(trial))))
    assert [trial.params for trial in found[1].trials] == [trial.params for trial in found[2].trials]
    draws = torch.Generator().manual_seed(9)
    by_chance = max(match(space.sample(draws)) for _ in range(15))
    assert min(found[0].best_value, found[1].best_value) > by_chance


def test_a_long_context_is_cut_to_the_best_and_the_latest(checkpoint, monkeypatch):
    whole = tried(optimized(make(checkpoint), 16, letters))
    monkeypatch.setattr(meta_sampler, "CONTEXT", 6)
    monkeypatch.setattr(meta_sampler, "REFIT", 5)
    choice = make(checkpoint)._choice
    scores = torch.tensor([9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 0.0, 0.5, 4.0, 5.0, 6.0, 6.5])
    assert choice._split_places(scores) == ([0, 2, 4, 7, 8, 9], [10, 11])
    assert choice._split_places(scores[:4]) == ([0, 1, 2, 3], [])
    assert tried(optimized(make(checkpoint), 16, letters)) != whole


def linear(operations):
    """A study in a space of NAS-Bench-Graph, and scores that are a sum over features."""
    space = NASBenchGraph(operations)
    encoding = NASBenchGraphEncoding(space)
    weights = torch.randn(sum(encoding.groups), generator=torch.Generator().manual_seed(0)).double()
    study = optuna.create_study(sampler=MetaSampler(space=space, encoding=encoding, seed=0), direction="maximize")
    return study, lambda trial: float(encoding([space.suggest(trial)])[0] @ weights)


@pytest.mark.slow
def test_a_proposal_among_26206_is_fast():
    """Processor seconds, once the space is listed."""
    study, function = linear(GRAPH_OPERATIONS)
    study.optimize(function, n_trials=6)
    begin = process_time()
    study.optimize(function, n_trials=40)
    assert (process_time() - begin) / 40 < 0.2

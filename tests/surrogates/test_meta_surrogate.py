"""The meta-surrogate is fitted by a Trainer, predicts held-out tasks, and comes back from its checkpoint."""

import math
from itertools import product

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from meta_toys import make_trainer
from torch.utils.data import DataLoader

from lit_metanas.records import TaskScores
from lit_metanas.records.statistics import rank_gaussian
from lit_metanas.searchers.samplers.meta_sampler import SurrogateChoice, Tried
from lit_metanas.spaces import Choice, ChoiceSpace, OneHotEncoding
from lit_metanas.surrogates import GaussianProcess, MetaSurrogate
from lit_metanas.surrogates.gaussian_process import fit_parameters
from lit_metanas.surrogates.meta_surrogate import SURROGATE_KEY, read_surrogate
from lit_metanas.surrogates.transfer import (
    TransferSurrogate,
    combine_predictions,
    discordance,
    evidence_weights,
    portfolio,
)


class Letters(ChoiceSpace):
    """Five choices of three letters."""

    choices = tuple(Choice(name, tuple("abc")) for name in "vwxyz")


SPACE = Letters()
ENCODING = OneHotEncoding(SPACE)
ALL = tuple(SPACE.architectures())


def truth(task):
    """Scores of all architectures: additive with a common part, and one interaction."""
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(15, generator=generator, dtype=torch.float64)
    own = torch.randn(15, generator=generator.manual_seed(task), dtype=torch.float64)
    features = ENCODING(ALL)
    return features @ (common + 0.4 * own) + features[:, 0] * features[:, 4]


def scores_of(task, number, seed=0, sign=1.0):
    """Some architectures of a task, drawn at random."""
    places = torch.randperm(len(ALL), generator=torch.Generator().manual_seed(seed + 100 * task))[:number]
    architectures = tuple(ALL[place] for place in places)
    return TaskScores(f"task{task}", ENCODING(architectures), sign * truth(task)[places], architectures)


def loader(tasks):
    return DataLoader(tasks, batch_size=1, collate_fn=lambda found: found[0])


def fit(folder, tasks, epochs=1, checkpoint=None):
    model = MetaSurrogate(encoding=ENCODING)
    saving = ModelCheckpoint(dirpath=folder, save_last=True)
    trainer = make_trainer(max_epochs=epochs, callbacks=[saving], enable_checkpointing=True, default_root_dir=folder)
    trainer.fit(model, loader(tasks), ckpt_path=checkpoint, weights_only=True)
    return model, folder / "last.ckpt"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("surrogate")
    return fit(folder, [scores_of(task, 100) for task in (2, 1, 3)])


def own_process(model, task, values):
    surrogate = model.surrogate
    parameters = fit_parameters(surrogate.kernel, task.features, values, surrogate.prior)
    return GaussianProcess(surrogate.kernel, parameters, task.features, values)


def predicted(surrogate, architectures, scores, candidates):
    """Mean and deviation of candidates, as the sampler predicts them."""
    choice = SurrogateChoice(ENCODING, surrogate)
    mean, deviation = choice._prediction(Tried(architectures, scores, ()), choice.first_pool)
    places = choice.first_pool.places(candidates)
    return mean[places], deviation[places]


def test_the_sources_improve_the_order_of_a_new_task(fitted):
    model, _ = fitted
    new, plain = scores_of(4, 120), TransferSurrogate(model.kernel, (), model.mean.detach())

    def agreement(surrogate):
        mean, _ = predicted(surrogate, new.architectures[:5], new.scores[:5], new.architectures[5:])
        return float(torch.corrcoef(torch.stack([mean, new.scores[5:]]))[0, 1])

    assert agreement(model.surrogate) > agreement(plain) + 0.1


def test_prior_is_the_mean_over_the_tasks(fitted):
    model, _ = fitted
    assert list(model.sources) == ["task1", "task2", "task3"]
    mean = torch.stack([source.parameters for source in model.sources.values()]).mean(0)
    torch.testing.assert_close(model.mean.detach(), mean, rtol=1e-12, atol=1e-12)
    prior = model.surrogate.prior
    torch.testing.assert_close(prior.mean, mean, rtol=1e-12, atol=1e-12)
    assert prior.stddev.tolist() == [1.0] * 7


def test_prediction_is_the_weighted_mean_of_processes(fitted):
    """By loops over pairs, and processes made here."""
    model, _ = fitted
    new = scores_of(5, 20)
    candidates = ENCODING(ALL[:40])
    mean, deviation = predicted(model.surrogate, new.architectures, new.scores, ALL[:40])
    values = rank_gaussian(new.scores)
    own = own_process(model, new, values)(candidates)
    total, weight = 0.75 * own.mean, 0.75
    for source in model.sources.values():
        process_mean = [float(x) for x in source.mean(model.kernel, new.features)]
        pairs = [(a, b) for a, b in product(range(20), repeat=2) if new.scores[a] > new.scores[b]]
        wrong = sum(process_mean[a] < process_mean[b] for a, b in pairs) / len(pairs)
        share = 0.75 * max(0.0, 1 - (wrong / 0.2) ** 2)
        total, weight = total + share * source.mean(model.kernel, candidates), weight + share
    assert weight > 0.75
    torch.testing.assert_close(mean, total / weight, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(deviation, own.deviation)


def test_misleading_sources_drop_out(fitted, tmp_path):
    model, _ = fit(tmp_path, [scores_of(task, 100, sign=-1.0) for task in (1, 2)])
    new = scores_of(5, 20)
    mean, _ = predicted(model.surrogate, new.architectures, new.scores, ALL)
    own = own_process(model, new, rank_gaussian(new.scores))(ENCODING(ALL))
    torch.testing.assert_close(mean, own.mean, rtol=1e-12, atol=1e-12)


def test_means_are_standardised_over_the_space(fitted):
    model, _ = fitted
    for task, source in enumerate(model.sources.values(), start=1):
        means = source.mean(model.kernel, ENCODING(ALL))
        assert float(means.mean()) == pytest.approx(0, abs=1e-9)
        assert float(means.std(correction=0)) == pytest.approx(1, rel=1e-9)
        assert float(torch.corrcoef(torch.stack([means, rank_gaussian(truth(task))]))[0, 1]) > 0.9
        known = scores_of(task, 100)
        assert source.elite[0] == known.architectures[int(known.scores.argmax())]


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_resumed_fit_keeps_its_sources(fitted, tmp_path):
    _, file = fitted
    model, _ = fit(tmp_path, [scores_of(6, 60)], epochs=2, checkpoint=file)
    assert list(model.sources) == ["task1", "task2", "task3", "task6"]


def test_foreign_checkpoints_are_refused(fitted, tmp_path):
    _, file = fitted

    class Other(Letters):
        choices = tuple(Choice(name, tuple("abcd")) for name in "vwxyz")

    with pytest.raises(ValueError, match="fitted with another space"):
        read_surrogate(file, OneHotEncoding(Other()))
    with pytest.raises(FileNotFoundError, match="There is no checkpoint"):
        read_surrogate(tmp_path / "absent.ckpt", ENCODING)
    (tmp_path / "broken.ckpt").write_bytes(file.read_bytes()[:1000])
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    newer = {**torch.load(file, weights_only=True)[SURROGATE_KEY], "schema": 99}
    torch.save({SURROGATE_KEY: newer}, tmp_path / "newer.ckpt")
    for name, words in (("broken", "is damaged"), ("foreign", "is not a meta-surrogate"), ("newer", "newer version")):
        with pytest.raises(ValueError, match=words):
            read_surrogate(tmp_path / f"{name}.ckpt", ENCODING)


DAMAGE = {
    "an entry that is none": lambda entry: [1],
    "scales of 0": lambda entry: entry["scales"].zero_(),
    "choices that are tensors": lambda entry: entry["choices"].update(v=[torch.zeros(2)]),
    "weights of another length": lambda entry: entry["sources"][0].update(weights=torch.zeros(2, dtype=torch.float64)),
    "features of whole numbers": lambda entry: entry["sources"][0].update(features=torch.zeros(100, 15).long()),
    "a spread of 0": lambda entry: entry["sources"][0].update(spread=0.0),
    "an elite of another space": lambda entry: entry["sources"][0].update(elite=[{"v": "z"}]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_part_gets_one_sentence(damage, fitted, tmp_path):
    _, file = fitted
    content = torch.load(file, weights_only=True)
    changed = DAMAGE[damage](content[SURROGATE_KEY])
    if isinstance(changed, list):
        content[SURROGATE_KEY] = changed
    torch.save(content, tmp_path / "bad.ckpt")
    with pytest.raises(ValueError, match=r"bad.ckpt' is damaged: give a checkpoint that `fit` of MetaSurrogate"):
        read_surrogate(tmp_path / "bad.ckpt", ENCODING)


def test_portfolio_is_greedy():
    """Against trying every candidate at each step."""
    predictions = torch.randn(3, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
    rows = predictions.tolist()
    merit = [[-math.log((1 + sum(other > value for other in row)) / 30) for value in row] for row in rows]
    chosen: list[int] = []
    for _ in range(6):
        gains = [
            sum(w * max(0.0, *(row[c] for c in [*chosen, new])) for w, row in zip(weights.tolist(), merit, strict=True))
            if new not in chosen else -1 for new in range(30)
        ]  # fmt: skip
        chosen.append(max(range(30), key=lambda place: round(gains[place], 12)))
    found = portfolio(predictions, weights, 6)
    bests = predictions.argmax(1).tolist()
    last = next(n for n in range(1, 7) if set(bests) <= set(chosen[:n]))  # from then on nothing raises the mean
    assert found == chosen[:last]
    assert portfolio(predictions, weights, 2) == found[:2]
    assert portfolio(predictions[:1], weights[:1], 6) == bests[:1]


def test_evidence_counts_pairs_and_fades():
    values = torch.tensor([3.0, 2.0, 1.0, 1.0])
    predictions = torch.tensor([[3.0, 2.0, 1.0, 5.0], [3, 2, 1, 1], [1, 1, 1, 1], [1, 2, 3, 4]])
    assert discordance(values, predictions).tolist() == [2 / 5, 0, 1 / 2, 1]
    torch.testing.assert_close(evidence_weights(values, predictions), torch.tensor([0, 0.75, 0, 0]).double())
    near = torch.tensor([[5.0, 4.0, 3.0, 1.0, 2.0]])  # one of ten pairs
    found = evidence_weights(torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0]), near)
    torch.testing.assert_close(found, 0.75 * torch.tensor([1 - (0.1 / 0.2) ** 2]).double())
    alone = combine_predictions(torch.ones(2).double(), torch.zeros(0).double(), torch.zeros(0, 2).double())
    torch.testing.assert_close(alone, torch.ones(2).double())

"""Successive halving, and its evolving variant with mutants and inherited weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import log1p
from statistics import fmean

import torch

from lit_metanas.estimators.estimator import Estimator, EstimatorCallable, Query
from lit_metanas.estimators.training_estimator import TrainingEstimator
from lit_metanas.io.text import number_of
from lit_metanas.records.record import Budget, RecipeFields, RecipeValue, SearchOutcome, SearchRecord
from lit_metanas.records.statistics import clearly_above
from lit_metanas.searchers.halving.proposals import covering, promising
from lit_metanas.searchers.halving.rungs import Contender, Halving, Race
from lit_metanas.searchers.mutation import below, draw_new
from lit_metanas.spaces.choice_space import complete, named_networks
from lit_metanas.spaces.space import SearchSpace

FEW_EPOCHS, MANY_EPOCHS = 2.0, 30.0
"""Epochs of photographs up to which scores say little, and from which on they change little."""


class SuccessiveHalving(Halving):
    """Random architectures, of which each rung of training keeps the best (Jamieson and Talwalkar 2016).

    Unlike in the paper, a rung's part of the budget is in FLOPs, not in iterations: large and small networks get the
    same. Each is trained for at least one epoch, or the estimator's smallest unit. If the budget does not pay that for
    all, the architectures drawn last are left out, and the outcome counts them (``untried``).

    Args:
        estimator: makes the estimator of a task.
        candidates: architectures in the first rung.
        eta: each rung keeps one in ``eta``, rounded up.
        rungs: share of the budget's FLOPs for each rung; None gives equal shares to as many rungs as leave one
            architecture.
        finish: whether the winner is trained further with the rest of the budget.
        train: fields of the estimator's recipe that are drawn with each architecture, and the values to choose from.
        records: files of searches of other tasks in this space; ``shipped`` is the package's. The first candidates are
            then the networks, with their recorded recipes, that cover these tasks best (see ``PortfolioSampler``).
        keep: fields of the estimator's recipe that keep their value, whatever it was in the records.
        first: labels, by choice or group, of networks that come after those of the records. The others are drawn.

    Example:
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> method = lm.searchers.SuccessiveHalving(candidates=2)
        >>> result = lm.search(task, lm.LayeredSpace(widths=(4,)), method=method, flops=1e9, recipe=lm.Recipe(epochs=1))
        >>> len(result.record.trials)
        2
    """

    def __init__(
        self,
        *,
        estimator: EstimatorCallable = TrainingEstimator,
        candidates: int = 8,
        eta: int = 2,
        rungs: Sequence[float] | None = None,
        finish: bool = False,
        train: dict[str, list[RecipeValue]] | None = None,
        records: Sequence[str] = (),
        keep: Sequence[str] = (),
        first: Sequence[Mapping[str, str]] = (),
    ) -> None:
        if candidates < 1 or eta < 2:
            raise ValueError(f"Halving needs candidates >= 1 and eta >= 2, not {candidates} and {eta}.")
        if rungs is None:
            number, kept = 1, candidates
            while kept > eta:
                number, kept = number + 1, -(-kept // eta)
            rungs = [1 / number] * number
        super().__init__(estimator, rungs, finish, train, records)
        self.candidates = candidates
        self.eta = eta
        self.keep = tuple(keep)
        self.first = tuple(first)

    def run(
        self, estimator: Estimator, space: SearchSpace, budget: Budget, seed: int, *, problem: str
    ) -> SearchOutcome:
        """Halve; see the base class."""
        race = self._begin(estimator, space, budget, seed, problem)
        contenders = [Contender(query) for query in self.first_rung(race.known, space, seed)]
        for share in self.rungs:
            ranked = race.train(contenders, share * race.total)
            if not ranked:
                break
            contenders = ranked[: -(-len(ranked) // self.eta)]
        return race.finish(contenders, further=self.finish)

    def first_rung(self, known: Sequence[SearchRecord], space: SearchSpace, seed: int) -> list[Query]:
        """The queries of the first rung of a search with this seed; ``known`` is what ``known_records`` gives."""
        generator = torch.Generator().manual_seed(seed)
        covers = covering(known, space, self.candidates)
        promised = [query.having(lambda name, value: name not in self.keep) for query in covers]
        first = list(dict.fromkeys([*promised, *map(Query, named_networks(space, self.first))]))[: self.candidates]

        def draw() -> Query:
            recipe = {name: values[below(len(values), generator)] for name, values in self.train.items()}
            return Query.of(space.sample(generator), recipe)

        number = self.candidates - len(first)
        return [*first, *draw_new(draw, number, refusal=lambda query: space.violation(query.architecture), known=first)]


class EvolvingHalving(Halving):
    """Starts around an incumbent; each rung trains the best so far and new mutants of them.

    A mutant starts from the weights of its parent if they share layers and the estimator allows it (``inherits``). The
    incumbent is in the first rung, and the best of a rung is in the next, so that it is replaced only by an
    architecture that beat it after the same training.

    Args:
        estimator: makes the estimator of a task.
        incumbent: labels to start from; a missing one is that of the same choice one layer below, or the first. Without
            any, a search with records starts from their best candidates.
        candidates: architectures in each rung.
        rungs: share of the budget's FLOPs for each rung.
        survivors: number of contenders that go on to the next rung, or one number for each rung.
        finish: whether the winner is trained further with the rest of the budget.
        train: fields of the estimator's recipe that also mutate, and the values to choose from; the incumbent has the
            estimator's own.
        later: further such fields. From the second rung on the best so far is tried with one new value of these fields
            a rung, until all values were tried. Then they mutate as those of ``train``.
        recipe_mutations: probability that a mutation changes the recipe, if it has any field, and not the architecture.
        records: files of searches of other sources, such as the ``records.jsonl`` of ``SourceSearch``;
            ``shipped-episodes`` is the package's, ``shipped`` that of tasks. Records of the problem itself are not
            used.
        proposals: most candidates of the first rung that come from the records.
        first: architectures with recipes that fill the first rung instead of the incumbent and the records' candidates,
            the best guess first.
        examples: number of examples whose mean is a score from 0 to 1. The best so far, or the best of ``first``, is
            then replaced only by a mutant that leads by a standard error (Breiman et al. 1984), so that luck does not
            replace it again and again; and of those of ``first`` the best guess leads, unless another is ahead by half
            a standard error. With None any lead is enough.
        power: a contender's part of a rung grows with this power of the FLOPs of its full training. At 0 all get the
            same FLOPs, or the same time if the estimator knows their pace; at 1 those of one pace get as many epochs.
        head_start: small networks have more epochs in the same time, and large ones have more to gain from those to
            come. So contenders are ranked by their errors, 1 minus the score, times their epochs to a power. It is
            ``head_start`` times the logarithm of how many times as long the winner will have been trained. Epochs
            count from 2 to 30: the first say little, and later ones change little. 0 ranks them by their scores.
        ahead: FLOPs by which the winner is trained on after the search.

    Example:
        >>> lm.searchers.EvolvingHalving(candidates=(2, 2), rungs=(0.2, 0.2)).survivors
        (1, 1)
    """

    def __init__(
        self,
        *,
        estimator: EstimatorCallable = TrainingEstimator,
        incumbent: Mapping[str, str] | None = None,
        candidates: Sequence[int] = (6, 4, 4),
        rungs: Sequence[float] = (0.14, 0.14, 0.10),
        survivors: int | Sequence[int] = 1,
        finish: bool = True,
        train: dict[str, list[RecipeValue]] | None = None,
        later: dict[str, list[RecipeValue]] | None = None,
        recipe_mutations: float = 0.5,
        records: Sequence[str] = (),
        proposals: int = 3,
        first: Sequence[Query] = (),
        examples: int | None = None,
        power: float = 0.0,
        head_start: float = 0.0,
        ahead: float = 0.0,
    ) -> None:
        super().__init__(estimator, rungs, finish, train, records, later)
        kept = (survivors,) * len(rungs) if isinstance(survivors, int) else tuple(survivors)
        numbers = zip(candidates, kept, strict=False)
        if not len(candidates) == len(rungs) == len(kept) or not all(1 <= few <= most for most, few in numbers):
            raise ValueError(
                "EvolvingHalving needs one number of candidates a rung, and of survivors from 1 to that: got "
                f"{list(candidates)} and {list(kept)} for {number_of(len(rungs), 'rung')}."
            )
        least = {"proposals": 0, "examples": 1, "power": 0, "head_start": 0, "ahead": 0}
        values = zip(least, (proposals, examples, power, head_start, ahead), strict=True)
        for name, value in values:
            if value is not None and value < least[name]:
                raise ValueError(f"EvolvingHalving: {name} is {value}; give at least {least[name]}, or leave it out.")
        self.incumbent = dict(incumbent or {})
        self.candidates = tuple(candidates)
        self.survivors = kept
        self.recipe_mutations = recipe_mutations
        self.proposals = proposals
        self.first = tuple(first)
        self.examples = examples
        self.power = power
        self.head_start = head_start
        self.ahead = ahead

    def run(
        self, estimator: Estimator, space: SearchSpace, budget: Budget, seed: int, *, problem: str
    ) -> SearchOutcome:
        """Evolve; see the base class."""
        race = self._begin(estimator, space, budget, seed, problem)
        recipe = {name: estimator.settings[name] for name in (*self.train, *self.later) if name in estimator.settings}
        contenders = self._first_parents(space, self._promised(race, recipe), recipe)
        for number, share, survivors in zip(self.candidates, self.rungs, self.survivors, strict=True):
            begun = {contender.query for contender in contenders if race.entered or self.first}
            rung = self._next_rung(race, contenders, number, contenders[0])
            ranked = race.train(rung, share * race.total, self.power)
            if not ranked:
                break
            contenders = self._led(ranked, begun)[:survivors]
        return race.finish(contenders, further=self.finish)

    def _led(self, rung: Sequence[Contender], begun: Collection[Query]) -> list[Contender]:
        """A rung, best first; the best of ``begun`` comes first unless a mutant leads it by a standard error."""
        promised = self._promised_scores(rung)
        ranked = sorted(rung, key=lambda one: -promised[one.query])
        best = next((each for each in ranked if each.query in begun), ranked[0])
        if self.examples is None or self._leads(promised, ranked[0], best):
            return ranked
        if best.query in self.first:
            guesses = [one for query in self.first for one in ranked if one.query == query]
            best = next(one for one in guesses if not self._leads(promised, best, one, errors=0.5))
        return [best, *(each for each in ranked if each is not best)]

    def _promised_scores(self, rung: Sequence[Contender]) -> dict[Query, float]:
        """The scores of a rung, as if all had had as many epochs as the one that had most."""
        # The logarithm of the error falls with that of the epochs, more and more slowly: its slope by `head_start` with
        # each e-fold. Summed over the training that is ahead, networks differ by this power of their epochs.
        trained = max(1.0, fmean(one.trained for one in rung))
        power = self.head_start * log1p(self.ahead / trained)
        if not power:
            return {one.query: one.value for one in rung}
        epochs = {one.query: min(max(one.epochs, FEW_EPOCHS), MANY_EPOCHS) for one in rung}
        most = max(epochs.values())
        return {one.query: 1 - (1 - one.value) * (epochs[one.query] / most) ** power for one in rung}

    def _leads(self, promised: dict[Query, float], one: Contender, other: Contender, errors: float = 1.0) -> bool:
        assert self.examples is not None
        return clearly_above(promised[one.query], promised[other.query], self.examples, errors=errors)

    def _first_parents(self, space: SearchSpace, promised: Sequence[Query], recipe: RecipeFields) -> list[Contender]:
        if self.first:
            return [Contender(query) for query in self.first[: self.candidates[0]]]
        if self.proposals and promised and not self.incumbent:
            return [Contender(query) for query in promised[: min(self.proposals, self.candidates[0])]]
        start = complete(space, self.incumbent)
        if (reason := space.violation(start)) is not None:
            raise ValueError(f"The incumbent cannot be built ({reason}): give other labels.")
        incumbent = Query.of(start, recipe)
        others = [query for query in promised if query != incumbent]
        return [Contender(each) for each in (*others[: min(self.proposals, self.candidates[0] - 1)], incumbent)]

    def _promised(self, race: Race, recipe: RecipeFields) -> list[Query]:
        """The best queries of the records whose recipes the search allows; ``recipe`` gives missing fields."""
        allowed = {(name, value) for name, values in self.train.items() for value in values}
        queries: list[Query] = []
        if all(trial.trained for record in race.known for trial in record.trials):
            queries = promising(race.known, race.space, race.total)
        queries = queries or covering(race.known, race.space, self.proposals)
        fitting = [each for each in queries if allowed.issuperset(each.recipe)]
        return list(dict.fromkeys(Query.of(q.architecture, {**recipe, **dict(q.recipe)}) for q in fitting))

"""The division of a budget between a search and the training of what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from time import perf_counter

from lit_metanas.automl.steps.limits import Wishes
from lit_metanas.automl.steps.output_folder import OutputFolder
from lit_metanas.automl.steps.time_plan import (
    LONGEST_TRAINING,
    MOST_MEMBERS,
    BudgetPlan,
    Pace,
    Rungs,
    measure_pace,
    rounded,
    search_flops,
    searched_share,
    trial_epochs,
    writing_seconds,
)
from lit_metanas.automl.steps.views import View, Views, without_preprocessing
from lit_metanas.io.text import duration
from lit_metanas.records.budget import Cost
from lit_metanas.records.record import RecipeFields, SearchOutcome
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.tasks.task import Split
from lit_metanas.training.child import Recipe, recipe_cost

MOMENT_SHARE, SHORTEST_MOMENT, LONGEST_MOMENT = 0.03, 0.2, 6.0
"""How long networks are trained to measure a pace: a share of the minutes, and its bounds in seconds."""

SLOW_START = 0.5
"""Of the minutes: if more is gone before the search, a sentence says so."""

LEAST_TRAINED = 0.25
"""What the training after a search gets at least, where that has taken longer than planned: a share of its seconds as
they were planned."""

MOST_TRAINED = 5
"""What a network far smaller than those that were planned for gets at most: so many times their epochs. More would be
hours for a few FLOPs. Minutes, where they are given, are used up."""

Trainings = Sequence[tuple[Architecture, RecipeFields, Cost]]
"""In turn the architecture, the changes of its recipe, and what it cost."""


class BudgetPlanner:
    """Divides the budget of ``auto`` between a search and the training of what it found.

    Args:
        views: the data, under all preprocessings to choose from.
        wishes: minutes or FLOPs.
        folder: keeps the division, so that an interrupted search goes on with it; None keeps nothing.
        networks: some that may be tried; the first is the one that the search begins with.
        recipe: how they are trained.
        share: of the budget, for the search.
        began: the clock when the minutes began.
        reading: seconds that it took to make the usual view.
        points: how many networks are trained, tested and written after the search.
        candidates: those that the search begins with, where they are not ``networks``.
        trials: how many candidates share what the training of one usually takes.
        member_epochs: see ``DataKind``.

    Attributes:
        epoch: training FLOPs of an epoch of one of the networks, on average.
        trial: training FLOPs of one candidate.
    """

    def __init__(
        self,
        views: Views,
        wishes: Wishes,
        folder: OutputFolder | None,
        *,
        networks: Sequence[Architecture],
        recipe: Recipe,
        share: float,
        began: float,
        reading: float,
        points: int = 1,
        candidates: Sequence[Architecture] = (),
        trials: float = 1,
        member_epochs: int = 0,
    ) -> None:
        self.views = views
        self.wishes = wishes
        self.folder = folder
        self.networks = networks
        self.recipe = recipe
        self.share = share
        self.began = began
        self.reading = reading
        self.points = points
        self.member_epochs = member_epochs
        self.task = views.usual.task
        self.epoch = self._mean_epoch(networks)
        epochs = trial_epochs(len(self.task.train), recipe.batch_size) / trials
        self.trial = self._mean_epoch(candidates or networks) * epochs

    def plan(self, rungs: Rungs) -> BudgetPlan:
        """How the budget is divided: as it was before, where the search goes on.

        Args:
            rungs: of the search.

        Raises:
            ValueError: the budget is too small for one network.
        """
        if self.folder is not None and self.folder.plan is not None:
            return self.folder.plan
        minutes = self.wishes.minutes
        return self.keep(self._plan_of_flops() if minutes is None else self._plan_of_minutes(minutes, rungs))

    def keep(self, plan: BudgetPlan) -> BudgetPlan:
        """A plan, which is written where there is a folder."""
        if self.folder is not None:
            self.folder.keep(plan)
        return plan

    def rest(
        self, found: SearchOutcome, plan: BudgetPlan, *, flops: float, seconds: float, trainings: Trainings
    ) -> float:
        """What all trainings after the search may spend.

        Args:
            found: what is trained.
            plan: how the budget was divided.
            flops: of the search.
            seconds: of the search, and of what was trained since.
            trainings: those of the search.
        """
        if plan.training is not None:
            return plan.training
        if self.wishes.minutes is None:
            left = sum(self.wishes.flops) - flops
        else:
            view, label = self.views.of(found.recipe), self.views.label_of
            before = [each for one, own, each in trainings if one == found.architecture and label(own) == view.label]
            recipe = self.recipe_of(found)
            pace = measure_pace(view.task, self.views.space, [found.architecture], recipe, seconds=self._moment)
            pace = pace.averaged(before, scored=self._scored)
            gone = max(perf_counter() - self.began, plan.prepared + seconds)
            ending = self._ending(found.architecture, view, pace)
            left = pace.flops * (60 * self.wishes.minutes - gone - ending)
            left -= pace.flops * ending * (self.members(found, left, apart=pace.flops * ending) - 1)
            # A machine that got slower would leave it untrained.
            left = max(left, LEAST_TRAINED * plan.search * pace.flops / plan.pace)
        return rounded(left)

    def limited(self, flops: float, found: SearchOutcome, plan: BudgetPlan) -> float:
        """What of the FLOPs that a search has left one network may be trained for, where one number was given for both.

        Args:
            flops: that are left.
            found: what is trained.
            plan: how the budget was divided.
        """
        if self.wishes.minutes is not None or plan.training is not None or self.points > 1:
            return flops
        planned = max(LONGEST_TRAINING, plan.expected / self.epoch)
        return min(flops, MOST_TRAINED * planned * self.last_epoch(found))

    def members(
        self,
        found: SearchOutcome,
        flops: float,
        *,
        apart: float = 0.0,
        linear: Mapping[str, float] | None = None,
    ) -> int:
        """How many networks of what was found are trained for an ensemble.

        Args:
            found: of the search.
            flops: of all.
            apart: of these, what each but the first takes besides its training.
            linear: what a linear model has of limited measures, with which they are averaged; None is no such model.
        """
        if not self.member_epochs:
            return 1
        most = self.views.of(found.recipe).limited.members(found.architecture, MOST_MEMBERS, linear)
        each = self.member_epochs * self.last_epoch(found) + apart
        return max(1, min(most, int((flops + apart) / each + 1e-6)))

    def recipe_of(self, found: SearchOutcome) -> Recipe:
        """How what was found is trained."""
        return self.recipe.replace(without_preprocessing(found.recipe))

    def usual_epoch(self, architecture: Architecture, *, learned: bool = False) -> int:
        """Training FLOPs of an epoch in the usual view, of the train part, or of all but the test part."""
        usual = self.views.usual
        return self.epoch_of(architecture, usual, usual.learned if learned else usual.task.train)

    def last_epoch(self, found: SearchOutcome) -> int:
        """Training FLOPs of an epoch of the training after the search."""
        view = self.views.of(found.recipe)
        return self.epoch_of(found.architecture, view, view.learned)

    def epoch_of(self, architecture: Architecture, view: View, part: Split) -> int:
        """Training FLOPs of an epoch on some part of the data."""
        return recipe_cost(self.views.space, architecture, view.task, part, self.recipe, epochs=1).flops

    def _mean_epoch(self, architectures: Sequence[Architecture]) -> float:
        """Training FLOPs of an epoch of one of some networks, on average."""
        return sum(map(self.usual_epoch, architectures)) / len(architectures)

    def _plan_of_flops(self) -> BudgetPlan:
        first, last = (self.usual_epoch(self.networks[0], learned=learned) for learned in (False, True))
        both = sum(self.wishes.flops)
        told = len(self.wishes.flops) == 2
        search = self.wishes.flops[0] if told else self._searched(both, epoch=last, trial=self.trial, single=last)
        if search < first or (not told and both < 2 * last):
            first, last = ceil(1.005 * first), ceil(1.005 * last)  # so that rounded ones are enough
            least = f"[{first:.3g},{last:.3g}]" if told else f"{2 * last:.3g}"
            raise ValueError(f"auto: the FLOPs pay for no epoch of a network on these data: give {least} or more.")
        return BudgetPlan(search, self.wishes.flops[1] if told else None, expected=both - search)

    def _plan_of_minutes(self, minutes: float, rungs: Rungs) -> BudgetPlan:
        usual = self.networks[0]
        self._tell_slow_start(minutes)
        pace = measure_pace(self.task, self.views.space, self.networks, self.recipe, seconds=self._moment)
        prepared, beside = perf_counter() - self.began, self._ending(usual, self.views.usual, pace)
        left = 60 * minutes - prepared - beside
        whole = self.epoch * len(self.views.usual.learned) / len(self.task.train)
        epoch, trial = whole / pace.flops, self.trial / pace.flops
        first, last = (self.usual_epoch(usual, learned=learned) / pace.flops for learned in (False, True))
        least = first + pace.building + pace.scoring * self._scored
        searching = max(self._searched(left, epoch=epoch, trial=trial, single=least), least)
        search = search_flops(
            searching,
            pace,
            trial=self.trial,
            scored=self._scored,
            rungs=rungs,
            views=len(self.views.labels[1:]),
            reading=self.reading,
        )
        search = max(search, float(ceil(first * pace.flops)))
        if left - searching < last:
            needed = prepared + beside + 2.2 * max(least, last)
            raise ValueError(
                f"auto: {minutes:g} min is too short for one network on these data and this machine: give "
                f"{ceil(needed / 6) / 10:.1f} minutes or more."
            )
        training = pace.flops * (left - searching)
        self.wishes.say(
            f"this machine trains {pace.flops:.3g} FLOPs a second: {search:.3g} are to try networks, about "
            f"{training:.2g} to train the best of them."
        )
        return BudgetPlan(search, None, pace.flops, prepared, expected=training)

    def _tell_slow_start(self, minutes: float) -> None:
        """Say so if little of the minutes is left once the data have been read."""
        gone = perf_counter() - self.began
        if gone > SLOW_START * 60 * minutes:
            self.wishes.say(
                f"starting and reading the data took {duration(gone)} of {duration(60 * minutes)}, which leaves little "
                "for the network: more minutes would help."
            )

    def _searched(self, budget: float, *, epoch: float, trial: float, single: float) -> float:
        """What the search gets of a budget; see ``searched_share``. What it finds may be of another size."""
        members = self.views.usual.limited.members(self.networks[0], MOST_MEMBERS)
        longest = max(LONGEST_TRAINING, members * self.member_epochs)
        return searched_share(budget, epoch=epoch, trial=trial, share=self.share, longest=longest, single=single)

    def _ending(self, architecture: Architecture, view: View, pace: Pace) -> float:
        """Seconds for all but search and training: building, testing and, where there is a folder, writing."""
        writing = 0.0 if self.folder is None else writing_seconds(view.task, architecture, pace)
        return self.points * (pace.building + pace.scoring * len(self.task.test) + writing)

    @property
    def _moment(self) -> float:
        """Seconds for which networks are trained to measure a pace."""
        return min(max(MOMENT_SHARE * 60 * (self.wishes.minutes or 0), SHORTEST_MOMENT), LONGEST_MOMENT)

    @property
    def _scored(self) -> int:
        """How many examples a candidate is scored on."""
        return 0 if self.task.val is None else len(self.task.val)

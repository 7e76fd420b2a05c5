"""The comparison of the network that a search found with linear models, and with a rival: boosted trees."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import torch

from lit_metanas.automl.budget_plan import BudgetPlan, limited, rest
from lit_metanas.automl.candidates import Beginning, Candidate, Job, LinearTrainings, best_of, last_cost
from lit_metanas.automl.last_training import Known, Show, train_linear_fully
from lit_metanas.automl.options import AUTO_THREADS
from lit_metanas.automl.pace import threads_that_pay
from lit_metanas.estimators.estimator import FAILURES
from lit_metanas.estimators.training_estimator import validation_part
from lit_metanas.io.allocator import torch_threads
from lit_metanas.kinds.rows.columns import Columns
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.objective import Judged
from lit_metanas.objectives.regression import Regression
from lit_metanas.objectives.several_labels import SeveralLabels
from lit_metanas.records.budget import Cost
from lit_metanas.records.statistics import forecast
from lit_metanas.searchers.query.ledger import Query
from lit_metanas.tasks.task import Task
from lit_metanas.training.child import Child, chosen_child, judge
from lit_metanas.training.recipes import Recipe
from lit_metanas.training.workers import workers_now

TREES_SHARE, TREES_ROUNDS, TREES_FLOPS = 0.05, 100, 50
"""The most of the budget that boosted trees may take, their rounds, and the FLOPs that last as long as one of their
looks at a number, as measured on a few tables."""


def score_trees(job: Job, known: Known, show: Show) -> None:
    """Score gradient-boosted trees of scikit-learn on the validation part of rows, if they cost little."""
    task, goal, val = job.task, job.task.goal, validation_part(job.task)
    if not isinstance(goal, Classification | SeveralLabels | Regression) or find_spec("sklearn") is None:
        return
    made = task.preprocessing
    if not isinstance(made, Columns):
        return
    features = made.unscaled(task.train.inputs)
    ensembles = goal.outputs  # of trees
    if isinstance(goal, Classification) and goal.outputs == 2:
        ensembles = 1
    looks = TREES_ROUNDS * features.size * ensembles
    if TREES_FLOPS * looks > TREES_SHARE * (known.plan.search + (known.plan.training or known.plan.expected)):
        return
    show("scoring boosted trees")
    begin = perf_counter()
    with suppress(*FAILURES):
        predictions = _by_trees(task, features, made.unscaled(val.inputs), job.options.seed)
        known.trees = goal.judge(predictions, val.labels.cpu())
    known.charge(Cost(seconds=perf_counter() - begin))


def _by_trees(task: Task, features: Any, asked: Any, seed: int) -> list[Any]:
    """What boosted trees predict for the rows that are asked."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    targets, weights = task.train.labels.cpu().numpy(), task.train.weights
    given = {} if weights is None else {"sample_weight": weights.cpu().numpy()}

    def predicted(trees: Any, column: Any, said: str = "predict") -> list[Any]:
        found: list[Any] = getattr(trees.fit(features, column, **given), said)(asked).tolist()
        return found

    if isinstance(task.goal, Classification):
        trees = HistGradientBoostingClassifier(random_state=seed)
        said = torch.zeros(len(asked), task.way, dtype=torch.float64)
        said[:, task.train.labels.unique().cpu()] = torch.tensor(predicted(trees, targets, "predict_proba")).double()
        return task.goal.evidence(said.log())
    if isinstance(task.goal, SeveralLabels):
        trees = [HistGradientBoostingClassifier(random_state=seed) for _ in targets.T]
        shares = (predicted(*pair, "predict_proba") for pair in zip(trees, targets.T, strict=True))
        return list(zip(*([row[-1] for row in own] for own in shares), strict=True))  # all may have a label
    columns = (predicted(HistGradientBoostingRegressor(random_state=seed), one) for one in targets.T)
    return list(zip(*columns, strict=True))


def describe_trees(found: Judged | None, chosen: float) -> str:
    """The score of boosted trees, compared with that of the model that was chosen on the same examples."""
    if found is None:
        return ""
    ahead = found.value - chosen
    text = f"HistGradientBoosting of scikit-learn reaches {100 * found.value:.1f} % on the same validation part, "
    if ahead >= max(found.half / 1.96, 1e-9):  # its standard error
        return f"{text}{100 * ahead:.1f} points more: use it here"
    if abs(ahead) < 5e-4:
        return f"{text}as much"
    more = "more, which may be chance" if ahead > 0 else "less"
    return f"{text}{100 * abs(ahead):.1f} points {more}"


def train_linear(job: Job, begun: Beginning, known: Known, show: Show) -> Candidate | None:
    """Train linear models, as many as can be paid for, and settle what everything after the search may spend.

    An epoch of the network, and the last training of the best linear model, must be left. Of minutes, the rest is known
    only after these trainings. So the expected rest decides how many there are, and the known rest is then changed to
    pay for just as many: given as FLOPs, it repeats the result.

    Returns:
        The best linear model, if there is any.
    """
    work, options, plan, network = begun.work, job.options, known.plan, known.network
    assert network is not None
    plan = known.plan = replace(plan, threads=_threads(job, begun, plan, network))
    if job.linear is None:
        _settle(job, known, limited(work, options, plan, network.found, _left(job, begun, known, network)))
        return None
    measured = options.minutes is not None and plan.training is None
    whole = plan.expected if measured else _left(job, begun, known, network)
    models, epoch = LinearTrainings(job, plan, network.view.label), work.last_epoch(network.found)
    number = models.affordable(whole, epoch=epoch)
    if number:
        show("training linear models")
    later = 0.0
    with torch_threads(plan.threads):
        for model, cost in models.train(number):
            known.linear += filter(None, [model])
            known.charge(cost)
            later = max(later, cost.seconds)
    best = max(known.linear, key=lambda one: one.value, default=None)
    if measured:
        if not job.kind.averages_linear:
            later = 0.0
        # The last training of the linear model, which takes longer than it counts, comes off the network's.
        wanted = known.apart.flops + _left(job, begun, known, network, later=models.longer * later)
    else:
        wanted = limited(work, options, plan, network.found, whole)
    if wanted != whole:
        whole = models.nearest(wanted, epoch=epoch, number=number)
    _settle(job, known, whole)
    return best


def _left(job: Job, begun: Beginning, known: Known, network: Candidate, *, later: float = 0.0) -> float:
    """The FLOPs that are left after the search, the seconds of all that was trained since, and those kept for later."""
    spent, trainings = known.budget.spent, known.scored.spent
    seconds = spent.seconds / workers_now() + known.apart.seconds
    return rest(
        begun.work,
        job.options,
        known.plan,
        network.found,
        flops=spent.flops,
        seconds=seconds,
        trainings=trainings,
        later=later,
    )


def _threads(job: Job, begun: Beginning, plan: BudgetPlan, network: Candidate) -> int:
    """Torch's threads in the last training: what the options say, or of minutes as many as pay, one or all."""
    options, most = job.options, workers_now()
    if options.threads != AUTO_THREADS:
        return options.given_threads
    timed = "latency" in job.views.limits.given or options.pareto == "latency"  # which is of one thread
    if options.minutes is None or plan.training is not None or most == 1 or timed:
        return plan.threads
    return threads_that_pay(
        network.view.task,
        network.view.limited.space,
        network.found.architecture,
        network.recipe,
        seconds=begun.work.moment(options.minutes),
        precision=plan.precision,
        most=most,
    )


def _settle(job: Job, known: Known, flops: float) -> None:
    """Keep what everything after the search may spend, in the plan and for the progress."""
    known.plan = job.keep(replace(known.plan, training=flops))
    known.budget.follow(flops)


def compare(job: Job, begun: Beginning, known: Known, best: Candidate, show: Show) -> Candidate:
    """The best of the network, a linear model, and the mean of both.

    The search may have trained the network too briefly to tell. If the linear model leads, the network is taken if its
    scores so far promise more, with the linear model where a mean can be had; else it is first trained on, on the same
    examples, and once more if it still trails. A mean is trained in its linear part.
    """
    network, examples = known.network, job.examples
    assert network is not None
    means = mean_of(job, network, best)
    chosen = best_of([network, best, *means], examples)
    promised = 0.0
    if chosen is best:
        promised = _promised(known, network)
        if means and promised > best.value:  # the weights of both are learned once the network is trained
            chosen = means[0]
    known.sentence = describe_both(best, network, chosen)
    if chosen.linear is not None:
        show("training the linear model")
        failure = train_linear_fully(job, known, best, chosen)
        known.sentence += ending(failure, "both were")
        return network if failure else chosen
    if chosen is best and (slow := best.view.limited.check(best.found.architecture)) is not None:
        known.sentence += f": the linear model is slower now ({slow}), so the network was taken"
        return network
    if chosen is best and promised > best.value:
        known.sentence += f", and promises {100 * promised:.1f} %: the network was taken"
        return network
    for share in known.plan.shares.longer:
        left = (known.plan.training or 0) - known.apart.flops
        spare = min(share * left, left - begun.work.last_epoch(network.found) - last_cost(best).flops)
        epoch = begun.work.epoch_of(network.found.architecture, network.view, network.view.task.train)
        epochs = int(spare / epoch)
        if chosen is network or epochs < 1:
            break
        show("training the best network on, as a linear model is better so far")
        network = train_on(job, begun, known, network, epochs)
        chosen = best_of([network, best], examples)
    known.sentence = describe_both(best, network, chosen)
    if chosen is best:
        show("training the linear model")
    else:
        known.sentence += ": the network was taken"
    return chosen


def _promised(known: Known, network: Candidate) -> float:
    """The score that a network has after its last training, by its scores in the search."""
    query = Query.of(network.found.architecture, network.found.recipe)
    trials = [one for one in network.found.record.trials if one.scored]
    curve = [(one.trained, one.value) for one in trials if Query.of(one.architecture, one.recipe) == query]
    if not curve:
        return network.value
    return forecast(curve, curve[-1][0] + (known.plan.training or 0) - known.apart.flops)


def mean_of(job: Job, network: Candidate, linear: Candidate) -> list[Candidate]:
    """The mean of a network's and a linear model's scores; none if they cannot be averaged, or both exceed a limit.

    With limits of latency and size there is none, as these are no sums of two.
    """
    view, found, weights = network.view, network.found, linear.found.weights
    unknown = weights is None or found.weights is None or found.weights is job.views.weights
    if unknown or not job.kind.averages_linear or {"latency", "size"} & job.views.limits.given.keys():
        return []
    measured = linear.view.limited.measured(linear.found.architecture)
    if job.options.pareto or not view.limited.members(found.architecture, 1, measured):
        return []
    with suppress(*FAILURES):
        joined = job.views.joined(view, linear.view)
        if joined is None:
            return []
        val, parts = validation_part(joined.view.task), list[Child]()
        for own in (network, linear):
            space, seed = own.view.limited.space, job.options.seed
            parts.append(chosen_child(own.view.task, space, own.found, Recipe(), seed))
        both = joined.network(parts[0].network, parts[1].network).to(val.inputs.device).eval()
        value = judge(both, val, joined.view.task.goal).value
        return [replace(network, view=joined.view, value=value, linear=linear, joined=joined)]
    return []


def train_on(job: Job, begun: Beginning, known: Known, network: Candidate, epochs: int) -> Candidate:
    """Train the best network on, on the examples that it has learned from; if that fails, it stays as it was.

    An interrupt leaves no worse weights, while the comparison goes on with the last ones.
    """
    begin, found = perf_counter(), network.found
    estimator = job.estimator(begun.work.recipe).with_recipe({**found.recipe, "epochs": epochs})
    cost = estimator.cost(found.architecture, 1.0)
    with suppress(*FAILURES):
        longer = estimator(found.architecture, fidelity=1.0, start=found.weights)
        cost = longer.cost
        network = replace(network, found=replace(found, weights=longer.weights))
        if longer.value >= network.value:
            network = known.network = replace(network, value=longer.value)
    known.charge(replace(cost, seconds=perf_counter() - begin))
    known.longer += cost.flops
    return network


def describe_both(linear: Candidate, network: Candidate, chosen: Candidate | None = None) -> str:
    """The scores of a linear model, of the network, and of the mean of both if it was chosen."""
    text = f"{linear.describe()}, the best network {100 * network.value:.1f} %"
    if chosen is not None and chosen.linear is not None:
        text += f", the mean of their scores {100 * chosen.value:.1f} %"
    return text


def ending(failure: str, taken: str) -> str:
    """How a comparison ended, if a linear model was to be trained for it."""
    if failure:
        return f": its last training failed ({failure}), so the network was taken"
    return f": {taken} taken"

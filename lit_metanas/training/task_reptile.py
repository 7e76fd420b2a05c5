"""Meta-training of weights over tasks of any objective: Reptile on sampled children."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lit_metanas.inputs.batches import channels_last, inputs_like
from lit_metanas.inputs.shapes import Shape, describe_shape, same_shape
from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.text import short_number
from lit_metanas.meta import Parameters
from lit_metanas.meta.learner import EVALUATION, task_generator
from lit_metanas.records.record import Cost
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.choice_space import first_buildable
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.target_data import WholeTask
from lit_metanas.tasks.task import Split, Task
from lit_metanas.training.child import batch_norms, judge, training_cost, training_loss
from lit_metanas.training.meta_weights import (
    OUTPUT_WEIGHTS,
    SUPERNET_WEIGHTS,
    TASKS_KEY,
    TaskStart,
    Vocabularies,
    labels_by_choice,
    plain_entry,
)
from lit_metanas.training.outer_training import Account, EpisodeScores, OuterTraining, outer_mean, validate_anew
from lit_metanas.training.trainers import apart_from_caller

FIRST_JUDGED = EVALUATION - 1  # step of `task_generator` for the first validation task; those of the others count down


@dataclass(frozen=True)
class AdaptedChild:
    """A child after its inner steps on a task: the mean of their losses, a scalar, and their cost."""

    # `change` is that of the weights that the child began with, by their names. Each is the leading part of the given
    # one, since a child may be narrower.
    network: nn.Module
    change: dict[str, Tensor]
    loss: Tensor
    cost: Cost

    @property
    def finite(self) -> bool:
        """Whether the loss and all changes are finite."""
        return all(bool(value.isfinite().all()) for value in (self.loss, *self.change.values()))


def _is_leading(value: Tensor, whole: Tensor) -> bool:
    return value.dim() == whole.dim() and torch.equal(value, whole[tuple(map(slice, value.shape))])


class TaskReptile(OuterTraining):
    """Meta-trains the weights of a space on many tasks, as a start for new ones, whatever the tasks' objective.

    In each outer step every task draws an architecture uniformly, and its child, which begins with the current weights,
    is trained on the task's train part for some inner steps. The weights then go a share of the way to the child's
    (Reptile, Nichol et al. 2018, section 3: theta <- theta + epsilon (phi - theta)). Of several tasks they go towards
    the mean. Only first-order, no graph is kept.

    Departures from the paper: of sampled children only what a child holds can be moved, so the mean of each weight
    is over those tasks whose children have it; epsilon falls linearly to zero, as in the authors' code. Batch-norm
    statistics are a task's own and no part of the start.

    A step is a function of (seed, step, position of the task), whatever the number of processes.

    Args:
        space: the search space, also one whose supernets do not compute.
        inner_steps: steps of Adam on a task, each on a batch drawn anew.
        inner_rate: learning rate of these.
        batch_size: examples an inner step, at least 2; all of a smaller train part.
        epsilon: share of the way at the start of the training, above 0.
        flops: training budget, 3 x forward multiply-adds x inputs; None trains for the Trainer's steps.
        val_architectures: children that each validation task is judged by, the same ones each time.
        skipped: how many tasks without a finite loss the whole training may leave out; one more stops it.
        seed: of weights, architectures, batches and dropout.

    Raises:
        ValueError: an argument is out of its range.

    Example:
        >>> source = lm.kinds.ArraySource(torch.rand(60, 8, 8), torch.arange(60) % 6)
        >>> tasks = lm.tasks.DrawnTasks(source, "train", way=2, train=4, val=2, test=2, tasks=3)
        >>> data = lm.TrainingTaskDataModule(tasks, steps_per_epoch=2)
        >>> model = lm.training.TaskReptile(space=lm.LayeredSpace(widths=(4,)), inner_steps=2)
        >>> quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        >>> lm.Trainer(max_epochs=1, accelerator="cpu", **quiet).fit(model, data)
        >>> model.cost().steps
        2

    1. Nichol, Achiam, Schulman. On First-Order Meta-Learning Algorithms. arXiv:1803.02999, 2018.
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        inner_steps: int = 10,
        inner_rate: float = 3e-3,
        batch_size: int = 32,
        epsilon: float = 0.5,
        flops: float | None = None,
        val_architectures: int = 2,
        skipped: int = 20,
        seed: int = 0,
    ) -> None:
        super().__init__(flops=flops, skipped=skipped, seed=seed)
        least = {
            "inner_steps": (inner_steps, 1),
            "batch_size": (batch_size, 2),
            "val_architectures": (val_architectures, 1),
        }
        for name, (value, bound) in least.items():
            if value < bound:
                raise ValueError(f"TaskReptile: {name} is {short_number(value)}; give at least {bound}.")
        for name, rate in {"inner_rate": inner_rate, "epsilon": epsilon}.items():
            if not rate > 0:
                raise ValueError(f"TaskReptile: {name} is {rate}; give a positive number.")
        self.space = space
        self.inner_steps, self.inner_rate, self.batch_size = inner_steps, inner_rate, batch_size
        self.epsilon = epsilon
        self.val_architectures = val_architectures
        self.register_module("supernet", None)
        self.register_module("outputs", None)
        self.vocabularies = Vocabularies()
        self._scores = EpisodeScores()

    def _build(self, shape: Shape, way: int) -> None:
        """Make the weights, a function of the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            supernet = self.space.supernet(shape)
            outputs = self.space.output_weights(supernet.features, way)
        self.shape: Shape = shape
        self.supernet: nn.Module = supernet
        modules: dict[str, nn.Module] = {}
        for name, value in outputs.items():
            module, parameter = name.split(".")
            modules.setdefault(module, nn.Module()).register_parameter(parameter, nn.Parameter(value))
        self.outputs: nn.Module = nn.ModuleDict(modules)

    def setup(self, stage: str) -> None:
        """Make the weights for the tasks of the data module."""
        super().setup(stage)
        example = getattr(getattr(self.trainer, "datamodule", None), "example", None)
        if not isinstance(example, Task):
            raise ValueError("TaskReptile learns from whole tasks: give a data module of such, TrainingTaskDataModule.")
        self.space.check_objective(example.goal)
        if not self.built:
            self._build(example.shape, example.way)
            self.vocabularies = Vocabularies.of(example)
        self._check(example)

    def weights(self) -> dict[str, Tensor]:
        """The meta-trained weights by the names that children inherit, detached."""
        return {name: parameter.detach() for name, parameter in self._parameters_by_name().items()}

    def configure_optimizers(self) -> Optimizer:
        """Plain gradient descent: its rate is epsilon, and the gradient theta - phi."""
        return torch.optim.SGD(self.parameters(), lr=self.epsilon)

    def training_step(self, batch: list[WholeTask], batch_idx: int) -> None:
        """One outer step: adapt a child to each task, and go towards the mean of all processes."""
        trainer, step, progress = self.trainer, int(self.outer_steps), self.progress
        tasks = [each.task for each in batch]
        adapted = [
            self.adapt(task, task_generator(self.seed, step, place * trainer.world_size + trainer.global_rank))
            for place, task in enumerate(tasks)
        ]
        mean, losses, inputs = self._mean_change(adapted)
        if not bool(losses.isfinite().all()):
            self.leave_out(
                losses.isfinite(), partial(self._describe, tasks), "lower inner_rate, or allow more with 'skipped'"
            )
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        for name, parameter in self._parameters_by_name().items():
            parameter.grad = -mean[name].to(parameter)
        for group in optimizer.param_groups:
            group["lr"] = self.epsilon * (1 - progress)
        optimizer.step()
        optimizer.zero_grad()
        self.outer_steps += 1
        finite = losses[losses.isfinite()]
        if len(finite):
            self.log("train/loss", finite.mean(), prog_bar=True)
        self.account.step(inputs)
        trainer.should_stop |= self.is_finished

    def on_validation_epoch_start(self) -> None:
        """Forget earlier scores."""
        self._scores.mine.clear()

    def validation_step(self, batch: list[WholeTask], batch_idx: int) -> None:
        """Judge some children after their inner steps on a task, on its val part, or test part where it has none."""
        # Trainers evaluate in inference mode by default, under which nothing can adapt.
        with torch.inference_mode(False), torch.enable_grad():
            for task in (each.task.trainable() for each in batch):
                number, values = self._scores.number(self.trainer), []
                for place in range(self.val_architectures):
                    architecture = self._sample(task_generator(self.seed, EVALUATION, place))
                    generator = task_generator(self.seed, FIRST_JUDGED - number, place)
                    values.append(self.score(self.adapt(task, generator, architecture).network, task))
                self._scores.mine.append(sum(values) / len(values))

    def on_validation_epoch_end(self) -> None:
        """Log the mean score over the tasks of all processes."""
        if values := self._scores.gather(self.trainer):
            self.log("val/score", sum(values) / len(values), prog_bar=True, sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what the weights are for and what they cost, as plain values."""
        entry = plain_entry(TaskStart.schema, labels_by_choice(self.space), self.shape, self.cost())
        entry |= {"space": self.space.name, "vocabularies": self.vocabularies.to_plain()}
        checkpoint[TASKS_KEY] = {**entry, "own": asdict(self.account)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse foreign checkpoints, and restore the account."""
        found = TaskStart.of(checkpoint)
        found.check_space(self.space)
        if self.built:
            found.check_shape(self.shape)
        else:
            self._build(found.shape, found.way)
            self.vocabularies = found.vocabularies
        if (what := found.vocabularies.difference(self.vocabularies)) is not None:
            raise ValueError(f"The checkpoint was meta-trained with {what} than the tasks have: give it its own tasks.")
        validate_anew(checkpoint)
        try:
            self.account = Account.kept(checkpoint[TASKS_KEY]["own"])
        except DAMAGED:
            raise ValueError("The checkpoint is damaged: give one that `fit` of TaskReptile wrote.") from None

    def _parameters_by_name(self) -> dict[str, nn.Parameter]:
        own = self.named_parameters()
        return {name.removeprefix(SUPERNET_WEIGHTS).removeprefix(OUTPUT_WEIGHTS): value for name, value in own}

    def _check(self, task: Task) -> None:
        """Refuse a task that cannot share weights with the others."""
        if not same_shape(task.shape, self.shape):
            raise ValueError(
                f"Task '{task.id}' has {describe_shape(task.shape)}, and the weights are for "
                f"{describe_shape(self.shape)}: give tasks of one shape."
            )
        if (what := Vocabularies.of(task).difference(self.vocabularies)) is not None:
            raise ValueError(f"Task '{task.id}' has {what} than the tasks before: give all tasks one.")
        if len(task.train) < 2:
            raise ValueError(f"Task '{task.id}' has {len(task.train)} training examples: give at least two.")

    def _sample(self, generator: torch.Generator) -> Architecture:
        return first_buildable(self.space, lambda: self.space.sample(generator))

    def adapt(self, task: Task, generator: torch.Generator, architecture: Architecture | None = None) -> AdaptedChild:
        """Train a child, which begins with the current weights; these stay as they are.

        Each step of Adam takes a new batch of at least 2 examples of the task's train part; a smaller part is one.
        The architecture is drawn where none is given.
        """
        # The generator draws the batches, too, and the seed of dropout and of weights that are not inherited.
        self._check(task)
        if architecture is None:
            architecture = self._sample(generator)
        weights, space, goal = self.weights(), self.space, task.goal
        like = next(iter(weights.values()))
        space.check_objective(goal)
        inputs, labels = channels_last(inputs_like(task.train.inputs, like)), task.train.labels
        size = min(self.batch_size, len(labels))
        with apart_from_caller(like.device):
            torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
            network = space.child(architecture, task.shape, task.way, weights).to(like).train()
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            before = space.supernet_weights(network)
            optimizer = torch.optim.Adam(network.parameters(), lr=self.inner_rate)
            losses = []
            for _ in range(self.inner_steps):
                chosen = torch.randperm(len(labels), generator=generator)[:size].to(labels.device)
                loss = training_loss(space, network, goal, inputs[chosen], labels[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
        after = space.supernet_weights(network)
        # A classifier of another number of outputs is not inherited.
        begun = [name for name, value in before.items() if name in weights and _is_leading(value, weights[name])]
        if not begun:
            raise ValueError(
                f"{space.name} does not name the weights that a child has learned, so none can be meta-trained: define "
                "supernet_weights."
            )
        change = {name: after[name] - before[name] for name in begun}
        cost = training_cost(space, architecture, task.shape, task.way, images=self.inner_steps * size)
        return AdaptedChild(network, change, torch.stack(losses).mean(), cost)

    def score(self, network: nn.Module, task: Task) -> float:
        """The metric of an adapted child on a task's val part, or on its test part if it has none."""
        # Batch-norm takes means and variances over the train part, without dropout (precise batch-norm, Wu and Johnson
        # 2021). The examples are ordered by class, so each batch has some from everywhere.
        like = next(network.parameters())
        part = task.val or task.test
        learned, judged = (channels_last(inputs_like(each.inputs, like)) for each in (task.train, part))
        network.eval()
        norms = batch_norms(network)
        for layer in norms:
            layer.train()
            layer.reset_running_stats()
            layer.momentum = None  # the mean over all batches
        if norms:
            batches = max(1, len(learned) // self.batch_size)
            with torch.no_grad():
                for first in range(batches):
                    network(learned[first::batches])
        return judge(network.eval(), Split(judged, part.labels), task.goal).value

    def _mean_change(self, adapted: list[AdaptedChild]) -> tuple[dict[str, Tensor], Tensor, int]:
        """Over the tasks of all processes."""
        changes = {name: torch.zeros_like(value) for name, value in self.weights().items()}
        held = {name: torch.zeros_like(value) for name, value in changes.items()}
        for each in (one for one in adapted if one.finite):
            for name, change in each.change.items():
                part = tuple(slice(size) for size in change.shape)
                changes[name][part] += change
                held[name][part] += 1
        like = adapted[0].loss
        finite = torch.tensor([each.finite for each in adapted], device=like.device)
        losses = torch.stack([each.loss for each in adapted])
        metrics = {
            "finite": torch.ones_like(losses),  # what is not adds nothing to the two sums, whose ratio is the mean
            "losses": torch.where(finite, losses, 0.0),
            "kept": finite.to(losses),
            "inputs": torch.tensor([float(each.cost.images) for each in adapted], device=like.device),
        }
        flops = sum(each.cost.flops for each in adapted)
        step = outer_mean(Parameters(changes, {}, held), metrics, flops, self.trainer, signalled=self.signalled)
        self.any_signalled = step.signalled
        self.spent += step.flops
        sums, found = step.gradients, step.metrics
        mean = {
            name: torch.where(sums.head[name] > 0, change / sums.head[name], 0.0)
            for name, change in sums.weights.items()
        }
        return mean, torch.where(found["kept"] > 0, found["losses"], torch.nan), int(found["inputs"].sum())

    def _describe(self, tasks: list[Task], place: int) -> str:
        """The begin of a sentence on a task that is not finite."""
        task = tasks[place // self.trainer.world_size]
        return f"Task '{task.id}' has no finite loss or weights at step {int(self.outer_steps)}"

"""Meta-learned weights, head and architecture logits: made, evaluated, saved and restored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from statistics import fmean
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import Shape, describe_shape, same_shape
from lit_metanas.io.arrays import DAMAGED
from lit_metanas.kinds.stored_preprocessing import UNKNOWN_INPUTS, InputMeaning
from lit_metanas.meta import Head, InnerLoop, Learner, Parameters
from lit_metanas.meta.inner_loop import evaluate
from lit_metanas.meta.learner import EVALUATION, BatchNorm, task_generator
from lit_metanas.objectives.classification import Classification
from lit_metanas.records.rows import Protocol
from lit_metanas.records.statistics import t_interval
from lit_metanas.relaxations import Derived, Relaxation
from lit_metanas.spaces import Architecture, SearchSpace, Supernet, inherit
from lit_metanas.tasks.task import Episode
from lit_metanas.training.architecture_logits import ArchitectureLogits
from lit_metanas.training.meta_search.episode_evaluation import AdaptedLogits, RunningStatistics
from lit_metanas.training.meta_weights import META_KEY, MetaCheckpoint, labels_by_choice
from lit_metanas.training.outer_training import Account, EpisodeScores, OuterTraining, validate_anew


class MetaLearned(OuterTraining):
    """A supernet, its architecture logits and a head, whatever trains them; validated and tested on episodes."""

    learner: Learner
    statistics: RunningStatistics

    def __init__(
        self,
        *,
        space: SearchSpace,
        shape: Shape | None,
        relaxation: Relaxation,
        inner_loop: InnerLoop,
        head: Head,
        batch_norm: BatchNorm,
        prior: Mapping[str, str] | None,
        prior_strength: float,
        start: str | None,
        task_architectures: AdaptedLogits | None,
        flops: float | None,
        skipped: int,
        seed: int,
    ) -> None:
        super().__init__(flops=flops, skipped=skipped, seed=seed)
        self.space, self.inner_loop, self.task_architectures = space, inner_loop, task_architectures
        if task_architectures is not None:
            task_architectures.check(inner_loop)
        self.test_values: list[float] = []  # one accuracy a test episode, of all processes, in the episodes' order
        self._derived, self._one_hot, self._relaxed = (EpisodeScores() for _ in range(3))
        self._protocol: Protocol | None = None
        # The order of a checkpoint's tensors is this one, whenever the modules are built.
        self.register_module("supernet", None)
        self.logits = ArchitectureLogits(space.choices, prior=prior, strength=prior_strength)
        self.register_module("head", None)
        self._parts = relaxation, head, batch_norm
        self._start: MetaCheckpoint | None = None
        self._inputs = UNKNOWN_INPUTS
        if start is not None:
            self._start = MetaCheckpoint.read(start)
            self._inputs = self._start.inputs
        self._random_state: Tensor | None = None
        if shape is None:
            self._random_state = torch.get_rng_state()
        else:
            self._build(shape)

    def _build(self, shape: Shape, way: int | None = None) -> None:
        """Make supernet and head, with the weights that they get when the module is made."""
        relaxation, head, batch_norm = self._parts
        self.space.check_objective(Classification(way or 1))
        self.shape: Shape = shape
        # Weights that are made later are those that the constructor would have made.
        with torch.random.fork_rng(devices=[], enabled=self._random_state is not None):
            if self._random_state is not None:
                torch.set_rng_state(self._random_state)
            self.supernet: Supernet = self.space.supernet(shape)
        initial = head.initial(self.supernet.features, torch.Generator().manual_seed(self.seed), way)
        self.head = nn.ParameterDict({name: nn.Parameter(value) for name, value in initial.items()})
        self.learner = Learner(self.supernet, relaxation, head, batch_norm)
        self.to(memory_format=torch.channels_last)
        self.statistics = RunningStatistics(self.supernet, shape, self.space)
        if self._start is not None:
            self._start_from(self._start)
            self._start = None

    def setup(self, stage: str) -> None:
        """Learn from the data module what was not given."""
        super().setup(stage)
        data = getattr(self.trainer, "datamodule", None)
        shape, made = getattr(data, "shape", None), getattr(data, "preprocessing", None)
        _check_data(self._inputs, made)
        if made is not None:
            self._inputs = InputMeaning.of(made)
        if not self.built:
            if shape is None:
                raise ValueError(
                    f"{type(self).__name__} does not know the shape of its inputs: give it as 'shape', or a data "
                    "module that has one, such as EpisodeDataModule."
                )
            self._build(shape, getattr(data, "way", None))
        elif shape is not None and not same_shape(shape, self.shape):
            raise ValueError(
                f"{type(self).__name__} is for {describe_shape(self.shape)}, and the data module has "
                f"{describe_shape(shape)}: leave 'shape' out to take that of the data."
            )

    @property
    def preprocessing(self) -> Preprocessing | None:
        """What made the inputs of the meta-training; None for images, and where that is not known."""
        return self._inputs.preprocessing

    def probabilities(self) -> dict[str, Tensor]:
        """For each choice the candidates' probabilities, shape ``(labels,)``, detached."""
        return self.logits.probabilities()

    def meta_parameters(self) -> Parameters:
        """Weights, logits and head as one detached tree."""
        weights = {name: value.detach() for name, value in self.supernet.named_parameters()}
        return Parameters(weights, self.logits.tree(), {k: v.detach() for k, v in self.head.items()})

    def refresh_statistics(self) -> None:
        """Bring the batch-norm statistics of the derived architecture up to the last step."""
        self.statistics.refresh(self.meta_parameters(), int(self.outer_steps), self.trainer)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what describes the search, as plain values and tensors."""
        self.refresh_statistics()
        checkpoint[META_KEY] = MetaCheckpoint(
            weights={},  # which are in the checkpoint as those of the module
            labels=labels_by_choice(self.space),
            shape=self.shape,
            cost=self.cost(),
            logits=self.logits.tree(),
            statistics=self.statistics.values,
            derived=self.architecture(),
            inputs=self._inputs,
        ).entry()
        checkpoint[META_KEY]["own"] = {**asdict(self.account), **self.statistics.state(self.trainer)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse foreign checkpoints, and restore statistics and account."""
        found = MetaCheckpoint.of(checkpoint)
        entry = checkpoint[META_KEY]
        if "own" not in entry:
            raise ValueError("The checkpoint holds start weights, not a run to resume: give it as the model's start.")
        self._take_inputs_from(found)
        if not self.built:
            # A head's parameters that depend on the number of classes have a row for each.
            self._build(found.shape, next((len(value) for value in found.head.values() if value.ndim), None))
        found.check_resumable(self.space, self.shape, dict(self.head))
        validate_anew(checkpoint)
        world = getattr(self._trainer_or_none(), "world_size", 1)
        try:
            self.account = Account.kept(entry["own"])
            step = int(checkpoint["state_dict"]["outer_steps"])
            self.statistics.restore(entry["own"], entry["statistics"], step, self.global_rank, world)
        except DAMAGED:
            raise ValueError("The checkpoint is damaged: give one that `fit` of MetaSearch wrote.") from None

    def _take_inputs_from(self, found: MetaCheckpoint) -> None:
        """Remember what made the inputs of a checkpoint's weights, and give it to a data module that leaves it open."""
        # Lightning sets data module and model up before it reads the checkpoint. By then the data may have a vocabulary
        # of their own, and the model, built for it, another number of tokens: it is built again.
        data: Any = getattr(self._trainer_or_none(), "datamodule", None)
        kept = found.inputs.preprocessing
        if kept is not None and found.inputs.differs(self.preprocessing) and hasattr(data, "take_preprocessing"):
            data.take_preprocessing(kept)
            if not found.inputs.differs(data.preprocessing):
                self._inputs = found.inputs
                if self._random_state is not None:
                    self.register_module("supernet", None)
        _check_data(found.inputs, self.preprocessing)
        if found.inputs.digest:
            self._inputs = found.inputs

    def _trainer_or_none(self) -> Trainer | None:
        """The Trainer; None within ``load_from_checkpoint``."""
        try:
            return self.trainer
        except RuntimeError:
            return None

    def _start_from(self, found: MetaCheckpoint) -> None:
        self.supernet.load_state_dict(found.parameters(self.space, self.shape).weights)
        if found.head.keys() == self.head.keys():
            self.head.load_state_dict(inherit(found.head, self.head.state_dict()))
        elif found.head:
            rank_zero_warn(
                f"The head of the checkpoint to start from ({', '.join(found.head)}) is not that of the model "
                f"({type(self.learner.head).__name__}), which starts anew."
            )
        self.logits.inherit(found.labels, found.logits)
        if found.derived == self.architecture():
            self.statistics.values = found.statistics
        self.account.earlier = found.cost

    def architecture(self) -> Architecture:
        """The architecture of the largest logits."""
        return self.space.derive(self.logits.tree())

    def result_fields(self) -> dict[str, Any]:
        """The fields of a result that are known here, after a test."""
        assert self._protocol is not None
        own, fields = self.task_architectures, dict[str, Any]()
        used = [self.architecture()]
        if own is not None:
            used, fields = own.found, {"architecture": None, "cost": own.mean_cost}
        costs = [self.space.cost(architecture, self.shape, self._protocol.way) for architecture in used]
        return {
            "seed": self.seed,
            "protocol": self._protocol,
            "meta_cost": self.cost(),
            "parameters": round(fmean(cost.parameters for cost in costs)),
            "flops": round(fmean(cost.flops for cost in costs)),
            **fields,
        }

    def on_validation_epoch_start(self) -> None:
        """Forget earlier scores, and take batch-norm statistics and images from the last training tasks."""
        for scores in (self._derived, self._relaxed, self._one_hot):
            scores.mine.clear()
        self.refresh_statistics()
        own, images = self.task_architectures, torch.empty(0)
        if own is not None:
            images = self.statistics.images(self.trainer, next(self.learner.supernet.parameters()))
        needed = self.learner.batch_norm == "running" and not self.trainer.sanity_checking
        blank = own is not None and not len(images)
        if needed and (blank or self.statistics.lacking(self.meta_parameters())):
            raise ValueError("batch_norm 'running' needs statistics from training: give --ckpt_path, or train first.")
        if own is not None:
            own.begin(self.space, self.inner_loop, images, self.seed)

    on_test_epoch_start = on_validation_epoch_start

    def validation_step(self, batch: list[Episode], batch_idx: int) -> None:
        """Judge the derived architecture; in a search also the relaxed and the one-hot supernet, to see their gap."""
        self._evaluate(batch, self._derived, Derived(self.space), self.statistics.values)
        if self.logits.open:
            # There are running statistics of the derived architecture only: for the gap each takes its batches' own.
            self._evaluate(batch, self._relaxed, self.learner.relaxation, None)
            self._evaluate(batch, self._one_hot, Derived(self.space), None)

    def on_validation_epoch_end(self) -> None:
        """Log mean accuracies over all episodes of all processes, and the 95 % interval of the derived network's."""
        logged = {"": self._derived, "_relaxed": self._relaxed, "_one_hot": self._one_hot}
        for suffix, scores in logged.items():
            if values := scores.gather(self.trainer):
                self.log(f"val/accuracy{suffix}", sum(values) / len(values), prog_bar=not suffix, sync_dist=True)
                if not suffix:
                    self.log("val/ci95", t_interval(values).half, sync_dist=True)

    def test_step(self, batch: list[Episode], batch_idx: int) -> None:
        """Judge the derived architecture."""
        if batch:  # of the last one a process may have no episode
            self._protocol = Protocol("episodes", batch[0].way, batch[0].shot, self.learner.batch_norm)
        self._evaluate(batch, self._derived, Derived(self.space), self.statistics.values)

    def on_test_epoch_end(self) -> None:
        """Log the mean accuracy and the half width of its 95 % confidence interval over episodes."""
        self.test_values = self._derived.gather(self.trainer)
        interval = t_interval(self.test_values)
        self.log("test/accuracy", interval.mean, sync_dist=True)
        self.log("test/ci95", interval.half, sync_dist=True)

    def _evaluate(
        self, batch: list[Episode], scores: EpisodeScores, relaxation: Relaxation, statistics: dict[str, Tensor] | None
    ) -> None:
        """Adapt to each episode, under an architecture of its own if it is to have one, and add its accuracy."""
        # While it is trained, a relaxation is somewhere in its schedule; elsewhere it is at its end.
        progress = self.progress if self.trainer.state.fn == TrainerFn.FITTING else 1.0
        learner, inner_loop = replace(self.learner, relaxation=relaxation, statistics=statistics), self.inner_loop
        # Trainers evaluate in inference mode by default, under which nothing can adapt.
        with torch.inference_mode(False), torch.enable_grad():
            for episode in map(Episode.trainable, batch):
                number, parameters = scores.number(self.trainer), self.meta_parameters()
                if self.task_architectures is not None and scores is self._derived:
                    learner, parameters = self.task_architectures.take(self.learner, parameters, episode, number)
                found = evaluate(
                    learner,
                    inner_loop,
                    parameters,
                    episode,
                    task_generator(self.seed, EVALUATION, number),
                    support_dropout=inner_loop.steps > 0,  # a part of adaptation, but not of a mere look at the set
                    progress=progress,
                )
                scores.mine.append(int((found.argmax(1) == episode.query.labels).sum()) / len(episode.query))


def _check_data(inputs: InputMeaning, preprocessing: Preprocessing | None) -> None:
    """Raise ValueError if a data module has another preprocessing than the meta-training of its weights had."""
    if inputs.differs(preprocessing):
        raise ValueError(
            "The weights were meta-trained with another vocabulary or preprocessing of inputs than the data module "
            "has: give its source the one of the meta-training."
        )

"""Networks for tokens and series are searched and meta-trained as those for images are."""

import pytest
import torch
from torch import Tensor

import lit_metanas as lm
from lit_metanas.training.meta_weights import MetaCheckpoint

STEPS, VOCABULARY = 7, 12


class FirstWords(lm.TaskSource):
    """Tokens, or series of one-hot vectors of them, of different lengths; a class has a word of its own, anywhere."""

    def __init__(self, series: bool) -> None:
        self.series = series

    @property
    def shape(self) -> lm.Shape:
        return lm.SeriesShape(VOCABULARY, STEPS) if self.series else lm.TokenShape(VOCABULARY, STEPS)

    def classes(self, subset: lm.tasks.Subset) -> tuple[str, ...]:
        return ("a", "b", "c", "d")

    def instances(self, subset: lm.tasks.Subset, class_index: int, held_out: bool = False) -> int:
        return 0 if held_out else 40

    def inputs(self, subset: lm.tasks.Subset, class_index: int, instances: list[int], held_out: bool = False) -> Tensor:
        rows = torch.zeros(len(instances), STEPS, dtype=torch.int64)
        for row, instance in zip(rows, instances, strict=True):
            generator = torch.Generator().manual_seed(100 * class_index + instance)
            length = 3 + instance % (STEPS - 2)
            row[:length] = torch.randint(5, VOCABULARY, (length,), generator=generator)
            row[instance % length] = 1 + class_index
        if not self.series:
            return rows
        hot = torch.nn.functional.one_hot(rows, VOCABULARY).float().transpose(1, 2)
        return torch.cat([hot[:, 1:], (rows > 0).float()[:, None]], dim=1)


@pytest.fixture(params=[False, True], ids=["tokens", "series"])
def source(request: pytest.FixtureRequest) -> FirstWords:
    return FirstWords(request.param)


SPACE = lm.SequenceSpace(
    operations=("conv_3", "gated_linear", "attention_2"), widths=(16,), depths=(1, 2), readouts=("max", "mean")
)


@pytest.mark.parametrize(
    "options",
    [
        {
            "meta_gradient": lm.meta.MAML(),
            "relaxation": lm.relaxations.Softmax(),
            "head": lm.meta.PrototypeLinearHead(),
        },
        {"meta_gradient": lm.meta.PrototypeLoss(), "relaxation": lm.relaxations.SampledChild()},
    ],
    ids=["maml", "sampled"],
)
def test_a_supernet_is_meta_trained(source: FirstWords, options: dict[str, object]) -> None:
    data = lm.EpisodeDataModule(
        source, way=3, shot=3, query=4, tasks_per_step=2, steps_per_epoch=25, val_episodes=1, test_episodes=10
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = lm.MetaSearch(space=SPACE, **options)
        trainer = lm.Trainer(
            max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, limit_val_batches=0,
        )  # fmt: skip
        trainer.fit(model, data)
        (scores,) = trainer.test(model, data, verbose=False)
    assert SPACE.canonical(model.architecture()) == model.architecture()
    assert scores["test/accuracy"] > 0.48  # chance is a third


def test_a_checkpoint_of_tokens_is_not_taken_for_one_of_series() -> None:
    # Their shapes are the same numbers, and a network's tensors may be of the same sizes.
    tokens = MetaCheckpoint(
        weights={}, logits={}, labels={}, statistics={}, shape=lm.TokenShape(VOCABULARY, STEPS), cost=lm.Cost()
    )
    with pytest.raises(ValueError, match="checkpoint is for sequences of up to 7 of 12 tokens, the model for"):
        tokens.check_fits(SPACE, lm.SeriesShape(VOCABULARY, STEPS))

"""Children of a meta-trained supernet on episodes."""

import pytest
import torch

import lit_metanas as lm
from lit_metanas.training.meta_search.meta_checkpoint import write_meta_checkpoint
from lit_metanas.training.trainers import quiet_trainer

SHAPE = (1, 8, 8)
SPACE = lm.LayeredSpace(kernels=(3,), pools=("max",), dropouts=(0.0,), depths=(1, 2), widths=(2, 4, 6), shared=True)
CHILD = SPACE.canonical(
    {"kernel": "3", "pool": "max", "dropout": "0", "norm": "batch", "skip": "none", "activation": "Tanh"}
    | {"depth": "2", "width": "4"}
)


@pytest.fixture
def data():
    torch.manual_seed(1)
    labels = torch.arange(120) % 12
    images = 0.75 * torch.rand(12, 8, 8)[labels] + 0.25 * torch.rand(120, 8, 8)
    source = lm.kinds.ArraySource(images, labels, fractions=(0.5, 0.25, 0.25))
    return lm.EpisodeDataModule(source, way=3, query=3, val_episodes=8, tasks_per_step=1, eval_tasks_per_step=1)


def supernet(**options):
    torch.manual_seed(0)
    return lm.MetaSearch(
        space=SPACE,
        shape=SHAPE,
        relaxation=lm.relaxations.Uniform(),
        meta_gradient=lm.meta.Sandwich(),
        flops=2e6,
        **options,
    )


@pytest.mark.parametrize("batch_norm", ["running", "support"])
def test_a_child_scores_what_validation_says_of_it(data, tmp_path, batch_norm):
    model = supernet(batch_norm=batch_norm)
    with quiet_trainer(torch.device("cpu"), epochs=-1) as trainer:
        trainer.limit_val_batches = 0
        trainer.fit(model, data)
    estimator = lm.estimators.EpisodeEstimator(model, data, statistics=2)
    score = estimator(CHILD, fidelity=1.0)
    write_meta_checkpoint(tmp_path / "child.ckpt", estimator.start(CHILD))
    child = lm.MetaSearch(
        space=SPACE, architecture=CHILD.to_json(), start=str(tmp_path / "child.ckpt"), batch_norm=batch_norm
    )
    with quiet_trainer(torch.device("cpu")) as trainer:
        trainer.limit_val_batches = 1.0
        (metrics,) = trainer.validate(child, data, verbose=False)
    assert score.value == pytest.approx(metrics["val/accuracy"])
    assert 0.34 < score.value <= 1
    assert child.cost().flops == model.cost().flops > 0
    assert estimator.meta_cost == model.cost()


def test_statistics_are_the_childs_own(data):
    model = supernet()
    found = lm.estimators.EpisodeEstimator(model, data, statistics=3).start(CHILD)
    stream = data.stream("train")
    episodes = [stream[0, index] for index in range(3)]
    images = torch.cat([part.inputs for each in episodes for part in (each.support, each.query)])
    network = SPACE.child(CHILD, SHAPE, way=3, weights={**found.weights, **found.statistics})
    norm = network.blocks[1].norm
    network.train()
    norm.momentum = 1.0
    wanted = {name: value.clone() for name, value in norm.named_buffers()}
    network.embed(images)
    torch.testing.assert_close(norm.running_mean, wanted["running_mean"])
    count = len(images) * 4 * 4
    torch.testing.assert_close(norm.running_var * (count - 1) / count, wanted["running_var"])


@pytest.mark.parametrize(
    ("head", "batch_norm"),
    [(lm.meta.PrototypeHead(), "support"), (lm.meta.PrototypeLinearHead(), "running")],
    ids=["compares", "linear"],
)
def test_as_many_images_are_charged_as_are_looked_at(data, head, batch_norm):
    model = supernet(head=head, batch_norm=batch_norm)
    estimator = lm.estimators.EpisodeEstimator(model, data, episodes=5, statistics=2)
    looked = []
    model.supernet.register_forward_pre_hook(lambda _, given: looked.append(len(given[0])))
    cost = estimator(CHILD, fidelity=1.0).cost
    network = SPACE.child(CHILD, SHAPE, way=3)
    assert cost.flops == sum(looked) * (network.flops - network.features * 3)


def test_numbers_below_one_and_a_model_without_a_network_are_refused(data):
    with pytest.raises(ValueError, match="episodes is 0"):
        lm.estimators.EpisodeEstimator(supernet(), data, episodes=0)
    model = lm.MetaSearch(space=SPACE, relaxation=lm.relaxations.Uniform(), meta_gradient=lm.meta.Sandwich())
    with pytest.raises(ValueError, match="not built yet: give it the shape"):
        lm.estimators.EpisodeEstimator(model, data)


def test_settings_tell_the_examples(data):
    model = supernet()
    same, other = (lm.estimators.EpisodeEstimator(model, data, statistics=2).settings for _ in range(2))
    assert same == other
    data.eval_seed = 5
    assert lm.estimators.EpisodeEstimator(model, data, statistics=2).settings != same
    data.eval_seed = 0
    assert lm.estimators.EpisodeEstimator(model, data.with_training_episodes(way=2), statistics=2).settings != same

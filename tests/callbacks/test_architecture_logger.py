import json
import math

import pytest
import torch
from drifting import Drifting
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.loggers.logger import DummyLogger

from lit_metanas.callbacks import ArchitectureLogger
from lit_metanas.callbacks.probability_history import MOST_MOMENTS, Moment, ProbabilityHistory


def expected(direction: torch.Tensor, steps: int) -> list[float]:
    exponents = [math.exp(steps * float(x)) for x in direction]
    return [value / sum(exponents) for value in exponents]


def test_history_file_holds_each_validation(fit, tmp_path):
    module = Drifting()
    fit(module, [ArchitectureLogger()], epochs=3, sanity=2)
    history = ProbabilityHistory.read(tmp_path / "probabilities.json")
    assert set(history.labels) == {"kernel", "skip", "activation"}  # choices with one label are left out
    assert [moment.step for moment in history.moments] == [4, 8, 12]  # the sanity check is no validation
    assert [moment.progress for moment in history.moments] == pytest.approx([0.04, 0.08, 0.12])
    for moment in history.moments:
        for name, values in moment.probabilities.items():
            assert values == pytest.approx(expected(module.direction[name], moment.step), abs=1e-6)
    assert not list(tmp_path.glob(".*.part"))


def test_a_resumed_training_goes_on_with_the_history(fit, tmp_path):
    whole = tmp_path / "whole.json"
    resumed = tmp_path / "resumed.json"
    fit(Drifting(), [ArchitectureLogger(str(whole))], epochs=4)
    trainer = fit(Drifting(), [ArchitectureLogger(str(resumed))], epochs=2)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    torch.load(tmp_path / "half.ckpt", weights_only=True)  # only plain values
    resumed.unlink()
    fit(Drifting(), [ArchitectureLogger(str(resumed))], epochs=4, ckpt_path=str(tmp_path / "half.ckpt"))
    assert json.loads(resumed.read_text()) == json.loads(whole.read_text())


def test_a_module_that_does_not_search_is_named(fit):
    with pytest.raises(ValueError, match="ArchitectureLogger observes a search, but BoringModel has no space"):
        fit(BoringModel(), [ArchitectureLogger()])


def test_negative_picture_interval_is_refused():
    with pytest.raises(ValueError, match="picture_every is -1"):
        ArchitectureLogger(picture_every=-1)


def history(*moments, **changed):
    return {"schema": 1, "labels": {"a": ["x", "y"]}, "moments": moments} | changed


def moment(**changed):
    return {"step": 3, "progress": 0.5, "probabilities": {"a": [0.25, 0.75]}} | changed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "not a history"),
        (history(schema=2), "schema 2"),
        (history({"step": 1}), "damaged"),
        (history(moment(step=3.5)), "must be a whole number"),
        (history(moment(), moment(step=2)), "not in order"),
        (history(moment(progress=2)), "not in order"),
        (history(moment(probabilities={"b": [0.25, 0.75]})), "probabilities of other choices"),
        (history(moment(probabilities={"a": [1, 0, 0]})), "probabilities of other choices"),
        (history(moment(probabilities={"a": [3e38, 0.5]})), "not between 0 and 1"),
        (history(moment(probabilities={"a": "25"})), "must be a list"),
        (history(*[moment()] * (MOST_MOMENTS + 1)), "has more than 1000 moments"),
    ],
)
def test_a_file_that_is_no_history_of_probabilities_in_order_is_refused(tmp_path, content, message):
    file = tmp_path / "probabilities.json"
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"^'.*probabilities.json' .*{message}"):
        ProbabilityHistory.read(file)


def test_a_history_stays_short_and_keeps_its_ends():
    history = ProbabilityHistory({"a": ["1", "2"]})
    for step in range(1, 10_001):
        history.add(Moment(step, step / 10_000, {"a": [0.5, 0.5]}))
        assert (history.moments[0].step, history.moments[-1].step) == (1, step)
        least = step if step <= MOST_MOMENTS else MOST_MOMENTS / 2
        assert least <= len(history.moments) <= min(step, MOST_MOMENTS)
    steps = [moment.step for moment in history.moments]
    assert steps == sorted(set(steps))


def test_scalars_tell_entropy_and_gap(fit):
    logged = {}

    class Kept(DummyLogger):
        def log_metrics(self, metrics, step=None):
            logged.update(metrics)

    module = Drifting()
    fit(module, [ArchitectureLogger()], logger=Kept(), epochs=1)
    shares = expected(module.direction["kernel"], 4)
    entropy = -sum(share * math.log(share) for share in shares)
    assert logged["arch/kernel/entropy"] == pytest.approx(entropy, abs=1e-6)
    assert logged["arch/gap"] == pytest.approx(0.125)

"""A training that its cluster interrupts is, once it is queued again, the uninterrupted one."""

import os
import signal

import pytest
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException
from meta_toys import fit, make_data, make_model, state_of

from lit_metanas.callbacks import Preemption


class Interrupt(Callback):
    """Sends this process a signal at a moment of an outer step."""

    def __init__(self, moment, step, number=signal.SIGUSR1):
        self.moment, self.step, self.number = moment, step, number

    def _at(self, moment, module):
        if moment == self.moment and int(module.outer_steps) == self.step:
            self.moment = ""
            os.kill(os.getpid(), self.number)

    def on_train_batch_start(self, trainer, pl_module, *args):
        self._at("batch start", pl_module)

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self._at("step", pl_module)

    def on_validation_batch_end(self, trainer, pl_module, *args):
        self._at("validation", pl_module)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """What SLURM tells a job's process, and a scontrol that notes what it is asked."""
    job = {"JOB_ID": "4242", "JOB_NAME": "lit-metanas", "NTASKS": "1", "NTASKS_PER_NODE": "1", "NNODES": "1"}
    for name, value in {**job, "NODELIST": "127.0.0.1", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.delenv("SLURM_ARRAY_JOB_ID", raising=False)
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f'#!/usr/bin/env bash\necho "$@" >>"{tmp_path}/asked"\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    handlers = [(number, signal.getsignal(number)) for number in (signal.SIGUSR1, signal.SIGTERM)]
    yield tmp_path
    for number, handler in handlers:
        assert signal.getsignal(number) == handler
        signal.signal(number, handler)


def train(folder, *callbacks, resume=None, seed=0):
    model = make_model(weights_seed=seed)
    options = {"max_epochs": 3, "default_root_dir": folder, "callbacks": [*callbacks, Preemption()]}
    trainer, losses = fit(model, ckpt_path=resume, **options)
    return trainer, losses, state_of(model)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted training, without SLURM."""
    return train(tmp_path_factory.mktemp("whole"))


SLOW = pytest.mark.slow
MOMENTS = [
    ("step", 5),
    ("validation", 4),
    pytest.param("step", 3, marks=SLOW),
    pytest.param("batch start", 5, marks=SLOW),
]


@pytest.mark.parametrize(("moment", "step"), MOMENTS)
def test_a_preempted_training_goes_on_bit_for_bit(moment, step, whole, slurm):
    _, expected, state = whole
    assert len(expected) == 12
    with pytest.raises(SIGTERMException):
        train(slurm, Interrupt(moment, step))
    assert (slurm / "asked").read_text() == "requeue 4242\n"
    checkpoint = slurm / "checkpoints" / "last.ckpt"
    done = int(torch.load(checkpoint, weights_only=True)["state_dict"]["outer_steps"])
    assert done == step + (moment == "step")
    trainer, losses, resumed = train(slurm, resume=checkpoint, seed=99)
    assert losses == expected[done:]
    assert isinstance(trainer._accelerator_connector.cluster_environment, SLURMEnvironment)
    assert state.keys() == resumed.keys()
    for name, value in state.items():
        assert torch.equal(value, resumed[name]), name
    assert not list(slurm.glob("hpc*"))  # where Lightning's own handler would have written


def test_a_cancelled_training_is_not_queued_again(slurm):
    with pytest.raises(SIGTERMException):
        train(slurm, Interrupt("step", 5, signal.SIGTERM))
    assert not (slurm / "asked").exists()
    assert torch.load(slurm / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]["outer_steps"] == 6


def test_a_task_of_an_array_is_queued_again_alone(slurm, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "77")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    with pytest.raises(SIGTERMException):
        train(slurm, Interrupt("step", 1))
    assert (slurm / "asked").read_text() == "requeue 77_3\n"


def test_a_job_that_is_not_queued_again(slurm):
    (slurm / "scontrol").write_text("#!/usr/bin/env bash\necho 'Requested operation is not allowed' >&2\nexit 1\n")
    said = r"The checkpoint is written, but job 4242 is not queued again \(Requested operation is not allowed\): submit"
    with pytest.raises(ChildProcessError, match=said):
        train(slurm, Interrupt("step", 1))
    assert (slurm / "checkpoints" / "last.ckpt").is_file()


def test_where_a_loader_cannot_be_resumed_the_last_epochs_checkpoint_stands(slurm, monkeypatch):
    said = []
    monkeypatch.setattr("lit_metanas.callbacks.guards.preemption.rank_zero_info", said.append)
    data = make_data()
    batches = [[data.stream("train")[0, 2 * step], data.stream("train")[0, 2 * step + 1]] for step in range(4)]
    data.train_dataloader = lambda: torch.utils.data.DataLoader(batches, batch_size=None)
    options = {"max_epochs": 3, "default_root_dir": slurm}
    for step, kept in ((2, False), (4, True)):  # the latter between two epochs
        with pytest.raises(SIGTERMException):
            fit(make_model(), data, callbacks=[Interrupt("batch start", step), Preemption()], **options)
        assert (slurm / "checkpoints" / "last.ckpt").is_file() == kept
    path = slurm / "checkpoints" / "last.ckpt"
    assert said == [
        f"Stopped by a signal; there is no '{path}' yet: it starts from the beginning.",
        f"Stopped by a signal; it goes on from '{path}'.",
    ]
    path.unlink()
    (slurm / "scontrol").write_text("#!/usr/bin/env bash\necho 'No' >&2\nexit 1\n")
    with pytest.raises(ChildProcessError, match=r"^Job 4242 has no checkpoint yet, and is not queued again \(No\): "):
        fit(make_model(), data, callbacks=[Interrupt("batch start", 2), Preemption()], **options)


def test_without_slurm_a_terminated_training_leaves_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGTERM)}
    seen = []

    class Look(Callback):
        def on_train_batch_start(self, *args):
            seen.append(signal.getsignal(signal.SIGUSR1))

    with pytest.raises(SIGTERMException):
        train(tmp_path, Look(), Interrupt("step", 5, signal.SIGTERM))
    assert set(seen) == {handlers[signal.SIGUSR1]}
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]["outer_steps"] == 6
    assert {number: signal.getsignal(number) for number in handlers} == handlers

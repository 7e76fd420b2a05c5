"""A training that its cluster interrupts is, once it is queued again, the uninterrupted one."""

import os
import random
import signal
import time

import pytest
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import LambdaCallback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from meta_toys import fit, make_data, make_model, make_trainer, state_of

from lit_metanas.callbacks import ArchitectureLogger
from lit_metanas.training import Preemption


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


def train(folder, *callbacks, resume=None, seed=0, steps=0):
    model = make_model(weights_seed=seed)
    options = {"max_epochs": 3, "num_sanity_val_steps": steps, "default_root_dir": folder}
    trainer, losses = fit(model, ckpt_path=resume, callbacks=[*callbacks, Preemption()], **options)
    return trainer, losses, state_of(model)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted training, without SLURM."""
    return train(tmp_path_factory.mktemp("whole"))


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("moment", "step"), [("step", 5), ("validation", 4), pytest.param("batch start", 5, marks=SLOW)]
)
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


def test_a_job_of_an_array_that_is_not_queued_again(slurm, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "17")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    (slurm / "scontrol").write_text("#!/usr/bin/env bash\necho 'Requested operation is not allowed' >&2\nexit 1\n")
    said = r"The checkpoint is written, but job 17_3 could not be requeued \(Requested operation is not allowed\): subm"
    with pytest.raises(ChildProcessError, match=said):
        train(slurm, Interrupt("step", 1))
    assert (slurm / "checkpoints" / "last.ckpt").is_file()


def data_that_cannot_be_resumed():
    """Four steps by a plain loader."""
    data = make_data()
    batches = [[data.stream("train")[0, 2 * step], data.stream("train")[0, 2 * step + 1]] for step in range(4)]
    data.train_dataloader = lambda: torch.utils.data.DataLoader(batches, batch_size=None)
    return data


def test_where_a_loader_cannot_be_resumed_the_last_epochs_checkpoint_stands(slurm):
    said, data = [], data_that_cannot_be_resumed()
    options = {"max_epochs": 3, "default_root_dir": slurm}
    for step, kept in ((2, False), (4, True)):  # the latter between two epochs
        with pytest.raises(SIGTERMException) as stop:
            fit(make_model(), data, callbacks=[Interrupt("batch start", step), Preemption()], **options)
        said.append(stop.value.code)
        assert (slurm / "checkpoints" / "last.ckpt").is_file() == kept
    path = slurm / "checkpoints" / "last.ckpt"
    assert said == [
        f"Stopped by a signal; there is no checkpoint '{path}' yet, so the next start is from the beginning.",
        f"Stopped by a signal; resume the training with --ckpt_path '{path}', or a `run` with the same command.",
    ]
    path.unlink()
    (slurm / "scontrol").write_text("#!/usr/bin/env bash\necho 'No' >&2\nexit 1\n")
    with pytest.raises(ChildProcessError, match=r"^Job 4242 has no checkpoint yet, and could not be requeued \(No\): "):
        fit(make_model(), data, callbacks=[Interrupt("batch start", 2), Preemption()], **options)


def test_the_checkpoint_of_another_training_is_not_told_as_its_own(tmp_path):
    path = tmp_path / "checkpoints" / "last.ckpt"
    path.parent.mkdir()
    path.write_text("another's")
    callbacks = [Interrupt("batch start", 2, signal.SIGTERM), Preemption()]
    with pytest.raises(SIGTERMException) as stop:
        fit(make_model(), data_that_cannot_be_resumed(), callbacks=callbacks, default_root_dir=tmp_path)
    assert f"there is no checkpoint '{path}' yet" in stop.value.code
    assert path.read_text() == "another's"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_slurm_a_stopped_training_leaves_a_checkpoint(number, tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    handlers = {each: signal.getsignal(each) for each in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)}
    seen = []

    class Look(Callback):
        def on_train_batch_start(self, *args):
            seen.append(signal.getsignal(signal.SIGUSR1))

    with pytest.raises(SIGTERMException):
        train(tmp_path, Look(), Interrupt("step", 5, number))
    assert set(seen) == {handlers[signal.SIGUSR1]}
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]["outer_steps"] == 6
    assert {each: signal.getsignal(each) for each in handlers} == handlers
    train(tmp_path)
    assert {each: signal.getsignal(each) for each in handlers} == handlers


def test_ctrl_c_says_what_it_does_and_twice_stops_at_once(tmp_path, capfd):
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as stop:
        train(tmp_path, Interrupt("validation", 4, signal.SIGINT), Interrupt("batch start", 4, signal.SIGINT))
    signal.signal(signal.SIGINT, handler)  # which Lightning has switched off
    assert isinstance(stop.value.__context__, KeyboardInterrupt)
    assert "lit-metanas: stopping after this step; press Ctrl-C again to stop at once.\n" in capfd.readouterr().err
    assert not (tmp_path / "checkpoints").exists()


TIMES = ("seconds", "fingerprint")


def timeless(value):
    """A checkpoint's content without times and folders, as plain values."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        kept = {str(name).rpartition("/")[2]: inner for name, inner in value.items() if name not in TIMES}
        return {name: timeless(inner) for name, inner in kept.items()}
    if isinstance(value, list | tuple):
        return [timeless(inner) for inner in value]
    return value.rpartition("/")[2] if isinstance(value, str) else value


class Rows(CSVLogger):
    """Keeps what it is given, with the steps."""

    def __init__(self, folder):
        super().__init__(folder)
        self.rows = []

    def log_metrics(self, metrics, step=None):
        self.rows.append((step, metrics))


def stopped(folder, stops, **options):
    """A training that gets SIGTERM in each of these outer steps and goes on: all checkpoints, and all rows logged."""
    rows, resume = [], None
    for stop in (*stops, None):
        logger = Rows(folder)
        every = ModelCheckpoint(folder / "all", filename="{step}", save_top_k=-1, save_on_train_epoch_end=True)
        callbacks = [Interrupt("step", stop, signal.SIGTERM), ArchitectureLogger(), every, Preemption()]
        kept = {"default_root_dir": folder, "logger": logger, "log_every_n_steps": 1, "enable_checkpointing": True}
        run = {"max_epochs": 3, "callbacks": callbacks, "ckpt_path": resume, **kept, **options}
        if stop is None:
            trainer, _ = fit(make_model(weights_seed=len(rows)), **run)
            trainer.save_checkpoint(folder / "all" / "end.ckpt")
        else:
            words = r"^Stopped by a signal; resume the training with --ckpt_path '.*last.ckpt'"
            with pytest.raises(SIGTERMException, match=words):
                fit(make_model(weights_seed=len(rows)), **run)
        rows += logger.rows
        resume = folder / "checkpoints" / "last.ckpt"
    states = {file.name: timeless(torch.load(file, weights_only=True)) for file in (folder / "all").iterdir()}
    return states, rows


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"val_check_interval": 2},
        pytest.param({"check_val_every_n_epoch": None, "val_check_interval": 3}, marks=SLOW),
        pytest.param({"check_val_every_n_epoch": 2, "num_sanity_val_steps": 2}, marks=SLOW),
        pytest.param({"max_steps": 11, "max_epochs": -1}, marks=SLOW),
    ],
    ids=str,
)
def test_all_that_is_kept_of_a_training_that_was_stopped_often_is_the_same(options, tmp_path, request):
    """Counters of loops, states of callbacks and optimizers, the steps of what is logged: all but times."""
    states, rows = stopped(tmp_path / "whole", (), **options)
    assert len(states) == 4
    assert len(rows) > 10
    draw = random.Random(str(options))
    drawn = [sorted(draw.sample(range(10), draw.choice([1, 2, 3]))) for _ in range(10)]
    for number, stops in enumerate([[0, 3, 4, 9], *(drawn if request.config.getoption("--slow") else ())]):
        found, logged = stopped(tmp_path / str(number), stops, **options)
        assert found == states, stops
        assert logged == rows, stops


@pytest.mark.parametrize("moment", ["on_sanity_check_start", "on_sanity_check_end"])  # Lightning hears the first one
def test_a_signal_before_the_first_step_or_after_the_last_is_heeded(moment, tmp_path):
    early = LambdaCallback(**{moment: lambda *args: os.kill(os.getpid(), signal.SIGTERM)})
    with pytest.raises(SIGTERMException):
        train(tmp_path, early, steps=2)
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]["outer_steps"] == 0
    trainer, *_ = train(tmp_path, Interrupt("step", 11, signal.SIGTERM))
    (preemption,) = (callback for callback in trainer.callbacks if isinstance(callback, Preemption))
    assert preemption.received  # whoever comes next is told: see Program.after_fit
    trainer.test(trainer.model, make_data(), verbose=False)
    assert not preemption.received


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_other_verbs_end_at_once(verb, tmp_path):
    handler, ended = signal.getsignal(signal.SIGTERM), []

    class Terminate(Callback):
        def on_test_batch_start(self, *args):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)

        on_validation_batch_start = on_predict_batch_start = on_test_batch_start

        def on_test_batch_end(self, *args):
            ended.append(args)

        on_validation_batch_end = on_predict_batch_end = on_test_batch_end

    model, data = make_model(), make_data()
    fit(model)
    model.predict_step, data.predict_dataloader = lambda batch: batch, data.test_dataloader
    trainer = make_trainer(callbacks=[Terminate(), Preemption()], default_root_dir=tmp_path)
    words = r"^Stopped by a signal; the same command goes on after what is finished"
    with pytest.raises(SIGTERMException, match=words):
        getattr(trainer, verb)(model, data)
    assert not ended
    assert signal.getsignal(signal.SIGTERM) == handler

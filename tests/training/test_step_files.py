"""A step of meta-training can be read: it runs through few files."""

import sys
from pathlib import Path

import pytest
from meta_toys import SHAPE, fit, make_data

import lit_metanas
from lit_metanas.meta import MAML, JointInnerLoop, PrototypeLinearHead
from lit_metanas.spaces import LayeredSpace
from lit_metanas.training import MetaSearch

ROOT = Path(lit_metanas.__file__).parent
METHODS = {
    "prototype loss": {},
    "MAML": {"meta_gradient": MAML(), "head": PrototypeLinearHead(), "inner_loop": JointInnerLoop(steps=2)},
}


@pytest.mark.parametrize("method", METHODS)
def test_a_step_runs_through_few_files(method, monkeypatch):
    model = MetaSearch(space=LayeredSpace(shared=True, depths=(1, 2)), shape=SHAPE, **METHODS[method])
    seen, step = set(), model.training_step

    def note(frame, event, argument):
        if event == "call" and Path(frame.f_code.co_filename).is_relative_to(ROOT):
            seen.add(str(Path(frame.f_code.co_filename).relative_to(ROOT)))

    def traced(*args):
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            return step(*args)
        finally:
            sys.setprofile(before)

    monkeypatch.setattr(model, "training_step", traced)
    fit(model, make_data(steps_per_epoch=1))
    assert "training/meta_search/meta_search.py" in seen
    assert len(seen) <= 15, sorted(seen)

"""Every public class and function ends its docstring in an example, which runs."""

import doctest
import inspect
import io
import re
import time
from pathlib import Path

import pytest

import lit_metanas as lm

MISSING = {
    "ANIL",
    "Adam",
    "Adaptation",
    "Adapted",
    "AlternatingInnerLoop",
    "AnnealedSoftmax",
    "Architecture",
    "ArchitectureSchedule",
    "Argmax",
    "AuxiliarySkip",
    "Candidates",
    "Categorical",
    "Child",
    "Choice",
    "ChoiceSpace",
    "ChoicewiseRelaxation",
    "ControllerRates",
    "DARTSCell",
    "DARTSRates",
    "DARTSTraining",
    "Derived",
    "ENASMacro",
    "ENASTraining",
    "Encoding",
    "Exported",
    "ExportedModel",
    "FOMAML",
    "FirstOrder",
    "Gate",
    "GumbelSoftmax",
    "Head",
    "HeadInnerLoop",
    "Hypergradient",
    "InnerLoop",
    "JointInnerLoop",
    "LayeredSpace",
    "Learner",
    "LinearHead",
    "MAML",
    "MetaGradient",
    "MetaLearned",
    "MetaNAS",
    "MetaNASCell",
    "MetaSearch",
    "MobileMacro",
    "MobileStage",
    "NASBench101",
    "NASBench201",
    "NASBench201Encoding",
    "NASBenchGraph",
    "NASBenchGraphEncoding",
    "NetworkCost",
    "NoInnerLoop",
    "OneHotEncoding",
    "PairedReinforce",
    "Parameters",
    "PrototypeHead",
    "PrototypeLinearHead",
    "PrototypeLoss",
    "Recipe",
    "Relaxation",
    "Reptile",
    "SGD",
    "SampledChild",
    "SecondOrder",
    "SinglePathTraining",
    "Softmax",
    "StraightThrough",
    "Supernet",
    "TNAS",
    "TaskNoise",
    "Uniform",
    "UpdateRule",
    "WeightRates",
    "check_task",
    "draw_episode",
    "draw_task",
    "evaluate",
    "export_child",
    "fresh_weights",
    "inherit",
    "load_exported",
    "log_probability",
    "merge_architectures",
    "merge_record_lines",
    "merge_results",
    "one_hot",
    "overlay",
    "paired_difference",
    "probabilities",
    "rank_gaussian",
    "read_architectures",
    "read_record_lines",
    "read_records",
    "read_results",
    "tables",
    "task_generator",
    "to_markdown",
    "to_rich",
    "write_architectures",
    "write_record_lines",
    "write_records",
    "write_report",
    "write_results",
}
"""Names without an example, which must become fewer."""

NAMES = [name for name in lm.__all__ if inspect.isclass(getattr(lm, name)) or inspect.isfunction(getattr(lm, name))]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SECONDS: dict[str, float] = {}


def example(name: str) -> str:
    """The example at the end of a docstring; empty where it ends in something else."""
    found = getattr(lm, name)
    text = inspect.cleandoc(found.__doc__ or "")
    sections = re.split(r"^(\w[\w ]*):\n", text, flags=re.MULTILINE)
    inherited = any(found.__doc__ == base.__doc__ for base in getattr(found, "__mro__", ())[1:])
    return sections[-1] if len(sections) > 1 and sections[-2] == "Example" and not inherited else ""


@pytest.mark.parametrize("name", [name for name in NAMES if name not in MISSING])
def test_the_docstring_ends_in_an_example_that_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = example(name)
    assert ">>> " in text
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    told = io.StringIO()
    begin = time.process_time()
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=told.write)
    SECONDS[name] = time.process_time() - begin
    assert not told.getvalue(), told.getvalue()


def test_what_has_an_example_is_not_missing() -> None:
    assert sorted(MISSING - set(NAMES)) == []
    assert sorted(name for name in MISSING if ">>> " in example(name)) == []


def test_the_examples_are_quick() -> None:
    assert sum(SECONDS.values()) < 60, sorted(SECONDS.items(), key=lambda pair: -pair[1])[:10]

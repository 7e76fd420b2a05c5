"""What numbers are compared with: those that are committed, and those of another commit on the same machine.

``golden.json`` holds the committed ones. They are computed in float64 and compared to a relative 1e-9: the order in
which a sum is taken may differ between CPUs, and thirty steps make the difference a little larger. Names, labels and
counts must be equal. ``GOLDEN=write pytest tests/regression`` writes the file again.

``EXACT=FILE pytest tests/regression --slow`` compares to the last bit: the first commit that is run so writes the file,
others are compared with it. Only then are numbers in float32 compared, too.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

GOLDEN = Path(__file__).parents[1] / "golden.json"
WRITES = os.environ.get("GOLDEN") == "write"
EXACT = os.environ.get("EXACT")
TOLERANCE = 1e-9


def differences(found: object, kept: object, place: str = "", tolerance: float = TOLERANCE) -> list[str]:
    """Where two JSON values differ, each in a line."""
    if isinstance(found, dict) and isinstance(kept, dict) and list(found) == list(kept):
        pairs = [(f"{place}.{name}", found[name], kept[name]) for name in found]
        return [line for name, *pair in pairs for line in differences(*pair, name, tolerance)]
    if isinstance(found, list) and isinstance(kept, list) and len(found) == len(kept):
        numbered = enumerate(zip(found, kept, strict=True))
        return [line for number, pair in numbered for line in differences(*pair, f"{place}[{number}]", tolerance)]
    if isinstance(found, float) and isinstance(kept, float) and tolerance:
        same = math.isclose(found, kept, rel_tol=tolerance, abs_tol=1e-12)
    else:
        same = type(found) is type(kept) and found == kept
    return [] if same else [f"{place}: {found!r}, was {kept!r}"]


def check(
    kind: str, name: str, found: Mapping[str, object], *, portable: bool = True, tolerance: float = TOLERANCE
) -> None:
    """Compare with what is kept under a name, or keep it.

    Args:
        kind: of the case.
        name: of the case.
        found: names and numbers.
        portable: whether the numbers are the same on every machine, so that they are committed.
        tolerance: relative, to the committed numbers.
    """
    plain = json.loads(json.dumps(found, allow_nan=False))
    if EXACT:
        kept = _read(Path(EXACT)).get(kind, {}).get(name)
        if kept is None:
            _write(Path(EXACT), kind, name, plain)
        else:
            assert not differences(plain, kept, tolerance=0.0)
    if not portable:
        return
    if WRITES:
        _write(GOLDEN, kind, name, plain)
    committed = _read(GOLDEN).get(kind, {})
    assert name in committed, f"golden.json lacks '{name}': write it with GOLDEN=write"
    assert not differences(plain, committed[name], tolerance=tolerance)


def _read(file: Path) -> dict[str, dict[str, object]]:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _write(file: Path, kind: str, name: str, plain: object) -> None:
    kept = _read(file)
    kept[kind] = {**kept.get(kind, {}), name: plain}
    file.write_text(json.dumps(kept, indent=1, sort_keys=False) + "\n", encoding="utf-8")


def named_hash(state: Mapping[str, Tensor]) -> str:
    """Of names and shapes in their order, by which checkpoints are read."""
    lines = [f"{name} {list(tensor.shape)}" for name, tensor in state.items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def size_of(state: Mapping[str, Tensor]) -> float:
    """The sum of all absolute values, in the order of their places: one number that all weights go into."""
    return sum(float(tensor.detach().double().abs().contiguous().sum()) for tensor in state.values())

"""What of an exported program's archive may be loaded: raw tensors and a graph of torch's own operations."""

from __future__ import annotations

import json
import re
import zipfile
from io import BytesIO

import torch

_PROGRAM = "archive/models/model.json"
_SAMPLES = "archive/data/sample_inputs/model.pt"
_ENTRIES = re.compile(
    r"archive/(models/model\.json|data/(weights|constants)/((weight|tensor)_[0-9]+|model_(weights|constants)_config\.json)"
    r"|data/sample_inputs/model\.pt|archive_format|archive_version|byteorder|\.data/(version|serialization_id))"
)
_WORD = re.compile(r"[\w.+]*", re.ASCII)
_OPERATION = re.compile(r"torch\.ops\.aten\.(?!from_file)\w+\.\w+", re.ASCII)
_TREE = re.compile(r'([\[\]{}:, ]|[0-9]|null|"(type|context|children_spec|null|\[\]|builtins\.(tuple|list|dict))")*')
_BATCH_SIZE = re.compile(r"(s[0-9]{1,6}|Symbol\('s[0-9]{1,6}', positive=True, integer=True\)|[0-9]{1,9}|[*+\-/() ])*")
_LONGEST = 200


def plain_program(content: bytes) -> bytes:
    """Copy an exported program, entry by entry as checked, so that loading the copy runs no foreign code.

    ``torch.export.load`` unpickles what an archive declares as pickled, evaluates size expressions, pastes names into
    code, and calls whatever below ``torch`` a graph names. Its reader also finds entries by other rules than
    ``zipfile`` (by any case, another one of two of the same name), hence the copy. Traces of the source are left out.

    Raises:
        ValueError: the archive is damaged, or holds anything but tensors and a graph of torch's operations.
    """
    copy = BytesIO()
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive, zipfile.ZipFile(copy, "w") as plain:
            names = archive.namelist()
            if _PROGRAM not in names or len(set(names)) < len(names) or not all(map(_ENTRIES.fullmatch, names)):
                raise ValueError("foreign entries")
            for name in names:
                data = archive.read(name)
                if name.endswith(".json"):
                    data = json.dumps(_checked(json.loads(data))).encode()
                elif name == _SAMPLES:
                    torch.load(BytesIO(data), weights_only=True)
                plain.writestr(name, data)
    except Exception as error:  # whatever else it is, it is not plain
        raise ValueError("This is not an archive of a plain program.") from error
    return copy.getvalue()


def _checked(tree: object, key: str = "") -> object:
    """The tree without metadata, if every text in it is harmless where it stands."""
    if isinstance(tree, list):
        return [_checked(value, key) for value in tree]
    if isinstance(tree, dict):
        if tree.get("use_pickle") or "as_custom_obj" in tree:
            raise ValueError("pickled objects")
        for name in tree:
            _check_text(name, "")
        return {name: {} if name == "metadata" else _checked(value, name) for name, value in tree.items()}
    if isinstance(tree, str):
        _check_text(tree, key)
    return tree


def _check_text(text: str, key: str) -> None:
    if key == "expr_str":  # powers are left out: they make numbers that take for ever
        harmless = len(text) <= _LONGEST and "**" not in text and _BATCH_SIZE.fullmatch(text)
    else:
        pattern = {"target": _OPERATION, "in_spec": _TREE, "out_spec": _TREE}.get(key, _WORD)
        harmless = pattern.fullmatch(text)
    if not harmless:
        raise ValueError(f"'{text[:_LONGEST]}' as {key}")

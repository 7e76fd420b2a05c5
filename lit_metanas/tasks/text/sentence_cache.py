"""Sentences that are made once and kept in a file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lit_metanas.io.files import replacing
from lit_metanas.io.json_files import read_json
from lit_metanas.tasks.source import SUBSETS, Subset

Subsets = dict[Subset, dict[str, list[str]]]
"""The sentences of each class of each subset."""


def cached_sentences(file: Path, make: Callable[[], Subsets]) -> Subsets:
    """The sentences in a file; they are made and written first where it is absent or damaged.

    Args:
        file: of JSON; its name tells all that the sentences depend on.
        make: what makes them.

    Raises:
        OSError: they cannot be written.
    """
    found = _read(file)
    if found is None:
        found = make()
        with replacing(file) as temporary:
            temporary.write_text(json.dumps(found), encoding="utf-8")
    return found


def _read(file: Path) -> Subsets | None:
    """Cached sentences; None if the file is absent, damaged or of another form."""
    try:
        document = read_json(file, "it is made again")
    except (OSError, ValueError):
        return None
    if not isinstance(document, dict) or set(document) != set(SUBSETS):
        return None
    for classes in document.values():
        if not isinstance(classes, dict) or not all(isinstance(texts, list) and texts for texts in classes.values()):
            return None
        if not all(isinstance(text, str) for texts in classes.values() for text in texts):
            return None
    return {subset: document[subset] for subset in SUBSETS}


def without_shared(classes: Mapping[str, Sequence[str]], least: int) -> dict[str, list[str]]:
    """The sentences that stand in one class only, whatever their case; classes that keep too few are left out.

    Args:
        classes: sentences by class, each once.
        least: sentences of a class.

    Example:
        >>> without_shared({"a": ["one", "two"], "b": ["Two", "four"], "c": ["five"]}, least=1)
        {'a': ['one'], 'b': ['four'], 'c': ['five']}
    """
    counts = Counter(text for texts in classes.values() for text in {text.casefold() for text in texts})
    kept = {name: [text for text in texts if counts[text.casefold()] == 1] for name, texts in classes.items()}
    return {name: texts for name, texts in kept.items() if len(texts) >= least}

"""The kind of data that a path holds, and the folders of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from lit_metanas.io.class_folders import FOLDER, files_in, folders_in
from lit_metanas.io.text import first_few, number_of, writable
from lit_metanas.kinds.kind import Kind, kind_named, known_kinds
from lit_metanas.kinds.pairs.pair_kind import kind_of_table
from lit_metanas.tasks.splits import FEWEST_OF_A_CLASS
from lit_metanas.tasks.task import warn_of_data

_TO_LEARN_FROM = frozenset({"train", "training"})
_PARTS = _TO_LEARN_FROM | {"val", "valid", "validation", "dev", "test", "testing", "eval"}
"""Names of folders that hold a part of the examples each, in small letters."""


def folders_of_parts(path: Path) -> tuple[Path, Path] | None:
    """The folders ``train`` and ``test``, in any case, of a folder that has no others; None elsewhere."""
    if not path.is_dir():
        return None
    inner = folders_in(path)
    folders = {entry.name.lower(): entry for entry in inner}
    if len(inner) != 2 or folders.keys() != {"train", "test"} or not all(map(_is_part, inner)):
        return None
    return folders["train"], folders["test"]


def _is_part(path: Path) -> bool:
    """Whether a folder has class folders, or files with a table of their classes."""
    if folders_in(path):
        return True
    return any(kind.lists(path) and files_in(path, kind.class_files) for kind in known_kinds())


def check_no_parts(path: Path) -> None:
    """Refuse a folder whose folders are parts of the examples, one to learn from among them, and no classes."""
    inner = folders_in(path)
    names = {entry.name.lower() for entry in inner}
    parts = len(inner) > 1 and names <= _PARTS and names & _TO_LEARN_FROM and all(map(_is_part, inner))
    if parts and not any(kind.lists(path) for kind in known_kinds()):
        named = ", ".join(sorted(entry.name for entry in inner))
        raise ValueError(
            f"'{writable(str(path))}' has folders of parts, {named}: give the path of the one to learn from, and by "
            "'test' that of the one to test on; examples to choose by are drawn from the first."
        )


def kind_of_path(path: Path, group: str | None, label: str | None = None) -> Kind:
    """The kind of a file or folder, of a table by its column of labels; a ValueError tells why it is not clear."""
    if label is not None and (named := kind_of_table(path, group, label)) is not None:
        return kind_named(named)
    kinds, place = known_kinds(), f"'{writable(str(path))}'"
    inner = _kind_of_class_folders(path, group, [kind for kind in kinds if kind.class_files])
    if inner is not None:
        return inner
    claims, reasons = _claims(kinds, path, group)
    if len(claims) == 1:
        return claims[0]
    if claims:
        names = " and ".join(kind.name for kind in claims)
        raise ValueError(f"{place} may hold {names}: say by 'kind' which are meant.")
    if reasons:
        raise reasons[0]
    if not path.is_dir():
        raise ValueError(
            f"{place} is no table (.csv, .tsv, .jsonl) and no file of questions (.json): give one, or a folder with a "
            "sub-folder of images, sounds or text files for each class."
        )
    known = ", ".join(f"{kind.name} ({' '.join(sorted(kind.class_files))})" for kind in kinds if kind.class_files)
    deep = any(files_in(folder, kind.class_files, True) for folder in folders_in(path) for kind in kinds)
    fix = "give a folder with one for each class"
    if deep:
        fix += f"; if each has sub-folders of groups, say group='{FOLDER}'"
    raise ValueError(f"{place} has no sub-folders with {known}: {fix}.")


def _claims(kinds: Sequence[Kind], path: Path, group: str | None) -> tuple[list[Kind], list[ValueError]]:
    """The kinds that claim a path, and why others, which nearly do, cannot read it."""
    claims, reasons = list[Kind](), list[ValueError]()
    for kind in kinds:
        try:
            if kind.claims(path, group):
                claims.append(kind)
        except ValueError as error:
            reasons.append(error)
    return claims, reasons


def _kind_of_class_folders(root: Path, group: str | None, kinds: Sequence[Kind]) -> Kind | None:
    """The kind of a folder with a folder for each class, most of all; None where there are no such files."""
    folders = folders_in(root) if root.is_dir() else []
    files = {kind.name: [files_in(folder, kind.class_files, group is not None) for folder in folders] for kind in kinds}
    found, place = [kind for kind in kinds if any(files[kind.name])], f"'{writable(str(root))}'"
    if not found:
        return None
    if len(found) == 1:
        return found[0]
    main = _main_kind(files)
    if main is None:
        *others, last = [number_of(sum(map(len, files[kind.name])), kind.name.removesuffix("s")) for kind in found]
        both = f"{', '.join(others)} and {last}"
        raise ValueError(f"{place} holds {both}: say by 'kind' which are meant, such as kind='{found[0].name}'.")
    strays = [f"'{writable(str(file))}'" for name, own in files.items() if name != main for file in chain(*own)]
    warn_of_data(f"{place} holds {main}, and other files are left out: {first_few(strays)}.")
    return kind_named(main)


def _main_kind(files: Mapping[str, Sequence[Sequence[Path]]]) -> str | None:
    """The kind of most files, if it alone has two classes that can be divided: few others are strays. Else None."""
    divided = {kind: sum(len(own) >= FEWEST_OF_A_CLASS for own in folders) for kind, folders in files.items()}
    most = max(files, key=lambda kind: sum(map(len, files[kind])))
    if [kind for kind, classes in divided.items() if classes > 1] == [most]:
        return most
    return None

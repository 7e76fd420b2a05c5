"""What jsonargparse says of a command line, in a sentence with the key's path and the nearest right name.

jsonargparse says what is wrong in an indented tree of keys, class paths and reasons. The path is that of the innermost
key, the reason what stands there, in jsonargparse's own words. Where it words its tree otherwise, more of it is shown.
"""

from __future__ import annotations

import re
from argparse import ArgumentError
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from textwrap import indent

from lit_metanas.cli import errors
from lit_metanas.cli.configuration_files import find_misplaced_yaml, find_yaml_fault, named_files, yaml_files
from lit_metanas.cli.errors import LONGEST_REASON, UsageError, last_name, near_miss
from lit_metanas.cli.help import example
from lit_metanas.cli.verbs import TRAINER_VERBS
from lit_metanas.io.text import nearest, shorten

_KEY = re.compile(r'Parser key "([^"]+)":?(.*)')
_MARK = re.compile(r"(?:Parser key \"([^\"]+)\":?|Problem with given class_path '([\w.]+)':?)$")
_ARGUMENT = re.compile(r"NestedArg\(key='([^']+)', val='?(.*?)'?\)$", re.M)
_GIVEN = re.compile(r"(?:Given|Got) value: (.*?)(?:\. Got value: .*)?$", re.M)
_KINDS = re.compile(r"Subtypes: \[(.*)\]$|Expected (?:an? )?(<class '.*'>|[\w.]+\[.*\])(?:\. Got value: .*)?$", re.M)
_OBJECT = re.compile(r"\w\.\w+\.[A-Z]")
_NOISE = re.compile(
    r"Does not validate against|Errors:$|Given value type: |Expected a path but|Subclass types|an? (class path|dict) "
)
_NAMED = re.compile(r"(?:class_path'?:? |class_path=|val=)'([\w.]+)'|(?:Given value|path string): ([\w.]+)$", re.M)
_UNKNOWN = re.compile(r"[Oo]ption '([^']+)'|[Uu]nrecognized arguments: -*([\w.+-]+)")
_LOOP = re.compile(r"Config file loop detected: (.+?) -> .*")
_CLASS_PATH = re.compile(r"class_path['\"]?:\s+['\"]?([\w.]+)")


def usage_error(error: Exception, args: Sequence[str], keys: Iterable[str] = (), verb: str = "") -> UsageError:
    """The error to raise instead of one that a parser raised; ``keys``, dotted, are those to suggest from."""
    sentence = find_yaml_fault(args) or find_misplaced_yaml(args, verb) or _failing_module(args)
    if sentence is not None:
        return UsageError(sentence)
    files = [path for path, _ in yaml_files(args)]
    if not isinstance(error, ArgumentError):  # jsonargparse's is argparse's
        what = " and ".join(f"'{path}'" for path in files) or "The command line"
        return UsageError(f"{what} cannot be understood ({errors.describe(error)}).")
    message, file = _with_reason(error)
    sentence = explain(message, keys)
    if verb and not sentence.endswith("?"):
        sentence = f"{sentence.rstrip('.')}{_advice(message, verb, bool(files))}."
    if file and file not in sentence:
        sentence = f"In '{file}': {sentence}"
    return UsageError(shorten(sentence, 2 * LONGEST_REASON))


def _advice(message: str, verb: str, configured: bool) -> str:
    """What helps where a command line lacks something, or has a word too many."""
    if "are required" in message and not configured:
        return f", as in `{example(verb)}`"
    if _KEY.search(message):
        return ""
    return f": see `lit-metanas {verb} --help`"


def _failing_module(args: Sequence[str]) -> str | None:
    """A sentence on the first class of the files among the arguments whose module fails; None if none does."""
    for path, _ in named_files(args):
        for name in _CLASS_PATH.findall(path.read_text(encoding="utf-8")):
            if (fault := errors.import_fault(name)) is not None:
                return _not_imported(str(path), name, fault)
    return None


def _not_imported(where: str, name: str, fault: Exception) -> str:
    return f"'{where}' names '{name}', whose module cannot be imported ({errors.describe(fault)})."


def _with_reason(error: BaseException) -> tuple[str, str]:
    """An error's message, and the file that it is about, if any."""
    # Where the content of a file is refused, jsonargparse tries the file's name as a value, and says only that this
    # would read the file again. The reason is the error before.
    message, file, links = str(error), "", [error]
    for each in links:
        links += [link for link in (each.__cause__, each.__context__) if link is not None and link not in links]
        loop, reason = _LOOP.fullmatch(str(each)), str(each.__context__ or "")
        if loop and reason and loop[0] in message and loop[1] != file:  # else the file names itself
            message, file = message.replace(loop[0], f"\n{indent(reason, ' ' * 10 * len(links))}"), loop[1]
    return message, file


def explain(message: str, keys: Iterable[str] = ()) -> str:
    """A parser's message as a sentence: a module that fails, or the key's path and the innermost reason."""
    path, kind, text = _innermost(message)
    given, kinds, unknown = _GIVEN.search(text), _KINDS.search(text), _UNKNOWN.search(text)
    names = list(dict.fromkeys(each or other for each, other in _NAMED.findall(message)))
    if unknown and unknown[1]:
        path.append(unknown[1])
    where = ".".join(path)
    if argument := _ARGUMENT.search(message):  # which has the names in mappings, too
        where = max(where, f"{path[0]}.{argument[1]}", key=lambda each: each.count("."))
    for name in names:
        if (fault := errors.import_fault(name)) is not None:
            return _not_imported(where, name, fault)
    near = "."
    if last_name(kind) in ("LightningModule", "LightningDataModule"):  # so it is where no class is given
        near = f": give its class, by --{path[0]} CLASS."
    elif unknown is not None:
        near = _nearest_key(unknown[1] or unknown[2], errors.arguments_of(kind), list(keys))
    elif not kinds or _OBJECT.search(kinds[0]):
        near = next((likely for name in names if (likely := _nearest_class(name)) != "."), ".")
    if given and kinds:
        value = _ARGUMENT.sub(r"\2", given[1])
        return f"'{where}' cannot be '{shorten(value)}': it takes {_readable(kinds[1] or kinds[2])}{near}"
    said = shorten(_readable("; ".join(text.splitlines())).strip(" :."), LONGEST_REASON)
    if where and kind:
        said = f"'{where}' of {last_name(kind)}: {said}"
    elif where:
        said = f"'{where}': {said}"
    return f"{said}{near}"


def _innermost(message: str) -> tuple[list[str], str, str]:
    """The path of the innermost key, the class there, empty if none is given, and the lines that are about it."""
    lines = [(len(line) - len(line.lstrip(" ")), line.strip(" -")) for line in message.splitlines()]
    marks = [place for place, (_, text) in enumerate(lines) if _MARK.match(text)]
    if not marks:
        return [], "", "\n".join(text for _, text in lines if text)
    mark = max(marks, key=lambda place: lines[place][0])  # the first of the deepest
    depth = lines[mark][0]
    path, kind = list[str](), ""
    for indentation, text in reversed(lines[: mark + 1]):
        found = _MARK.match(text)
        if found is None or indentation > depth:
            continue
        if found[1]:
            path.insert(0, found[1])
        elif not path and not kind:
            kind = found[2]
        depth = indentation - 1
    inner = takewhile(lambda line: line[0] > lines[mark][0] or not _MARK.match(line[1]), lines[mark + 1 :])
    reasons = [_KEY.sub(r"\2", text).strip() for indentation, text in inner if text and indentation > lines[mark][0]]
    kept = "\n".join([line for line in reasons if not _NOISE.match(line)] or reasons)
    return path, kind, kept


def _nearest_key(word: str, arguments: Mapping[str, object], keys: Sequence[str]) -> str:
    if arguments:
        return near_miss(word.partition(".")[0], arguments)
    near = nearest(word, keys) or nearest(word.partition(".")[0], keys)
    if near is None:
        return "."
    if word.startswith(f"{near}."):  # it lacks nothing but its dashes
        near = word
    return f": did you mean '--{near}'?"


def _nearest_class(name: str) -> str:
    if errors.find_class(name) is not None:
        return "."
    return near_miss(last_name(name), errors.known_classes(name))


def _readable(text: str) -> str:
    """The library's words without modules of types, the type of null, and the verbs before keys."""
    text = re.sub(r"<class '(?:[\w.]+\.)?(\w+)'>", r"\1", text)
    text = re.sub(r"\b(?:[a-z_]\w*\.)+([A-Z]\w*)", r"\1", text)
    text = re.sub(r", NoneType\b", "", text)
    return re.sub(rf"\b(?:{'|'.join(TRAINER_VERBS)})\.(?=\w)", "", text)

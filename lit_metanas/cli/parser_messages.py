"""jsonargparse's messages as sentences for a user.

jsonargparse says what is wrong in an indented tree of keys, class paths and reasons. All that this package knows of the
words of these messages stands here, and ``setup.cfg`` bounds jsonargparse to the version whose words these are. What no
pattern matches is passed on as jsonargparse says it.
"""

from __future__ import annotations

import re
from argparse import ArgumentError
from collections.abc import Callable, Iterable, Sequence
from os.path import exists
from pathlib import Path

import lit_metanas
from lit_metanas.cli import errors
from lit_metanas.cli.configuration_files import (
    find_misplaced_yaml,
    find_yaml_fault,
    known_trees,
    named_files,
    yaml_files,
)
from lit_metanas.cli.errors import LONGEST_REASON, RefusedPlace, UsageError, last_name, near_miss
from lit_metanas.cli.help import OPERANDS, example
from lit_metanas.cli.verbs import KEYS, TRAINER_VERBS, VERBS
from lit_metanas.io.text import nearest, shorten


def usage_error(error: Exception, args: Sequence[str], keys: Iterable[str] = (), verb: str = "") -> UsageError:
    """What to raise instead of whatever reading a command line has raised.

    Args:
        error: what it has raised; an ``ArgumentError`` as a rule.
        args: the command line.
        keys: the parser's known keys, dotted, to suggest from.
        verb: whose command line it is.
    """
    if (sentence := find_yaml_fault(args) or find_misplaced_yaml(args, verb)) is not None:
        return UsageError(sentence)
    if (sentence := _failing_module(args)) is not None:
        return UsageError(sentence)
    if isinstance(error, ArgumentError):  # jsonargparse's is argparse's
        message, file = _with_reason(error)
        configured = any(whole for _, whole in yaml_files(args))
        told = explain(message, keys, verb, known_trees(args), configured)
        return UsageError(shorten(f"In '{file}': {told}" if file and file not in told else told, 2 * LONGEST_REASON))
    files = " and ".join(f"'{path}'" for path, _ in yaml_files(args)) or "The command line"
    return UsageError(f"{files} cannot be understood ({errors.describe(error)}).")


def _failing_module(args: Sequence[str]) -> str | None:
    """A sentence on the first class of the files among the arguments whose module fails; None if none does."""
    for path in named_files(args):
        for name in _CLASS_PATH.findall(path.read_text(encoding="utf-8")):
            if (fault := errors.import_fault(name)) is not None:
                return _not_imported(str(path), name, fault)
    return None


def _not_imported(where: str, name: str, fault: Exception) -> str:
    return f"'{where}' names '{name}', whose module cannot be imported ({errors.describe(fault)})."


def _with_reason(error: BaseException) -> tuple[str, str]:
    """An error's message, and the file that it is about, if any.

    Where the content of a file is refused, jsonargparse tries the file's name as a value, and says only that this would
    read the file again. The reason is what that happened upon.
    """
    message, seen, told, waiting = str(error), set[int](), set[str](), [error]
    given = _NESTED_FILE.search(message)
    file = given[1] if given else ""
    while waiting:
        each = waiting.pop()
        seen.add(id(each))
        loop, reason = _LOOP.fullmatch(str(each)), str(each.__context__ or "")
        if loop and reason and loop[0] in message and loop[0] not in told:
            message, file = _at_its_place(message, loop[0], reason.splitlines()), loop[1]
            told.add(loop[0])  # what is left of it is true: the file names itself
        waiting += [link for link in (each.__cause__, each.__context__) if link is not None and id(link) not in seen]
    return message, file


def _at_its_place(message: str, line: str, lines: Sequence[str]) -> str:
    """A message with other lines in the place of one, as far in as that."""
    return re.sub(
        rf"^([ -]*){re.escape(line)}$",
        lambda match: "\n".join(f"{' ' * len(match[1])}{each}" for each in lines),
        message,
        flags=re.MULTILINE,
    )


def _unknown(match: re.Match[str], place: RefusedPlace) -> str:
    argument = match[1]
    key = argument.lstrip("-").partition("=")[0]
    root = key.partition(".")[0]
    if last_name(place.class_path) in ("LightningModule", "LightningDataModule"):  # so it is where no class is given
        if (sentence := place.without_class(place.class_path, absent=False)) is not None:
            return sentence
        fix = f"give its class (--{place.where} CLASS), or the configuration that this file extends before it (-c FILE)"
        return f"'{place.where}' has no class_path: {fix}."
    if place.class_path:
        if (sentence := place.without_class(place.class_path)) is not None:
            return sentence
        known = errors.arguments_of(place.class_path)
        near = near_miss(key if root in known else root, known)
        return f"'{place.found(key, lambda _: True)[0]}' is not a key of {last_name(place.class_path)}{near}"
    if place.verb in KEYS and root in ("model", "data", "trainer"):
        return f"`{place.verb}` takes no '{root}': see `lit-metanas {place.verb} --help`."
    if not argument.startswith("--") and "." not in argument:
        return f"'{argument}' is not understood{near_miss(argument, place.keys)}"
    return f"There is no key '{key}'{near_miss(key if root in place.keys else root, place.keys)}"


def _stray(match: re.Match[str], place: RefusedPlace) -> str:
    """A sentence on a word of the command line that no key takes, with the usage, or what may have been meant."""
    word, verb = match[1], place.verb
    if word.startswith("-") or place.class_path or not verb:
        return _unknown(match, place)
    key = word.partition("=")[0]
    known = key if key.partition(".")[0] in place.keys else nearest(key, place.keys)
    other = nearest(word, VERBS)
    meant, begin = "", OPERANDS.get(verb, "-c FILE")
    if word.endswith((".yaml", ".yml")):
        meant = f"{verb} -c {shorten(word)}"
    elif verb in _FILE_KEYS and exists(word):
        meant = f"{verb} --{_FILE_KEYS[verb]} {shorten(word)}"
    elif known is not None:
        meant = f"{verb} {begin} --{known} VALUE"
    elif other is not None:
        meant = f"{other} {OPERANDS.get(other, '-c FILE')} --KEY VALUE"
    usage = f"the usage is `lit-metanas {verb} {begin} --KEY VALUE`."
    if verb == "predict" and not meant:  # of which a word without a key is a path
        return f"There is no folder or file '{shorten(word)}': {usage}"
    return f"'{shorten(word)}' stands without a key: {f'did you mean `lit-metanas {meant}`?' if meant else usage}"


_FILE_KEYS = {"predict": "data.images", "report": "results", "records": "read"}
"""For a verb the key that takes files or folders."""


def _required(match: re.Match[str], place: RefusedPlace) -> str:
    names = (name.strip() for name in match[1].split(","))
    bare = (name.partition(".")[2] if name.partition(".")[0] in TRAINER_VERBS else name for name in names)
    missing = ", ".join(f"'{_join(place.where, name)}'" for name in bare)
    nested = place.where and place.verb != "predict"  # whose operands stand for keys of model and data
    if not place.verb or place.configured or nested:
        return f"{missing} must be given, in a configuration file (-c) or on the command line."
    takes = f": `{place.verb}` takes {_TAKEN[place.verb]}" if place.verb in _TAKEN else ""
    return f"{missing} must be given{takes}, as in `{example(place.verb)}`."


_TAKEN = {
    "auto": "a folder or a table",
    "run": "the configuration of an experiment",
    "predict": "an exported network's folder and new examples",
    "push": "an exported network's folder and a repository",
}
"""What a verb needs, where its keys alone do not say so."""


def _no_choice(match: re.Match[str], place: RefusedPlace) -> str:
    choices = re.findall(r"[\w-]+", match[2])
    return f"There is no '{match[1]}'{near_miss(match[1], choices)} Choose from {', '.join(choices)}."


def _no_file(match: re.Match[str], place: RefusedPlace) -> str:
    ours = "; the shipped configurations are in the clone of lit_metanas" if "configs" in Path(match[1]).parts else ""
    return f"There is no file '{match[1]}': check the path given to '{place.where or 'config'}'{ours}."


def _no_class(match: re.Match[str], place: RefusedPlace) -> str:
    name = match.groupdict().get("name") or place.class_path or place.given
    if name in lit_metanas.__all__:
        return f"'{place.of(name)}' names {name}, which is not a subclass of {_expected_class(place)}."
    if place.verb in KEYS:
        return f"'{place.where}' cannot be '{shorten(name)}': it takes mappings of keys and values."
    near = near_miss(last_name(name), errors.known_classes(name))
    if "." not in name and (own := errors.in_current_folder(name)) is not None:
        near = f": did you mean '{own}'?"
    elif (told := errors.describe_module(name)) is not None:
        near = told
    elif "." not in name and near == ".":
        near = ": a class of your own is given as MODULE.CLASS."
    return f"'{place.of(name)}' names '{shorten(name)}', which does not exist{near}"


def _other_class(match: re.Match[str], place: RefusedPlace) -> str:
    return f"'{place.where}' names a class that is not a subclass of {match[1]}."


def _circular(match: re.Match[str], place: RefusedPlace) -> str:
    return f"'{place.where}' names '{match[1]}', the file that it is in: give another file, or a class_path."


def _out_of_range(match: re.Match[str], place: RefusedPlace) -> str:
    return f"'{place.where}' cannot be '{match[1]}': it must be {match[2].removeprefix('v')}."


def _no_mapping(match: re.Match[str], place: RefusedPlace) -> str:
    root = place.where.partition(".")[0]
    return f"'{root}' cannot be '{shorten(match[1])}': it takes a mapping of keys and values."


def _nameless(match: re.Match[str], place: RefusedPlace) -> str:
    return f"'{place.where}' holds a key without a name: give it one, or remove it."


def _no_arguments(match: re.Match[str], place: RefusedPlace) -> str:
    arguments = _join(place.where, "init_args")
    return f"'{arguments}' is not a mapping: it takes the arguments of {last_name(place.class_path)} by name."


def _abstract(match: re.Match[str], place: RefusedPlace) -> str:
    if match[1] and (sentence := place.without_class(match[1])) is not None:
        return sentence
    wanted = f"the class_path of a {last_name(match[1] or place.given)}, with its init_args"
    return f"'{place.where}' cannot be '{shorten(place.given)}': it takes {wanted}."


def _no_description(match: re.Match[str], place: RefusedPlace) -> str:
    if (sentence := place.without_class(f"{lit_metanas.__name__}.{match[1]}")) is not None:
        return sentence
    value = match[2] or place.given
    return f"'{place.of(value)}' cannot be '{shorten(value)}': it takes a mapping that describes a {match[1]}."


def _wrong_type(match: re.Match[str], place: RefusedPlace) -> str:
    kind = re.sub(r"<class '([^']+)'>", r"\1", match[1])
    return f"'{place.of(match[2])}' cannot be '{shorten(match[2])}': it takes {_kind(kind, match[2])}."


def _wrong_length(match: re.Match[str], place: RefusedPlace) -> str:
    return f"'{place.of(place.given)}' cannot be '{shorten(place.given)}': it takes a list of {match[1]} values."


def _too_large(match: re.Match[str], place: RefusedPlace) -> str:
    return f"'{place.of(place.given)}' cannot be '{shorten(place.given)}': the number is too large."


def _no_path(match: re.Match[str], place: RefusedPlace) -> str:
    return f"'{place.where}' cannot be of type {match[1]}: it takes a path."


def _expected_class(place: RefusedPlace) -> str:
    """The class that the place takes, by its name."""
    if place.class_path:
        argument = errors.arguments_of(place.class_path).get(place.path[-1][1])
        annotation = argument.annotation if argument else "such class"
        text = str(getattr(annotation, "__name__", annotation)).partition(" | ")[0]
        return text.rpartition("[")[2].rpartition(", ")[2].rstrip("]")  # of a mapping's or a list's annotation
    return place.outer


_KEY = re.compile(r'Parser key "(?P<key>[^"]+)"')
_CLASSES = (
    re.compile(r"Problem with given class_path '([^']+)'"),
    re.compile(r"a callable class: .*\. Got value: Namespace\(class_path='([^']+)'"),
)
_GIVEN = re.compile(r"Given value: (.*)")
_OUTER = re.compile(r"Subtypes: .*?<class '[\w.]*?(\w+)'>")
_TYPE = re.compile(r"Expected (?:a )?<class '([^']+)'>$")
_LITERAL = re.compile(r"Expected a typing\.Literal\[(.+)\]$")
_NESTED = re.compile(r"NestedArg\(key='([^']+)', val='?(.*?)'?\)$")
_IMPORTED = re.compile(r"(?:class_path'?:? |class_path=|val=)'([\w.]+)'|Given value: ([\w.]+)$", re.MULTILINE)
_LOOP = re.compile(r"Config file loop detected: (.+?) -> .*")
_NESTED_FILE = re.compile(r"NestedArg\(key='[^']+', val='([^']+\.ya?ml)'\)$", re.MULTILINE)
_PYTHON_FILE = re.compile(r"(?:path but |file |detected: |value: |')([^'\n ]+\.py)\b")
_CLASS_PATH = re.compile(r"class_path['\"]?:\s+['\"]?([\w.]+)")
_YAML_FILE = re.compile(r"Expected a path but (\S+\.ya?ml) either not accessible")
_PATH = r"expected str, bytes or os\.PathLike object"
_PATH_SINCE_PYTHON_3_13 = r"argument should be a str or an os\.PathLike object where __fspath__ returns a str"

_REASONS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], RefusedPlace], str]], ...] = (
    (re.compile(r"Option '([^']+)' is not accepted"), _unknown),
    (re.compile(r"(?:Subcommand|Group) '[^']+' does not accept option '([^']+)'"), _unknown),
    (re.compile(r"unrecognized arguments: (\S+)"), _stray),
    (re.compile(r"arguments? (?:is|are) required: (.+)"), _required),
    (re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)"), _no_choice),
    (re.compile(r"module '[^']+' has no attribute '[^']+'"), _no_class),
    (re.compile(r"No module named "), _no_class),
    (re.compile(r"Expected a dot import path string: (?P<name>.+?)(?:\. Got value: .*)?$"), _no_class),
    (re.compile(r"Import path (?:\S+ )?does not correspond to a subclass of (\w+)"), _other_class),
    (re.compile(r"Config file loop detected: (.+?) -> "), _circular),
    (re.compile(r"Not of type \w+: (\S+) does not conform to restriction (.*)"), _out_of_range),
    (re.compile(r"Not of type (\w+): invalid literal .*: '(.*)'"), _wrong_type),
    (re.compile(r"Unable to load config ['\"]([^'\"]*)['\"]"), _no_mapping),
    (re.compile(r"(?:File|Path) does not exist: '([^']+)'"), _no_file),
    (re.compile(r"Expected a tuple with (\d+) elements"), _wrong_length),
    (re.compile(r"int too large to convert to float"), _too_large),
    (re.compile(rf"(?:{_PATH}|{_PATH_SINCE_PYTHON_3_13}), not '?(\w+)"), _no_path),
    (re.compile(r"Unexpected import path format: (?P<name>.+)"), _no_class),
    (re.compile(r"Expected an instantiatable class, but ([\w.]*) ?is abstract"), _abstract),
    (re.compile(r"Empty nested key"), _nameless),
    (re.compile(r"'\w+' object has no attribute 'keys'"), _no_arguments),
    (re.compile(r"Not a valid subclass of (\w+)(?:\. Got value: (.*))?"), _no_description),
    (re.compile(r"Expected (?:a|an|any of:?|one of:?) (.+?)\. Got value: (.*?)(?:\. Got value: .*)?$"), _wrong_type),
)
"""What jsonargparse 4.53 gives as reasons, and what to say instead. The first that matches a line counts."""


def explain(
    message: str, keys: Iterable[str] = (), verb: str = "", trees: Sequence[object] = (), configured: bool = False
) -> str:
    """Condense a parser's message into a sentence with the key's path and the near miss.

    Args:
        message: what jsonargparse says.
        keys: the parser's known keys, dotted, to suggest from.
        verb: whose command line it is.
        trees: what its configurations say.
        configured: whether it has a configuration.

    Returns:
        Why a module of the user's cannot be imported, if that is so; else the sentence of the innermost reason that is
        known here; jsonargparse's own words where none is.
    """
    given = _GIVEN.search(message)
    outer = _OUTER.search(message)
    whole = outer[1] if outer else "other class"
    place = RefusedPlace(
        given[1] if given else "", list(keys), [], outer=whole, verb=verb, trees=trees, configured=configured
    )
    nested = next((part for each in reversed(_GIVEN.findall(message)) if (part := _NESTED.match(each))), None)
    if nested:
        place.argument = nested[1], nested[2]
        place.given = nested[2] if _NESTED.match(place.given) else place.given
    names = dict.fromkeys(each or other for each, other in _IMPORTED.findall(message))
    faults = {name: fault for name in names if (fault := errors.import_fault(name)) is not None}
    types: list[str] = []
    deepest, sentence = -1, ""
    for line in message.splitlines():
        indent = len(line) - len(line.lstrip(" -"))
        if key := _KEY.search(line):
            place.path = [*((depth, name) for depth, name in place.path if depth < indent), (indent, key["key"])]
        for pattern in _CLASSES:
            if found := pattern.search(line):
                place.class_path = found[1]
        for pattern, told in () if faults else _REASONS:
            if reason := pattern.search(line):
                if indent > deepest:
                    deepest, sentence = indent, told(reason, place)
                break
        else:
            types += [*_TYPE.findall(line), *(word.strip("'") for word in _words(_LITERAL.findall(line)))]
    if nested and len(place.path) == 1:
        place.path.append((1, nested[1]))
    for name, fault in faults.items():
        return _not_imported(place.where, name, fault)
    if python := _PYTHON_FILE.search(message):
        there = errors.classes_in(Path(python[1]))
        such = f", such as {there[0]}" if there else ""
        return f"'{place.where}' cannot be '{python[1]}': give a class in it as MODULE.CLASS{such}."
    if sentence:
        return _file_instead(message) or sentence
    if re.search(r"Literal\[\d", message):
        types = [kind for kind in types if kind != "int"]  # not any: the literals' types are told, too
    if "float" in types:
        types = [kind for kind in types if kind != "int"]  # which are numbers, too
    known = [_kind(kind, place.given, message) for kind in dict.fromkeys(types) if kind != "NoneType"]
    kinds = " or ".join(known) if len(known) < 4 else f"one of {', '.join(known)}"
    if place.where and kinds:
        return f"'{place.of(place.given)}' cannot be '{shorten(place.given)}': it takes {kinds}."
    own = shorten(" ".join(_KEY.sub("", message).split()).strip(" :."), LONGEST_REASON)
    return f"'{place.where}': {own}." if place.where else f"{own}."


def _file_instead(message: str) -> str | None:
    """Where a value looks like the path of a YAML file, its absence is the mistake."""
    file, key = _YAML_FILE.search(message), _KEY.search(message)
    if file is None or key is None:
        return None
    return f"There is no file '{file[1]}', to which '{key['key']}' points: paths are relative to the file they are in."


def _kind(kind: str, value: str, message: str = "") -> str:
    """A type for a sentence; of a list that lacks its brackets how it is written."""
    if choices := re.fullmatch(r"typing\.Literal\[(.+)\]", kind):
        return f"one of {choices[1].replace(chr(39), '')}"
    kind = _PLAIN.get(kind, kind)
    if kind != "list" or set(value) & set("[]{}'\""):
        return kind
    if "list[int]" in message and not re.fullmatch(r"[\d, ]+", value):
        return "a list of whole numbers, such as [0, 1]"
    inside = value.strip().removeprefix("(").removesuffix(")")  # as Python writes a tuple
    return f"a list, such as [{shorten(inside)}]" if inside else kind


_PLAIN = {
    "dict": "a mapping of keys and values",
    "tuple": "list",
    "collections.abc.Sequence": "list",
    "float": "a number",
    "int": "a whole number",
}
"""What a user calls a type."""


def _words(lists: Iterable[str]) -> list[str]:
    return [word for each in lists for word in each.split(", ")]


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name

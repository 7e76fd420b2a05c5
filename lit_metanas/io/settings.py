"""What objects were made with, as plain values: by these a search tells whether it was finished under the same ones."""

from __future__ import annotations

import copyreg
import hashlib
import inspect
import json
import os
import warnings
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass
from functools import partial, wraps
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor

from lit_metanas.io.text import without_passwords

_KEPT, _BESIDE = "_settings_kept", "_settings_beside"
_LONGEST, _MANY = 4000, 1000
"""Characters of a foreign object's state, and parts of a container, beyond which a digest is told instead."""

_being_told: ContextVar[tuple[int, ...]] = ContextVar("_being_told", default=())
"""Objects that are being told, the outermost first."""

Class = TypeVar("Class", bound=type)


def keeps_arguments(beside: Callable[[Any], Mapping[str, Any]] | None = None) -> Callable[[Class], Class]:
    """Decorate a base: objects of it and of all subclasses keep what their constructor is given, for ``settings_of``.

    Nothing is asked of the constructor: it may store an argument under any name, in another form, or not at all.
    Arrays are kept as digests; containers and the state of foreign objects as they are before the constructor runs.

    Args:
        beside: what else tells an object from others, as plain values, by name.
    """

    def decorate(base: Class) -> Class:
        assert "__init_subclass__" not in vars(base)

        def init_subclass(cls: type, /, **options: Any) -> None:
            super(base, cls).__init_subclass__(**options)  # type: ignore[arg-type]
            _wrap(cls)

        base.__init_subclass__ = classmethod(init_subclass)  # type: ignore[assignment, method-assign]
        setattr(base, _BESIDE, staticmethod(beside or (lambda made: {})))
        _wrap(base)
        return base

    return decorate


def _wrap(cls: type) -> None:
    construct = cls.__init__  # type: ignore[misc]
    if construct is object.__init__ or hasattr(construct, _KEPT):
        return
    signature = inspect.signature(construct)

    @wraps(construct)
    def keep(self: object, *args: Any, **kwargs: Any) -> None:
        if type(self).__init__ is keep:  # the constructor that was called, not one that it calls
            try:
                bound = signature.bind(self, *args, **kwargs)
            except TypeError:  # told better by the constructor itself
                pass
            else:
                bound.apply_defaults()
                _, *given = bound.arguments.items()
                vars(self)[_KEPT] = {name: _keep(value) for name, value in given}
        construct(self, *args, **kwargs)

    setattr(keep, _KEPT, True)
    cls.__init__ = keep  # type: ignore[misc]


def settings_of(value: object) -> Any:
    """Describe an object by plain values: those made alike are described equally, and others differently.

    Objects of decorated classes are told by their class and arguments, dataclasses by their fields, any other object
    by its whole state. Arrays are told by their values, files by their name and content, named functions and classes
    by their name, lambdas and inner functions by their code and what it refers to. What cannot be read at all is
    told differently each time, with a warning. The code of classes is not looked at.
    """
    return _to_plain(_keep(value))


def tensor_digest(*tensors: Tensor) -> str:
    """A digest of shapes, types and values."""
    digest = hashlib.sha256()
    for tensor in tensors:
        flat = tensor.detach().cpu().contiguous()
        digest.update(f"{tuple(flat.shape)} {flat.dtype}".encode())
        digest.update(flat.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


@dataclass(frozen=True)
class _Text:
    """A text that may name a file, which is read only when it is told."""

    text: str


@dataclass(frozen=True)
class _Unknown:
    """What cannot be told from others of its class."""

    name: str
    token: str


def _keep(value: Any) -> Any:
    """Plain values, texts, and objects that keep their arguments; whatever else, told now, as it may change."""
    try:
        return _plain(value, _Text, ())
    except Exception:  # of foreign code, and of objects that are deeper than the stack
        return _Unknown(_name(type(value)), uuid4().hex)


def _plain(value: Any, text: Callable[[str], Any], above: tuple[int, ...]) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str | os.PathLike):
        return text(os.fsdecode(value))
    if isinstance(value, bytes | bytearray):
        return {"bytes": hashlib.sha256(value).hexdigest()}
    if isinstance(value, Tensor):
        return {"tensor": tensor_digest(value)}
    if type(value) in (np.ndarray, np.memmap) and not value.dtype.hasobject:
        described = f"{value.shape} {value.dtype.str}".encode()
        return {"array": hashlib.sha256(described + np.ascontiguousarray(value).tobytes()).hexdigest()}
    if hasattr(type(value), _BESIDE):
        return value
    if isinstance(value, type):
        return _name(value)
    if isinstance(value, ModuleType):
        return value.__name__
    if id(value) in above:
        return {"again": _name(type(value))}
    if long := isinstance(value, list | tuple | Mapping | set | frozenset) and len(value) > _MANY:
        text = without_passwords

    def inner(part: Any) -> Any:
        return _plain(part, text, (*above, id(value)))

    if (told := _contents(value, inner)) is not None:
        return {"digest": _digest(_text(_to_plain(told)))} if long else told
    return _state(value, (*above, id(value)))


def _contents(value: Any, inner: Callable[[Any], Any]) -> Any:
    """The parts of a container, a call that is put off, a function or a dataclass; None for any other object."""
    if type(value) in (list, tuple, np.ndarray):
        return [inner(part) for part in value]
    if isinstance(value, Mapping):
        if all(isinstance(name, str) for name in value):
            return {str(name): inner(part) for name, part in value.items()}
        return [[inner(name), inner(part)] for name, part in value.items()]
    if isinstance(value, set | frozenset):
        return sorted(map(inner, value), key=_text)
    if isinstance(value, partial):
        args, how = list(value.args), value.func
        if _name(how).startswith("jsonargparse."):  # where an argument takes a class: partial(its functions, the class)
            how, args = args[-1], []
        return {"class": inner(how), "arguments": {**({"*": inner(args)} if args else {}), **inner(value.keywords)}}
    if isinstance(value, MethodType):
        return {"method": _name(value), "of": inner(value.__self__)}
    if isinstance(value, FunctionType):
        return _function(value, inner)
    if is_dataclass(value) and _fully(value):
        arguments = {field.name: inner(getattr(value, field.name)) for field in fields(value)}
        return {"class": _name(type(value)), "arguments": arguments}
    return None


def _state(value: Any, above: tuple[int, ...]) -> dict[str, Any]:
    """What an object would be copied by: whatever it was made with is in there, however it is stored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reduced = value.__reduce_ex__(2)
    if isinstance(reduced, str):
        return {"class": _name(type(value)), "is": f"{getattr(value, '__module__', '')}.{reduced}"}
    how, args, state, *items = (*reduced, None)[: max(3, len(reduced))]
    parts = {"state": state, **{f"items {n}": list(each) for n, each in enumerate(items) if each is not None}}
    if how is not copyreg.__newobj__ or len(args) > 1:  # type: ignore[attr-defined]
        parts["made by"] = [how, args]
    told = {name: _to_plain(_plain(part, without_passwords, above)) for name, part in parts.items()}
    text = _text(told)
    return {"class": _name(type(value)), **(told if len(text) <= _LONGEST else {"digest": _digest(text)})}


def _function(value: FunctionType, inner: Callable[[Any], Any]) -> Any:
    """A function by its name; one that has none of its own, or that a notebook changes, by what it does, too."""
    if "<" not in value.__qualname__ and value.__module__ != "__main__":
        return _name(value)
    code = value.__code__
    cells = dict(zip(code.co_freevars, (cell.cell_contents for cell in value.__closure__ or ()), strict=True))
    used = {name: value.__globals__[name] for name in sorted(_names_in(code)) if name in value.__globals__}
    parts = (value.__defaults__, value.__kwdefaults__, cells, used)
    return {"function": _name(value), "code": _digest(_text(_instructions(code))), "uses": [inner(p) for p in parts]}


def _instructions(code: CodeType) -> list[Any]:
    constants = [
        _instructions(each) if isinstance(each, CodeType) else _plain(each, str, ()) for each in code.co_consts
    ]
    return [code.co_code.hex(), constants, code.co_names, code.co_varnames, code.co_freevars]


def _names_in(code: CodeType) -> set[str]:
    inner = (_names_in(each) for each in code.co_consts if isinstance(each, CodeType))
    return set(code.co_names).union(*inner)


def _to_plain(kept: Any) -> Any:
    """Values that JSON takes, of what was kept."""
    if isinstance(kept, _Text):
        return _text_to_plain(kept.text)
    if isinstance(kept, _Unknown):
        warnings.warn(
            f"An object of {kept.name} cannot be told from others of its class, so a search that is started again does "
            "what it finished with it once more: give one that can be pickled.",
            stacklevel=2,
        )
        return {"class": kept.name, "unknown": kept.token}
    if isinstance(kept, list):
        return [_to_plain(part) for part in kept]
    if isinstance(kept, dict):
        return {name: _to_plain(part) for name, part in kept.items()}
    cls = type(kept)
    if not hasattr(cls, _BESIDE):
        return kept
    arguments = vars(kept).get(_KEPT)
    if arguments is None and cls.__init__ is object.__init__:
        arguments = {}
    elif arguments is None and is_dataclass(kept) and _fully(kept):
        arguments = {field.name: _keep(getattr(kept, field.name)) for field in fields(kept)}
    if arguments is None:
        return _to_plain(_Unknown(_name(cls), uuid4().hex))
    if id(kept) in _being_told.get():  # what tells it beside its arguments may refer to itself
        return {"again": _name(cls)}
    token = _being_told.set((*_being_told.get(), id(kept)))
    try:
        return {"class": _name(cls), "arguments": _to_plain(arguments), **getattr(cls, _BESIDE)(kept)}
    finally:
        _being_told.reset(token)


def _text_to_plain(text: str) -> Any:
    try:
        if Path(text).is_file():
            # With its name: the text may be no path at all, and two files may hold the same.
            with open(text, "rb") as stream:
                return {"file": Path(text).name, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    except (OSError, ValueError):  # no path: too long, or with characters that paths cannot have
        pass
    return without_passwords(text)


def _fully(value: Any) -> bool:
    """Whether a dataclass keeps all that it is made with, which it does not of an ``InitVar``."""
    return set(inspect.signature(type(value)).parameters) <= {field.name for field in fields(value)}


def _name(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"


def _text(told: Any) -> str:
    return json.dumps(told, sort_keys=True, default=repr)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

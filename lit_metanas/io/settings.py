"""Settings of objects as plain values, which decide whether a search was finished under the same ones."""

from __future__ import annotations

import copyreg
import hashlib
import inspect
import json
import os
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
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

_KEPT, _FURTHER = "_settings_kept", "_settings_further"
# Characters of a foreign object's state, and parts of a container, beyond which a digest replaces them.
_LONGEST, _MANY = 4000, 1000

# Objects that are being described, the outermost first.
_under_way: ContextVar[tuple[int, ...]] = ContextVar("_under_way", default=())

Class = TypeVar("Class", bound=type)


def keeps_arguments(further: Callable[[Any], Mapping[str, Any]] | None = None) -> Callable[[Class], Class]:
    """Decorate a base class: its objects keep their constructor's arguments for ``settings_of``."""
    # The constructor may store an argument under any name, in another form, or not at all. `further` gives more plain
    # values by name that distinguish an object. Arrays are kept as digests; containers and foreign objects as they are
    # before the constructor runs.

    def decorate(base: Class) -> Class:
        assert "__init_subclass__" not in vars(base)

        def init_subclass(cls: type, /, **options: Any) -> None:
            super(base, cls).__init_subclass__(**options)  # type: ignore[arg-type]
            _wrap(cls)

        base.__init_subclass__ = classmethod(init_subclass)  # type: ignore[assignment, method-assign]
        setattr(base, _FURTHER, staticmethod(further or (lambda made: {})))
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
            with suppress(TypeError):  # the constructor's own error is clearer
                bound = signature.bind(self, *args, **kwargs)
                bound.apply_defaults()
                _, *given = bound.arguments.items()
                vars(self)[_KEPT] = {name: _keep(value) for name, value in given}
        construct(self, *args, **kwargs)

    setattr(keep, _KEPT, True)
    cls.__init__ = keep  # type: ignore[misc]


def settings_of(value: object) -> Any:
    """Describe an object by plain values: equal for objects that were made alike, different for others."""
    # What cannot be read at all is described differently each time, with a warning. The code of classes is not read.
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
    """A text that may name a file, which is read only when the settings are written."""

    text: str


@dataclass(frozen=True)
class _Unknown:
    """An object that cannot be distinguished from others of its class."""

    name: str
    token: str


def _keep(value: Any) -> Any:
    """Plain values, texts, and objects that keep their arguments; any other object is described now: it may change."""
    try:
        return _plain(value, _Text, ())
    except Exception:  # of foreign code, and of objects that are deeper than the stack
        return _Unknown(_name(type(value)), uuid4().hex)


def _plain(value: Any, text: Callable[[str], Any], above: tuple[int, ...]) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    match value:
        case None | bool() | int() | float():
            return value
        case str() | os.PathLike():
            return text(os.fsdecode(value))
        case bytes() | bytearray():
            return {"bytes": hashlib.sha256(value).hexdigest()}
        case Tensor():
            return {"tensor": tensor_digest(value)}
        case _ if type(value) in (np.ndarray, np.memmap) and not value.dtype.hasobject:
            described = f"{value.shape} {value.dtype.str}".encode()
            return {"array": hashlib.sha256(described + np.ascontiguousarray(value).tobytes()).hexdigest()}
        case _ if hasattr(type(value), _FURTHER):
            return value
        case type():
            return _name(value)
        case ModuleType():
            return value.__name__
        case _ if id(value) in above:
            return {"again": _name(type(value))}
    if long := isinstance(value, list | tuple | Mapping | set | frozenset) and len(value) > _MANY:
        text = without_passwords

    def inner(part: Any) -> Any:
        return _plain(part, text, (*above, id(value)))

    if (plain := _contents(value, inner)) is None:
        return _state(value, (*above, id(value)))
    if long:
        return {"digest": _digest(_text(_to_plain(plain)))}
    return plain


def _contents(value: Any, inner: Callable[[Any], Any]) -> Any:
    """The parts of a container, partial call, function or dataclass; None for any other object."""
    match value:
        case _ if type(value) in (list, tuple, np.ndarray):
            return [inner(part) for part in value]
        case Mapping() if all(isinstance(name, str) for name in value):
            return {str(name): inner(part) for name, part in value.items()}
        case Mapping():
            return [[inner(name), inner(part)] for name, part in value.items()]
        case set() | frozenset():
            return sorted(map(inner, value), key=_text)
        case partial():
            args, how = list(value.args), value.func
            if _name(how).startswith("jsonargparse."):  # an argument takes a class: partial(its functions, the class)
                how, args = args[-1], []
            arguments = inner(value.keywords)
            if args:
                arguments = {"*": inner(args), **arguments}
            return {"class": inner(how), "arguments": arguments}
        case MethodType():
            return {"method": _name(value), "of": inner(value.__self__)}
        case FunctionType():
            return _function(value, inner)
        case _ if is_dataclass(value) and _fully(value):
            arguments = {field.name: inner(getattr(value, field.name)) for field in fields(value)}
            return {"class": _name(type(value)), "arguments": arguments}
    return None


def _state(value: Any, above: tuple[int, ...]) -> dict[str, Any]:
    """The values that pickle copies an object by, which include all that it was made with."""
    with warnings.catch_warnings(action="ignore"):
        reduced = value.__reduce_ex__(2)
    if isinstance(reduced, str):
        return {"class": _name(type(value)), "is": f"{getattr(value, '__module__', '')}.{reduced}"}
    how, args, state, *items = (*reduced, None)[: max(3, len(reduced))]
    parts = {"state": state, **{f"items {n}": list(each) for n, each in enumerate(items) if each is not None}}
    if how is not copyreg.__newobj__ or len(args) > 1:  # type: ignore[attr-defined]
        parts["made by"] = [how, args]
    plain = {name: _to_plain(_plain(part, without_passwords, above)) for name, part in parts.items()}
    text = _text(plain)
    if len(text) > _LONGEST:
        plain = {"digest": _digest(text)}
    return {"class": _name(type(value)), **plain}


def _function(value: FunctionType, inner: Callable[[Any], Any]) -> Any:
    """A function by its name; a lambda, an inner function or one of a notebook also by its code."""
    if "<" not in value.__qualname__ and value.__module__ != "__main__":
        return _name(value)
    code = value.__code__
    cells = dict(zip(code.co_freevars, (cell.cell_contents for cell in value.__closure__ or ()), strict=True))
    used = {name: value.__globals__[name] for name in sorted(_names_in(code)) if name in value.__globals__}
    uses = [*map(inner, (value.__defaults__, value.__kwdefaults__, cells, used))]
    return {"function": _name(value), "code": _digest(_text(_instructions(code))), "uses": uses}


def _instructions(code: CodeType) -> list[Any]:
    constants = [
        _instructions(each) if isinstance(each, CodeType) else _plain(each, str, ()) for each in code.co_consts
    ]
    return [code.co_code.hex(), constants, code.co_names, code.co_varnames, code.co_freevars]


def _names_in(code: CodeType) -> set[str]:
    return set(code.co_names).union(*(_names_in(each) for each in code.co_consts if isinstance(each, CodeType)))


def _to_plain(kept: Any) -> Any:
    """Values that JSON takes, from values that ``_keep`` returned."""
    cls = type(kept)
    match kept:
        case _Text():
            return _text_to_plain(kept.text)
        case _Unknown():
            warnings.warn(
                f"An object of {kept.name} cannot be distinguished from others of its class, so a search that is "
                "started again repeats all that it finished with this object: give one that can be pickled.",
                stacklevel=2,
            )
            return {"class": kept.name, "unknown": kept.token}
        case list():
            return [_to_plain(part) for part in kept]
        case dict():
            return {name: _to_plain(part) for name, part in kept.items()}
        case _ if not hasattr(cls, _FURTHER):
            return kept
    arguments = vars(kept).get(_KEPT)
    if arguments is None and cls.__init__ is object.__init__:
        arguments = {}
    elif arguments is None and is_dataclass(kept) and _fully(kept):
        arguments = {field.name: _keep(getattr(kept, field.name)) for field in fields(kept)}
    if arguments is None:
        return _to_plain(_Unknown(_name(cls), uuid4().hex))
    if id(kept) in _under_way.get():  # its further values may refer to the object itself
        return {"again": _name(cls)}
    token = _under_way.set((*_under_way.get(), id(kept)))
    try:
        return {"class": _name(cls), "arguments": _to_plain(arguments), **getattr(cls, _FURTHER)(kept)}
    finally:
        _under_way.reset(token)


def _text_to_plain(text: str) -> Any:
    # Errors: a text that is no path is too long, or has characters that paths cannot have.
    with suppress(OSError, ValueError):
        if Path(text).is_file():
            # With its name: the text may be no path at all, and two files may hold the same.
            with open(text, "rb") as stream:
                return {"file": Path(text).name, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    return without_passwords(text)


def _fully(value: Any) -> bool:
    """Whether a dataclass keeps all its arguments; it does not keep an ``InitVar``."""
    return set(inspect.signature(type(value)).parameters) <= {field.name for field in fields(value)}


def _name(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"


def _text(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True, default=repr)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

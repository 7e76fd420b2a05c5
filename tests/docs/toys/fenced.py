"""Fenced blocks of a Markdown page, and a reader who runs them in order.

A comment in front of a block says what a reader does with it:

- nothing: Python runs in one namespace for the page, `bash` line by line; YAML must parse.
- ``<!-- test: file NAME -->``: the block is saved under that name.
- ``<!-- test: append ARGUMENTS -->``: they are added to the first command, to make it small.
- ``<!-- test: replace OLD -> NEW -->``: in Python, to make it small.
- ``<!-- test: parse (REASON) -->``: the shell's syntax is checked, and that the configurations and scripts exist.
- ``<!-- test: skip (REASON) -->``: not run.
"""

import contextlib
import io
import re
import runpy
import shlex
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from lit_metanas.cli.command_line import main

_COMMENT = re.compile(r"<!-- test: (?P<verb>file|append|replace|parse|skip) ?(?P<rest>.*?) -->")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: where it stands.
        line: number of its first line.
        language: after the fence.
        code: its text.
        verb: of the comment in front of it, or nothing.
        rest: what follows the verb.
    """

    page: Path
    line: int
    language: str
    code: str
    verb: str = ""
    rest: str = ""


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order, but those in braces, which are the site's."""
    found: list[Block] = []
    comment: re.Match[str] | None = None
    language, code, start = None, [], 0
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if language is None and line.startswith("```"):
            language, code, start = line[3:].strip(), [], number + 1
        elif line.startswith("```"):
            verb, rest = (comment["verb"], comment["rest"]) if comment else ("", "")
            if not language.startswith("{"):
                found.append(Block(page, start, language, "\n".join(code) + "\n", verb, rest))
            language = comment = None
        elif language is not None:
            code.append(line)
        elif line:
            comment = _COMMENT.fullmatch(line)
    assert language is None, f"{page}: a block is not closed"
    return found


class Reader:
    """Does what a page says, in a folder of its own.

    Args:
        folder: the current one.
        root: the repository.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.root = folder, root
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def read(self, block: Block) -> None:
        if block.verb == "skip":
            assert block.rest, f"{block.page}:{block.line}: say why it is not run"
        elif block.verb == "file":
            path = self.folder / block.rest
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.code, encoding="utf-8")
        elif block.language == "python":
            self._python(block)
        elif block.language == "yaml":
            yaml.safe_load(block.code)
        elif block.language == "bash" and block.verb == "parse":
            self._parse(block)
        elif block.language == "bash":
            for place, command in enumerate(commands(block.code)):
                self._shell(command, [] if place else shlex.split(block.rest), block)

    def _python(self, block: Block) -> None:
        text = block.code
        if block.verb == "replace":
            old, new = block.rest.split(" -> ")
            assert old in text, f"{block.page}:{block.line}: there is no '{old}'"
            text = text.replace(old, new)
        # Lines of the page in a traceback.
        code = compile("\n" * (block.line - 1) + text, str(block.page), "exec")
        exec(code, self.names)

    def _shell(self, command: str, more: list[str], block: Block) -> None:
        words = shlex.split(command.removeprefix("PYTHONPATH=. "), comments=True)  # the test's path has the folder
        if words[:1] not in (["lit-metanas"], ["python"]):
            subprocess.run(["bash", "-euo", "pipefail", "-c", command], check=True, cwd=self.folder, timeout=600)
            return
        if words[0] == "python" and words[1].startswith("-"):  # a module or a text, not a script
            subprocess.run([sys.executable, *words[1:], *more], check=True, cwd=self.folder, timeout=600)
            return
        # In this process: a new one would take seconds to import torch.
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            if words[0] == "lit-metanas":
                code: object = main([*words[1:], *more])
            else:
                code = run_script([*words[1:], *more], self.folder)
        if code:
            pytest.fail(f"{block.page}:{block.line}: {command}\nended with {code}: {said.getvalue()}")

    def _parse(self, block: Block) -> None:
        assert block.rest, f"{block.page}:{block.line}: say why it is not run"
        subprocess.run(["bash", "-n"], input=block.code, text=True, check=True, timeout=60)
        for name in re.findall(r"\b(?:configs|docker)/[\w/.-]+\.(?:ya?ml|sh)\b", block.code):
            assert (self.root / name).is_file(), f"{block.page}:{block.line}: there is no {name}"


def modules_of(folder: Path) -> dict[str, ModuleType]:
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    return {name: sys.modules[name] for name, file in files.items() if file and Path(file).is_relative_to(folder)}


def run_script(words: list[str], folder: Path) -> object:
    """Run a script with its arguments in this process, and return its exit code.

    It imports the folder's modules anew, and afterwards those are there that were there before. Unlike with `python`,
    all other modules are those that the tests have imported, and are looked for where the tests look.
    """
    before, sys.argv, own = sys.argv, words, modules_of(folder)
    for name in own:
        del sys.modules[name]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # as outside of tests
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as stop:
        return stop.code
    finally:
        sys.argv = before
        for name in modules_of(folder):
            del sys.modules[name]
        sys.modules.update(own)
    return 0


def commands(code: str) -> list[str]:
    """The commands of a shell block: lines, joined where they end in a backslash; without comments and empty lines."""
    joined = code.replace("\\\n", " ").splitlines()
    return [line for line in joined if line.strip() and not line.lstrip().startswith("#")]

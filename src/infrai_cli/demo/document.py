"""The documents that the demo reads: this project's own pages, as passages that know their file and section."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from infrai_core import ConfigError

PASSAGE_CHARACTERS = 700
_PAGES = ("architecture", "catalogue", "protocol", "routing", "state", "vendors")
_SEED = "docs/seed/ai-runtime.zh.txt"


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document: short enough to be found and quoted."""

    file: str
    section: str
    text: str

    @property
    def source(self) -> str:
        """``file > section``, as it is cited."""
        return f"{self.file} > {self.section}" if self.section else self.file

    @property
    def content(self) -> str:
        """What is indexed and given to the model: the section's name says what the text is about."""
        return f"{self.section}\n{self.text}" if self.section else self.text


@dataclass(frozen=True, slots=True)
class Block:
    """What must stay together: a paragraph, a list item, a code block, a table row."""

    section: str
    text: str


def folder() -> Traversable:
    """Where the pages are: inside the installed package, or in the checkout that this package runs from.

    A wheel carries them (``force-include`` in pyproject.toml), a checkout has no copy: there is one truth in each.
    Raises ``ConfigError`` when there is neither.
    """
    packed = resources.files("infrai_cli").joinpath("pages")
    if packed.is_dir():
        return packed
    checkout = Path(__file__).resolve().parents[3]
    if (checkout / "docs" / "protocol.md").is_file():
        return checkout
    raise ConfigError("the project's documents are neither in the package nor beside it; install the whole package")


def files() -> list[str]:
    """README, the pages of docs/ that say what the service does, and the page the project was created from.

    Guides to the frameworks say the same again in their words, pages for operators and contributors are about other
    things: with them, the demo would grow with every page that is written.
    """
    return ["README.md", *(f"docs/{name}.md" for name in _PAGES), _SEED]


def texts(root: Traversable) -> dict[str, str]:
    """File -> its text."""
    return {file: root.joinpath(*file.split("/")).read_text("utf-8") for file in files()}


def passages(of: Mapping[str, str], size: int = PASSAGE_CHARACTERS) -> list[Passage]:
    """Documents (file -> text) as passages of at most about ``size`` characters, in reading order. One block may be
    longer."""
    return [passage for file, text in of.items() for passage in _passages(file, text, size)]


def _passages(file: str, text: str, size: int) -> Iterator[Passage]:
    split: Callable[[Sequence[str]], Iterable[Block]] = _markdown if file.endswith(".md") else _reference
    for pack in _packed(split(text.splitlines()), size):
        yield Passage(file, pack.section, pack.text)


def _packed(blocks: Iterable[Block], size: int) -> Iterator[Block]:
    """Blocks of one section put together up to ``size`` characters."""
    pack: Block | None = None
    for block in blocks:
        if pack and block.section == pack.section and len(pack.text) + len(block.text) <= size:
            pack = Block(pack.section, f"{pack.text}\n{block.text}")
            continue
        if pack:
            yield pack
        pack = block
    if pack:
        yield pack


# -- Markdown --------------------------------------------------------------------------------------------------------

_HEADING = re.compile(r"(#+)\s+(.*)")
_BAR = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"\|[\s|:-]+\|?$")
_ITEM = re.compile(r"([-*]|\d+\.)\s")


def _markdown(lines: Sequence[str]) -> Iterator[Block]:
    """Blocks of a Markdown page. A section is named by its headings from the second level on."""
    path: list[str] = []
    for group in _groups(lines):
        heading = _HEADING.match(group[0])
        if heading:
            level = len(heading[1])
            path = [*path[: level - 1], *[""] * (level - 1 - len(path)), _title(heading[2])]
            continue
        section = " > ".join(name for name in path[1:] if name) or (path[0] if path else "")
        if group[0].startswith("|"):
            yield from _rows(section, group)
        else:
            yield Block(section, "\n".join(group))


def _title(heading: str) -> str:
    """A heading without code marks and without the note on its source that the protocol page puts in brackets."""
    return heading.replace("`", "").partition(" [")[0]


def _groups(lines: Sequence[str]) -> Iterator[list[str]]:
    """Lines that belong together: a heading, a fenced block, a table, a list item, a paragraph."""
    group: list[str] = []
    fenced = False
    for line in lines:
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and group and _begins(line, group):
            yield group
            group = []
        if line.strip() or fenced:
            group.append(line)
    if group:
        yield group


def _begins(line: str, group: Sequence[str]) -> bool:
    """Whether a line outside a fence is no part of the group before it."""
    in_table = group[0].startswith("|")
    return bool(
        not line.strip() or _HEADING.match(line) or _HEADING.match(group[0]) or _ITEM.match(line)
    ) or in_table != line.startswith("|")


def _rows(section: str, table: Sequence[str]) -> Iterator[Block]:
    """A table row as a line that can be read alone: ``first cell: second cell; head: third cell``."""
    head, *rows = [_cells(row) for row in table if not _RULE.match(row)]
    for first, *rest in rows:
        more = [f"{name}: {cell}" for name, cell in zip(head[2:], rest[1:], strict=False) if cell]
        yield Block(section, "; ".join([f"{first}: {rest[0]}" if rest else first, *more]))


def _cells(row: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in _BAR.split(row.strip().strip("|"))]


# -- the reference page ------------------------------------------------------------------------------------------------

_LABELS = {"Python": "", "TypeScript": "", "参数": "参数", "名称类型必填说明": "参数", "返回": "参数", "示例": "示例"}
"""Label of the page -> the part of a method's section that it begins; parameters and result belong together."""


_FIELD = re.compile(
    r"(?P<name>[a-z_]+?)(?P<type>(?:string|number|boolean|\"|\{|[A-Z]).*?)(?P<need>可选|必填)(?P<about>.*)"
)
"""A parameter: the page's table came without anything between its cells."""


def _reference(lines: Sequence[str]) -> Iterator[Block]:
    """Blocks of the reference page: a method's name stands two lines above its ``POST`` line."""
    section, part = "", ""
    lines = (
        "\n".join(lines).replace("\n必填\n", "必填").split("\n")
    )  # one cell of the table stands on a line of its own
    for place, line in enumerate(lines):
        text = line.strip()
        if text in _LABELS:
            part = _LABELS[text]
        elif text == "概览" or any(after.startswith("POST ") for after in lines[place + 1 : place + 3]):
            section, part = (text or section), ("" if text else part)
        elif text:
            yield Block(f"{section} > {part}" if part else section, _field(line) if part == "参数" else line)


def _field(line: str) -> str:
    match = _FIELD.fullmatch(line)
    return f"{match['name']}: {match['about']}({match['type'].strip()}, {match['need']})" if match else line

"""Plain values of a YAML text, with the place of each and every fault on the way.

Stricter than PyYAML: a key twice is a fault, so is a number that YAML 1.1 alone reads (`010` in
base 8, `1:30` in base 60), dates stay text, and neither aliases nor nesting can exhaust memory or
the stack.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from charter.errors import Fault

__all__ = ["Loc", "YamlValues", "dotted", "is_unicode"]

Loc = tuple[str | int, ...]
_Items = dict[str, tuple[yaml.Node, yaml.Node]]
# No settings come near these; a text that does is an accident, or made to exhaust memory.
_DEEPEST = 60
_MOST_VALUES = 100_000
_PLAIN = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_TEXT = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")  # dates, and a lone `=`


def dotted(loc: Loc) -> str:
    """`models.judge`, `principles[3].id`."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def is_unicode(text: str) -> bool:
    """Whether the text can be written as UTF-8: a lone surrogate cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Loader(yaml.SafeLoader):
    """SafeLoader without dates and `=`: unquoted ones stay the text that was written."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the base class has it
        first: [(tag, rule) for tag, rule in rules if tag not in _TEXT]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """As the base class, which would recurse until Python's own limit."""
        self.depth += 1
        if self.depth > _DEEPEST:
            what = f"it is nested more than {_DEEPEST} deep"
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, what, mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class YamlValues:
    """One reading of a YAML text.

    Attributes:
        spot: names a place in faults.
        places: line and column (from 1) by location.
        faults: what is wrong in a text that is YAML all the same.
    """

    def __init__(self, spot: Callable[[yaml.Mark], str]) -> None:
        self.spot = spot
        self.places: dict[Loc, tuple[int, int]] = {}
        self.faults: list[Fault] = []
        self._count = 0
        self._told: set[tuple[int, str]] = set()

    def read(self, text: str) -> Any:
        """Dicts, lists, strings, numbers, booleans and None.

        Raises:
            yaml.YAMLError: it is not YAML, or nested or repeated beyond all measure.
        """
        loader = _Loader(text)
        node = loader.get_single_node()
        return None if node is None else self._value(loader, node, ())

    def _step(self, node: yaml.Node, depth: int) -> None:
        """Bound the work: aliases make much, or endlessly much, of few lines."""
        self._count += 1
        if depth > _DEEPEST or self._count > _MOST_VALUES:
            what = "it refers to itself, or has too many values"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)

    def _value(self, loader: _Loader, node: yaml.Node, loc: Loc) -> Any:
        self._step(node, len(loc))
        self.places.setdefault(loc, _at(node))
        known = _PLAIN if isinstance(node, yaml.CollectionNode) else loader.yaml_constructors
        if node.tag not in known:
            what = f"has the tag {node.tag.removeprefix('tag:yaml.org,2002:')}"
            return self._fault(node, loc, what, "remove the tag")
        if isinstance(node, yaml.MappingNode):
            pairs = self._items(node, loc, len(loc))
            self.places |= {(*loc, key): _at(key_node) for key, (key_node, _) in pairs.items()}
            return {key: self._value(loader, item, (*loc, key)) for key, (_, item) in pairs.items()}
        if isinstance(node, yaml.SequenceNode):
            items = enumerate(node.value)
            return [self._value(loader, item, (*loc, index)) for index, item in items]
        try:
            value = loader.construct_object(node, deep=True)
        except (ValueError, LookupError, AttributeError):
            # What PyYAML's own constructors raise on `!!int x`, `0b_` and the like.
            what = f"cannot be read as {node.tag.rpartition(':')[2]}"
            return self._fault(node, loc, what, "quote it to make it text")
        if isinstance(value, str) and not is_unicode(value):
            return self._fault(node, loc, "has half a character", "write the character itself")
        if _misread(node, value):
            what = f"{node.value} is {value} in YAML"
            fix = "write the number that is meant, or quote it to make it text"
            return self._fault(node, loc, what, fix)
        return value

    def _items(self, node: yaml.MappingNode, loc: Loc, depth: int) -> _Items:
        """Nodes of keys and values of a mapping; its own keys go before those that `<<` brings."""
        own: _Items = {}
        merged: _Items = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged = {**self._merged(value_node, loc, depth), **merged}
            elif not isinstance(key_node, yaml.ScalarNode) or not is_unicode(key):
                self._fault(key_node, loc, "has a key that is no text", "write a key of letters")
            elif key in own:
                first = own[key][0].start_mark.line + 1
                what = f'the key "{key}" stands here a second time (first in line {first})'
                self._fault(key_node, (*loc, key), what, "keep one of them")
            else:
                own[key] = (key_node, value_node)
        return own | {key: pair for key, pair in merged.items() if key not in own}

    def _merged(self, node: yaml.Node, loc: Loc, depth: int) -> _Items:
        """What `<<` brings in: keys of a mapping, or of several, the first to have one wins."""
        self._step(node, depth)
        if isinstance(node, yaml.SequenceNode):
            found: _Items = {}
            for source in node.value:
                found = {**self._merged(source, loc, depth + 1), **found}
            return found
        if not isinstance(node, yaml.MappingNode):
            what = "expected a mapping, or a list of mappings, after <<"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
        return self._items(node, loc, depth + 1)

    def _fault(self, node: yaml.Node, loc: Loc, what: str, fix: str) -> None:
        # What is merged or referred to is read in more places than it is written in.
        if (node.start_mark.index, what) not in self._told:
            self._told.add((node.start_mark.index, what))
            self.faults.append(Fault(self.spot(node.start_mark), dotted(loc), what, fix))


def _at(node: yaml.Node) -> tuple[int, int]:
    """Line and column of a node, from 1."""
    return node.start_mark.line + 1, node.start_mark.column + 1


def _misread(node: yaml.Node, value: Any) -> bool:
    """Whether it is a number in base 8 or 60, which YAML 1.2, editors and people read otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    text = node.value.replace("_", "").lstrip("+-")
    return ":" in text or (text.isdecimal() and int(text) != abs(value))

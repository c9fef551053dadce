"""Plain values of a YAML text, with the place of each and every fault on the way.

Stricter than PyYAML: a key twice is a fault, dates stay text, and neither aliases nor nesting
can exhaust memory or the stack.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from charter.errors import Fault

__all__ = ["Loc", "YamlValues", "dotted", "is_unicode"]

Loc = tuple[str | int, ...]
# No settings come near these; a text that does is an accident, or made to exhaust memory.
_DEEPEST = 60
_MOST_VALUES = 100_000


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
    """SafeLoader without dates: an unquoted date stays the text that was written."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the base class has it
        first: [(tag, rule) for tag, rule in rules if tag != "tag:yaml.org,2002:timestamp"]
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
        self.places.setdefault(loc, (node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, yaml.CollectionNode) and not node.tag.endswith((":map", ":seq")):
            what = f"has the tag {node.tag.removeprefix('tag:yaml.org,2002:')}"
            return self._fault(node, loc, what, "remove the tag")
        if isinstance(node, yaml.MappingNode):
            return {
                key: self._value(loader, value, (*loc, key))
                for key, value in self._items(node, loc).items()
            }
        if isinstance(node, yaml.SequenceNode):
            items = enumerate(node.value)
            return [self._value(loader, item, (*loc, index)) for index, item in items]
        try:
            value = loader.construct_object(node, deep=True)
        except (ValueError, KeyError, AttributeError):
            # What PyYAML's own constructors raise on `!!int x`, `0b_` and the like.
            what = f"cannot be read as {node.tag.rpartition(':')[2]}"
            return self._fault(node, loc, what, "quote it to make it text")
        if isinstance(value, str) and not is_unicode(value):
            return self._fault(node, loc, "has half a character", "write the character itself")
        return value

    def _items(self, node: yaml.MappingNode, loc: Loc) -> dict[str, yaml.Node]:
        """Keys and values of a mapping; its own keys before those it merges in with `<<`."""
        own: dict[str, yaml.Node] = {}
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                for key, pair in self._merged(value_node, len(loc)).items():
                    merged.setdefault(key, pair)
                continue
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or not is_unicode(key):
                self._fault(key_node, loc, "has a key that is no text", "write a key of letters")
            elif key in own:
                first = self.places[(*loc, key)][0]
                what = f'the key "{key}" stands here a second time (first in line {first})'
                self._fault(key_node, (*loc, key), what, "keep one of them")
            else:
                own[key] = value_node
                self._note((*loc, key), key_node)
        for key, (key_node, value_node) in merged.items():
            if key not in own:
                own[key] = value_node
                self._note((*loc, key), key_node)
        return own

    def _merged(self, node: yaml.Node, depth: int) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """What `<<` brings in: keys of a mapping, or of several, the first to have one wins."""
        self._step(node, depth)
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        if isinstance(node, yaml.SequenceNode):
            for source in node.value:
                found = {**self._merged(source, depth + 1), **found}
            return found
        if not isinstance(node, yaml.MappingNode):
            what = "expected a mapping, or a list of mappings, after <<"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                found = {**self._merged(value_node, depth + 1), **found}
            elif isinstance(key_node, yaml.ScalarNode):
                found[key_node.value] = (key_node, value_node)
        return found

    def _note(self, loc: Loc, node: yaml.Node) -> None:
        self.places[loc] = (node.start_mark.line + 1, node.start_mark.column + 1)

    def _fault(self, node: yaml.Node, loc: Loc, what: str, fix: str) -> None:
        self.faults.append(Fault(self.spot(node.start_mark), dotted(loc), what, fix))

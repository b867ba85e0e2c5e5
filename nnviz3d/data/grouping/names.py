"""Groups that the names of layers tell: nested models, numbered blocks, and cells numbered at the end.

- ``backbone/block/conv`` is in the groups ``backbone`` and ``backbone/block``: a nested model or composite layer.
- ``conv2_block3_1_bn`` is in ``conv2`` and ``conv2_block3``: a prefix that ends in a number, with other such prefixes.
- ``normal_add_2_12`` is in ``cell 12``: many different names with one number at their end.

The names that Keras gives by itself, such as ``conv2d_17``, tell nothing.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from nnviz3d.data.graph import LayerNode

Key = tuple[str, ...]
"""Identity of a group by name. The last part is its id."""
_LEAST_OF_PREFIX = 4
"""Minimum number of layers whose names share a numbered prefix."""
_LEAST_OF_SUFFIX = 8
"""Minimum number of layers whose names share a number at the end."""
_LEAST_CELLS = 3
"""Minimum number of such numbers."""
_SHARE_OF_WORD = 0.25
"""Share of the layers with a number at the end from which the word before the number counts too: ``stem_1``."""
_MOST_SPREAD = 2.5
"""Maximum length of the stretch of the graph that holds the layers of a prefix, as a multiple of their number."""
_TOKEN = re.compile(r"[^_]+")
_LETTERED = re.compile(r"(.*[A-Za-z]\d+)[a-z]$")
_NUMBER = re.compile(r".*\d")


def keys_of(nodes: Iterable[LayerNode]) -> dict[str, tuple[Key, ...]]:
    """Return the groups of each node that its name tells, the outermost first, by node id."""
    nodes = tuple(nodes)
    scopes = {node.id: _scopes(node) for node in nodes}
    prefixes = {node.id: _prefixes(node) for node in nodes if not is_default(node)}
    members: defaultdict[Key, list[int]] = defaultdict(list)
    for i, node in enumerate(nodes):
        for key in prefixes.get(node.id, ()):
            members[key].append(i)
    numbered = Counter(map(_stem, members))
    useful = {
        key
        for key, found in members.items()
        if len(found) >= _LEAST_OF_PREFIX
        and numbered[_stem(key)] > 1
        and found[-1] - found[0] < _MOST_SPREAD * len(found)
    }
    found = {name: tuple(key for key in keys if key in useful) for name, keys in prefixes.items()}
    cells = _cells([node for node in nodes if not found.get(node.id) and not is_default(node)])
    return {
        node.id: (*scopes[node.id], *(found.get(node.id) or ((cells[node.id],) if node.id in cells else ())))
        for node in nodes
    }


def _scopes(node: LayerNode) -> list[Key]:
    """Return the nested models and composite layers around a node; each call of a shared one is a group."""
    parts = node.group.split("/") if node.group else []
    call = f"@{node.call}" if node.call else ""
    return [("scope", "/".join(parts[: k + 1]) + call) for k in range(len(parts))]


def _prefixes(node: LayerNode) -> list[Key]:
    """Return the prefixes of a name that end in a number, and of ``block3b_conv`` also ``block3``."""
    name = node.path.rpartition("/")[2]
    scope = node.id[: len(node.id) - len(node.name)]
    ends = []
    for token in _TOKEN.finditer(name):
        rest = name[token.end() + 1 :]
        if not _NUMBER.fullmatch(token[0]) and not _LETTERED.fullmatch(token[0]):
            continue
        if rest.isdigit():  # the number of a name that is used several times
            continue
        lettered = _LETTERED.fullmatch(token[0])
        if lettered is not None:
            ends.append(name[: token.start()] + lettered[1])
        ends.append(name[: token.end()])
    call = f"@{node.call}" if node.call else ""
    return [("prefix", scope, end + call) for end in ends]


def _stem(key: Key) -> tuple[str, str]:
    """Return a prefix without its number; prefixes with the same stem are numbered blocks of one kind."""
    name = key[-1]
    lettered = _LETTERED.fullmatch(name)
    return key[1], name[:-1] if lettered else re.sub(r"\d+(@\d+)?$", "", name)


def _cells(nodes: Iterable[LayerNode]) -> dict[str, Key]:
    """Return the cell of each node whose name ends in a number that many different names share."""
    ends: dict[str, tuple[str, str, str]] = {}
    for node in nodes:
        tokens = node.name.split("_")
        if len(tokens) > 2 and tokens[-1].isdigit():
            ends[node.id] = (node.group, tokens[-2], tokens[-1])
    by_number = Counter((scope, number) for scope, _, number in ends.values())
    by_word = Counter(ends.values())
    keys: dict[str, Key] = {}
    for name, (scope, word, number) in ends.items():
        counts = by_word[scope, word, number]
        worded = counts >= _LEAST_OF_SUFFIX and counts >= _SHARE_OF_WORD * by_number[scope, number]
        keys[name] = ("cell", scope, f"{word}_{number}" if worded else f"cell {number}")
    sizes = Counter(keys.values())
    large = {key for key, count in sizes.items() if count >= _LEAST_OF_SUFFIX}
    return {name: key for name, key in keys.items() if key in large} if len(large) >= _LEAST_CELLS else {}


def is_default(node: LayerNode) -> bool:
    """Whether a node has the name that Keras gives by itself: its class in snake case, and a number."""
    name = re.sub(r"_\d+$", "", node.path.rpartition("/")[2])
    snake = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", node.kind)).lower()
    return name == snake


def id_of(key: Key) -> str:
    """Return the id of the group of a key."""
    return key[-1] if key[0] == "scope" else f"{key[1]}{'/' if key[0] == 'cell' and key[1] else ''}{key[-1]}"


def levels(keys: Mapping[str, tuple[Key, ...]], members: Iterable[str], inside: frozenset[Key]) -> dict[Key, list[str]]:
    """Sort nodes by the outermost of their groups that they are not yet inside; nodes without one are left out."""
    found: dict[Key, list[str]] = {}
    for name in members:
        key = next((key for key in keys[name] if key not in inside), None)
        if key is not None:
            found.setdefault(key, []).append(name)
    return found

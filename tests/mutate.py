"""Seeded damage to plain containers, for tests of what is read from run folders."""

import copy
import random
from typing import Any

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 2**31, 2**63, 10**30, 0.5, -0.5, 1e-300, 1e300, 1e6, float("nan")),
    *(float("inf"), "", "a", "text", "\x00", "\x1b[31m", "a" * 5000, "${oc.env:HOME}", "${oc.decode:'{a: 1}'}"),
    *("${x}", "???", [], {}, [None], ["a"], [1, 2], [0.4] * 5, {"a": 1}, {"_target_": "os.mkdir"}, "os.mkdir"),
)
DEEP = 200  # lists inside one another


def mutated(content: Any, rng: random.Random) -> Any:
    """Return a copy of nested dicts and lists with one value or more replaced, removed, added or made too large."""
    content = copy.deepcopy(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        places = list(_places(content))
        if places:
            _damage(*rng.choice(places), rng)
    return content


def _places(node: Any) -> Any:
    for key, child in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(child, dict | list):
            yield from _places(child)


def _damage(node: Any, key: Any, rng: random.Random) -> None:
    value, kind = node[key], rng.randrange(8)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, dict):
        node[rng.choice(("x", "", "hydra", "_args_", "_partial_", "${x}"))] = node.pop(key)
    elif kind == 2 and isinstance(value, int | float) and not isinstance(value, bool):
        node[key] = rng.choice((-1, 10, 1000, 10**6, 10**12)) * value
    elif kind == 3:
        node[key] = [value] * rng.choice((1, 2, 100))
    elif kind == 4 and isinstance(node, list):
        node.insert(0, value)
    elif kind == 5 and rng.random() < 0.2:
        node[key] = deep()
    else:
        node[key] = copy.deepcopy(rng.choice(ODD))


def deep() -> Any:
    """Return lists inside one another."""
    node: list[Any] = []
    for _ in range(DEEP):
        node = [node]
    return node

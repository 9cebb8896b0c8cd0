"""`build(node)` turns a `_target_` node into an object; the only caller of `instantiate`.

A `_target_` may come from a card that somebody sent, so it is allow-listed twice: by its path, and by the module in
which the thing it leads to was defined (`rooftop.run.subprocess.run` has a good path and a bad home). It leads to a
class, or to a function of ours: `pytorch_lightning.LightningModule.load_from_checkpoint` would run what is pickled in a
file. A card may name networks only.
"""

import difflib
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from rooftop.errors import ConfigError, RooftopError

ALLOWED = ("rooftop", "torch.nn", "torch.optim", "pytorch_lightning", "albumentations")
NETWORKS = ("rooftop.models", "torch.nn")  # of a card
OURS = "rooftop"
ALLOW_VARIABLE = "ROOFTOP_ALLOW"  # more packages, comma-separated: a person's own networks and losses


def trusted_packages() -> tuple[str, ...]:
    """Further packages whose classes and functions a person lets a `_target_` name."""
    return tuple(name.strip() for name in os.environ.get(ALLOW_VARIABLE, "").split(",") if name.strip())


def locate(target: str, key: str, packages: tuple[str, ...] = ALLOWED) -> Callable[..., Any]:
    """Return the class or function a `_target_` names.

    Raises:
        ConfigError: outside the allow-list, or no such name; the sentence says what to do.
    """
    allowed = (*packages, *trusted_packages())
    if not _inside(target, allowed):
        raise ConfigError(
            f"{key}._target_={target} is outside the allowed packages ({', '.join(allowed)}); "
            f"set {ALLOW_VARIABLE}=package if you trust it."
        )
    try:
        found: Any = get_object(target)
    except Exception as error:
        raise ConfigError(f"{key}._target_={target} cannot be imported: {_first_line(error)}") from error
    home = getattr(found, "__module__", None) or ""
    if not callable(found) or not _inside(home, allowed):
        raise ConfigError(f"{key}._target_={target} leads to {home or 'a value'}, outside the allowed packages.")
    plain_function = inspect.isfunction(found) and "." not in found.__qualname__
    if not inspect.isclass(found) and not (plain_function and _inside(home, (OURS, *trusted_packages()))):
        raise ConfigError(f"{key}._target_={target} is no class of the allowed packages; name a class.")
    return found  # type: ignore[no-any-return]


def _inside(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def targets(node: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (key, node) of each `_target_` node at or below `node`, which is a plain container."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield key, node
        for name, child in node.items():
            yield from targets(child, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for place, child in enumerate(node):
            yield from targets(child, f"{key}[{place}]")


def check_target(key: str, node: Mapping[str, Any]) -> None:
    """Hold the keys of a `_target_` node against the signature of its target.

    Raises:
        ConfigError: a key that the target does not take, with the nearest that it does.
    """
    found = locate(str(node["_target_"]), key)
    try:
        parameters = inspect.signature(found).parameters
    except (TypeError, ValueError):
        return
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    for name in node:
        if not str(name).startswith("_") and name not in parameters:
            raise ConfigError(unknown_key(f"{key}.{name}", [f"{key}.{known}" for known in parameters]))


def unknown_key(key: str, known: list[str]) -> str:
    """One sentence on a key that does not exist, naming the nearest that does."""
    known = [name for name in known if name != key]
    inside = sorted((name for name in known if name.endswith(f".{key}")), key=len)
    near = inside or difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    parent = key.rpartition(".")[0]
    level = sorted({name for name in known if name.rpartition(".")[0] == parent})
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(level or sorted({*known}))}."
    return f"unknown configuration key {key}: {hint}"


def build_network(node: Mapping[str, Any], key: str) -> Any:
    """Instantiate the network of a card: as `build`, but nothing in it may lead to anything else than networks."""
    for where, target in targets(node, key):
        locate(str(target["_target_"]), where, NETWORKS)
    return build(node, key)


def build(node: Any, key: str, **arguments: Any) -> Any:
    """Instantiate a `_target_` node (with everything below it); `arguments` are handed to the topmost target.

    Args:
        node: a node of the configuration or a plain mapping with `_target_`; None gives None.
        key: where the node stands, for messages.
        arguments: objects which YAML cannot hold.

    Raises:
        ConfigError: a target outside the allow-list, or one that refuses its values.
    """
    if node is None:
        return None
    plain = OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig) else node
    for where, target in targets(plain, key):
        locate(str(target["_target_"]), where)
    try:
        return instantiate(plain, **arguments, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, RooftopError):
            raise cause from error
        raise ConfigError(f"{key}: {_first_line(cause or error)}") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

"""`build(node)` turns a `_target_` node into an object.

Hydra's `instantiate` is not used: it resolves the interpolations of plain containers, after any check of them, and
`${oc.create:...}` in the card of a stranger would name any `_target_`. Here a node is data: what is checked is called.

A `_target_` may come from the card of a stranger. It is allow-listed twice: by its path, and by the module that defines
the object (`rooftop.run.subprocess.run` has a good path and a bad home). It must be a class or a function of ours:
`pytorch_lightning.LightningModule.load_from_checkpoint` would run code pickled in a file. A card may name only
networks.
"""

import difflib
import functools
import importlib.util
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rooftop.errors import ConfigError, RooftopError

ALLOWED = (
    *("rooftop", "torch.nn", "torch.optim", "pytorch_lightning", "albumentations"),
    *("segmentation_models_pytorch.losses", "torchmetrics.classification", "torchmetrics.segmentation"),
)
NETWORKS = ("rooftop.models", "torch.nn")  # allowed in a card
OURS = "rooftop"
EXTRAS = {  # targets that need a package beside their own, the name of its extra too
    "pytorch_lightning.loggers.MLFlowLogger": "mlflow",
    "pytorch_lightning.loggers.WandbLogger": "wandb",
}
MOST_LETTERS = 300  # of a library's message; it may repeat a value of any length
ALLOW_VARIABLE = "ROOFTOP_ALLOW"  # comma-separated packages of the user: own networks and losses


def trusted_packages() -> tuple[str, ...]:
    """Return the packages the user trusts as `_target_`, from the environment."""
    return tuple(name.strip() for name in os.environ.get(ALLOW_VARIABLE, "").split(",") if name.strip())


def locate(target: str, key: str, packages: tuple[str, ...] = ALLOWED) -> Callable[..., Any]:
    """Return the class or function of a `_target_`.

    Args:
        target: dotted path.
        key: key of the node, for messages.
        packages: allowed packages, besides the trusted ones of the user.

    Raises:
        ConfigError: the path is outside the allow-list, or does not exist.
    """
    allowed, shown = (*packages, *trusted_packages()), target[:MOST_LETTERS]
    if not _inside(target, allowed):
        raise ConfigError(
            f"{key}._target_={shown} is outside the allowed packages ({', '.join(allowed)}); "
            f"set {ALLOW_VARIABLE}=package if you trust it."
        )
    try:
        found = _object_at(target)
    except Exception as error:
        raise ConfigError(f"{key}._target_={shown} cannot be imported: {_first_line(error)}") from error
    home = getattr(found, "__module__", None) or ""
    if not callable(found) or not _inside(home, allowed):
        raise ConfigError(f"{key}._target_={shown} is defined in {home or 'no module'}, outside the allowed packages.")
    plain_function = inspect.isfunction(found) and "." not in found.__qualname__
    if not inspect.isclass(found) and not (plain_function and _inside(home, (OURS, *trusted_packages()))):
        raise ConfigError(f"{key}._target_={shown} is not a class of the allowed packages; name a class.")
    return found  # type: ignore[no-any-return]


def _object_at(target: str) -> Any:
    """Import the longest module of a dotted path, and take the rest from it.

    Raises:
        ImportError: no such module or name; the message has the nearest name.
    """
    names = target.split(".")
    for i in range(len(names) - 1, 0, -1):
        module = ".".join(names[:i])
        try:
            found: Any = importlib.import_module(module)
            break
        except ModuleNotFoundError as error:
            if i == 1 or not f"{module}.".startswith(f"{error.name}."):  # a module that this one needs
                raise
    else:
        raise ImportError("name a module and a class in it: MODULE.CLASS")
    for name in names[i:]:
        if not hasattr(found, name):
            near = difflib.get_close_matches(name, dir(found), n=1)
            raise ImportError(f"{module} has no {name}" + (f"; did you mean {near[0]}?" if near else ""))
        found = getattr(found, name)
    return found


def _inside(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def targets(node: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (key, node) of each `_target_` node in a plain container, the container itself included."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield key, node
        for name, child in node.items():
            yield from targets(child, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for i, child in enumerate(node):
            yield from targets(child, f"{key}[{i}]")


def check_target(key: str, node: Mapping[str, Any]) -> None:
    """Check the keys of a `_target_` node against the signature of its target.

    Raises:
        ConfigError: an unknown argument; the message contains the nearest known one. Or a package of an extra is not
            installed.
    """
    found = locate(str(node["_target_"]), key)
    package = EXTRAS.get(str(node["_target_"]))
    if package and importlib.util.find_spec(package) is None:
        raise ConfigError(f"{key} needs the package {package}, which is not installed; pip install -e '.[{package}]'.")
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
    """Describe an unknown key in one sentence, with the nearest known one."""
    known = [name for name in known if name != key]
    inside = sorted((name for name in known if name.endswith(f".{key}")), key=len)
    near = inside or difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    parent = key.rpartition(".")[0]
    level = sorted({name for name in known if name.rpartition(".")[0] == parent})
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(level or sorted({*known}))}."
    return f"unknown configuration key {key}: {hint}"


def build_network(node: Mapping[str, Any], key: str) -> Any:
    """Instantiate the network of a card: like `build`, but only networks are allowed inside."""
    for inner, target in targets(node, key):
        locate(str(target["_target_"]), inner, NETWORKS)
    try:
        return build(node, key)
    except ConfigError as error:
        raise ConfigError(f"{error}; copy the run folder again.") from error


def build(node: Any, key: str, **arguments: Any) -> Any:
    """Instantiate a `_target_` node and all nodes below it.

    `_args_` (positional arguments) and `_partial_` (a function of the other arguments) mean what they mean in Hydra.

    Args:
        node: node of the configuration or plain mapping with `_target_`; None gives None. Interpolations of a
            configuration are resolved; in a plain mapping `${...}` is a text like any other.
        key: key of the node, for messages.
        arguments: further arguments of the topmost target, for objects that YAML cannot express.

    Raises:
        ConfigError: a target is outside the allow-list or rejects its values.
    """
    plain = OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig) else node
    for inner, target in targets(plain, key):
        locate(str(target["_target_"]), inner)
    try:
        return _construct(plain, key, **arguments)
    except RooftopError:
        raise
    except Exception as error:  # of the constructor
        raise ConfigError(f"{key}: {_first_line(error)}") from error


def _construct(node: Any, key: str, **arguments: Any) -> Any:
    """Call the target of a plain node with its values; inner nodes come first."""
    if isinstance(node, list):
        return [_construct(child, key) for child in node]
    if not isinstance(node, Mapping):
        return node
    values = {str(name): _construct(child, key) for name, child in node.items()}
    if "_target_" not in values:
        return values
    target = locate(str(values.pop("_target_")), key)
    positional, partial = values.pop("_args_", []), values.pop("_partial_", False)
    values.pop("_convert_", None)  # every value is plain already
    make = functools.partial(target, *positional, **{**values, **arguments})
    return make if partial else make()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:MOST_LETTERS]

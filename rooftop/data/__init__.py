"""Data sets: pictures paired with truth, split by place, augmented, normalised, batched."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rooftop.data.datamodule import RoofDataModule
    from rooftop.data.prepare import Preparation

__all__ = ["Preparation", "RoofDataModule"]


def __getattr__(name: str) -> Any:
    """Import torch, a matter of seconds, only on demand; `layout` works without it."""
    module = {"RoofDataModule": "datamodule", "Preparation": "prepare"}.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)

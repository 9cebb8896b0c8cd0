"""Atomic checkpoints; a moved run folder can be resumed."""

import io
import os
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from rooftop.files import atomic_write


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside the old one and renames it; Lightning's writer truncates the old one first.

    Reading adapts the stored paths to the folder of the checkpoint. Otherwise Lightning forgets the best score of a
    moved or copied run, and the next epoch replaces better weights.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint to a local path.

        Raises:
            RooftopError: no space left on the disk.
        """
        buffer = io.BytesIO()  # a full disk: torch reports an unexpected position, atomic_write reports it plainly
        torch.save(checkpoint, buffer)
        with atomic_write(Path(path)) as part:
            part.write_bytes(buffer.getbuffer())

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a checkpoint from a local path."""
        content = super().load_checkpoint(path, *args, **kwargs)
        for state in content.get("callbacks", {}).values():
            before = state.get("dirpath") if isinstance(state, dict) else None
            if before and Path(before).name == Path(path).parent.name:
                now = os.path.realpath(Path(path).parent)  # as Lightning names the folder
                state |= {key: _moved(value, before, now) for key, value in state.items()}
        return content


def _moved(value: Any, before: str, now: str) -> Any:
    """Replace the start of each path in the state of a callback."""
    if isinstance(value, dict):
        return {_moved(key, before, now): child for key, child in value.items()}
    return now + value.removeprefix(before) if isinstance(value, str) and value.startswith(before) else value

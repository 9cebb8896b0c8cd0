"""Checkpoints that appear whole or not at all, and that may be gone on with in another folder."""

import io
import os
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from rooftop.files import atomic_write


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside and renames. Lightning's own writer truncates the old file before it has written the new one.

    What it reads believes to have been written where it lies now: Lightning forgets the best score of a run whose
    folder was moved or copied, and would let the next epoch take the place of a better one.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint to a local path.

        Raises:
            RooftopError: no space left on the disk.
        """
        buffer = io.BytesIO()  # torch's own writer says of a full disk only that a position is unexpected
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

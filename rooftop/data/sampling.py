"""Which picture comes when: batches of keys that say all that a picture's preparation depends on.

A key carries epoch and picture, so that loading is a pure function of it: the result does not depend on the number of
workers, and a run that was stopped and goes on sees the same pictures.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Key(NamedTuple):
    """One picture of a batch.

    Attributes:
        picture: its index in the split.
        epoch: the draw of the augmentation; None: no augmentation.
        counts: False for the copies that only fill up the last round of several ranks; they are invalid throughout.
    """

    picture: int
    epoch: int | None = None
    counts: bool = True


class TrainingBatches:
    """Shuffled batches for one rank; each epoch has its own order.

    Every rank gets the same number of batches, since gradients are exchanged; a rank without pictures repeats one.

    Args:
        length: pictures in the split.
        batch_size: pictures a batch and rank.
        seed: of the run.
        rank: of this process.
        ranks: processes in all.
    """

    def __init__(self, length: int, batch_size: int, *, seed: int, rank: int = 0, ranks: int = 1) -> None:
        self.length, self.batch_size = length, batch_size
        self.seed, self.rank, self.ranks = seed, rank, ranks
        self.epoch = 0
        self.sampler = self  # where Lightning looks for set_epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose the order; Lightning calls this at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.length // (self.batch_size * self.ranks))

    def __iter__(self) -> Iterator[list[Key]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.length)
        step = self.batch_size * self.ranks
        for start in range(0, self.length, step):
            chunk = order[start : start + step]
            mine = chunk[self.rank :: self.ranks]
            if len(mine) == 0:
                mine = order[self.rank : self.rank + 1]
            yield [Key(int(i), self.epoch) for i in mine]


class EvaluationBatches:
    """All pictures once, in batches of one picture size, so that nothing is padded and no score depends on the batch.

    Ranks take turns. A rank that would run out first repeats a batch that does not count.
    """

    def __init__(self, sizes: NDArray[np.int32], batch_size: int, *, rank: int = 0, ranks: int = 1) -> None:
        _, group = np.unique(sizes, axis=0, return_inverse=True)
        self._batches: list[list[Key]] = []
        for size in range(int(group.max(initial=-1)) + 1):
            same = np.flatnonzero(group.ravel() == size)
            for start in range(0, len(same), batch_size):
                self._batches.append([Key(int(i)) for i in same[start : start + batch_size]])
        fill = -len(self._batches) % ranks
        self._batches += [[key._replace(counts=False) for key in batch] for batch in self._batches[:1] * fill]
        self._batches = self._batches[rank::ranks]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(self._batches)

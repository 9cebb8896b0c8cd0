"""The order of pictures: batches of keys.

Loading is a pure function of a key: the result does not depend on the number of workers, and a resumed run sees the
same pictures as an uninterrupted one.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rooftop.raster.windows import WHOLE


class Key(NamedTuple):
    """One picture of a batch.

    Attributes:
        picture: its index in the split.
        epoch: the draw of the augmentation; None: no augmentation.
        counts: False for copies in the last round of several ranks; they are invalid throughout.
        draw: position in the epoch's order: a picture drawn twice is augmented in two ways.
    """

    picture: int
    epoch: int | None = None
    counts: bool = True
    draw: int = 0


class TrainingBatches:
    """Shuffled batches for one rank; each epoch has its own order.

    Every rank gets the same number of batches, because ranks exchange gradients; a rank without pictures repeats
    one.

    Args:
        length: pictures in the split.
        batch_size: pictures a batch and rank.
        seed: of the run.
        rank: of this process.
        ranks: processes in all.
        draws: pictures an epoch; None: each once.
        shares: of each picture in the draws, float (length,), sum 1; None: equal, and no picture twice before all
            were drawn.
        same: every epoch is the first again, for Lightning's `overfit_batches`.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        *,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        draws: int | None = None,
        shares: NDArray[np.float64] | None = None,
        same: bool = False,
    ) -> None:
        self.length, self.batch_size = length, batch_size
        self.seed, self.rank, self.ranks = seed, rank, ranks
        self.draws, self.shares = draws or length, shares
        self.epoch, self.same = 0, same
        self.sampler = self  # where Lightning looks for set_epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose the order; Lightning calls this at the start of each epoch."""
        self.epoch = 0 if self.same else epoch

    def __len__(self) -> int:
        return -(-self.draws // (self.batch_size * self.ranks))

    def __iter__(self) -> Iterator[list[Key]]:
        order = self._order(np.random.default_rng([self.seed, self.epoch]))
        step = self.batch_size * self.ranks
        for start in range(0, self.draws, step):
            mine = range(start, min(start + step, self.draws))[self.rank :: self.ranks] or range(
                self.rank, self.rank + 1
            )
            yield [Key(int(order[draw % len(order)]), self.epoch, draw=draw) for draw in mine]

    def _order(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Pictures of the epoch, at least `draws` of them."""
        if self.shares is not None:
            return random.choice(self.length, size=self.draws, p=self.shares)
        rounds = -(-self.draws // self.length)
        return np.concatenate([random.permutation(self.length) for _ in range(rounds)])


class EvaluationBatches:
    """All pictures once, in batches of one picture size: no padding, and no score depends on the batch.

    Batches of large pictures are smaller: at most `WHOLE` pixels together. Ranks take turns. A rank with too few
    batches repeats one; the copy does not count.
    """

    def __init__(self, sizes: NDArray[np.int32], batch_size: int, *, rank: int = 0, ranks: int = 1) -> None:
        _, group = np.unique(sizes, axis=0, return_inverse=True)
        self._batches: list[list[Key]] = []
        for size in range(int(group.max(initial=-1)) + 1):
            same = np.flatnonzero(group.ravel() == size)
            most = min(batch_size, max(1, WHOLE // max(1, int(sizes[same[0]].prod(dtype=np.int64)))))
            for start in range(0, len(same), most):
                self._batches.append([Key(int(i)) for i in same[start : start + most]])
        fill = -len(self._batches) % ranks
        self._batches += [[key._replace(counts=False) for key in batch] for batch in self._batches[:1] * fill]
        self._batches = self._batches[rank::ranks]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(self._batches)

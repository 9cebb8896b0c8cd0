"""Equal ranges for all channels of a tensor, without changing what the network answers.

One scale serves all channels of an activation. Where one channel reaches 40 and another 0.5, eight bits leave the
second one three steps. Between two convolutions without a bounded activation a channel can be divided by any positive
number: the convolution before divides its filter, those after multiply theirs (cross-layer equalisation, Nagel et al.
2019, arXiv 1906.04721). This holds across sums, concatenations, ReLU and resizing too, if all channels that meet share
the number.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

_ALONG = ("LeakyRelu", "MaxPool", "Pad", "Relu", "Resize", "Slice")  # work on each channel, and keep a positive factor
Ranges = dict[str, tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]]
"""Lowest and highest value of each channel, (C,) each, by name of a tensor (B, C, H, W)."""


def equalise(model: Any, ranges: Ranges) -> Ranges:
    """Change the filters of an ONNX model in place.

    Every channel that may be scaled is divided by the square root of its peak: full division would give the filters
    after it unequal columns, which share a scale too.

    Args:
        model: onnx.ModelProto with normalisation layers folded into the convolutions.
        ranges: of the tensors between its layers.

    Returns:
        The ranges after the change.
    """
    import onnx

    channels = _Channels({name: np.maximum(-low, high) for name, (low, high) in ranges.items()})
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    uses = Counter(name for node in model.graph.node for name in node.input)
    convolutions = []
    for node in model.graph.node:
        if node.op_type == "Conv" and all(name in stored and uses[name] == 1 for name in node.input[1:]):
            convolutions.append(node)
        else:
            channels.pass_through(node)
    for tensor in (*model.graph.input, *model.graph.output):
        channels.fix(tensor.name)
    scales = channels.scales()
    for node in convolutions:
        filters = onnx.numpy_helper.to_array(stored[node.input[1]]).astype(np.float64)
        if node.input[0] in scales:
            before = scales[node.input[0]]
            groups = filters.shape[1] != len(before)  # then each filter sees the channels of its group only
            filters *= _by_group(filters, before) if groups else before[None, :, None, None]
        if node.output[0] in scales:
            after = scales[node.output[0]]
            filters /= after[:, None, None, None]
            for name in node.input[2:]:
                _put(stored[name], onnx.numpy_helper.to_array(stored[name]) / after)
        _put(stored[node.input[1]], filters)
    return {name: (low / scales[name], high / scales[name]) for name, (low, high) in ranges.items()}


def _by_group(filters: NDArray[np.float64], scales: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scales of the input channels (C,) as filters (D, C / groups, h, w) see them."""
    seen = scales.reshape(-1, filters.shape[1])
    return np.repeat(seen, len(filters) // len(seen), axis=0)[:, :, None, None]


def _put(tensor: Any, values: NDArray[Any]) -> None:
    import onnx

    tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), tensor.name))


class _Channels:
    """The channels of all tensors, and which of them must share a scale.

    Args:
        peaks: largest absolute value of each channel, (C,), by name of a tensor.
    """

    def __init__(self, peaks: dict[str, NDArray[Any]]) -> None:
        starts = np.cumsum([0, *map(len, peaks.values())])
        self._numbers = {name: np.arange(*ends) for name, *ends in zip(peaks, starts[:-1], starts[1:], strict=True)}
        self._peaks = np.concatenate([*peaks.values(), np.zeros(0)])
        self._fixed = np.zeros(len(self._peaks), bool)
        self._same: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []

    def fix(self, *names: str) -> None:
        """Let the channels of these tensors as they are."""
        for name in names:
            if name in self._numbers:
                self._fixed[self._numbers[name]] = True

    def pass_through(self, node: Any) -> None:
        """Tie the channels before and after a node, or fix both if it is not known to keep a factor."""
        pairs = self._pairs(node)
        if pairs:
            self._same += pairs
        else:
            self.fix(*node.input, *node.output)

    def _pairs(self, node: Any) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        data: Sequence[str] = node.input[:1] if node.op_type in _ALONG else node.input
        if node.op_type not in (*_ALONG, "Add", "Concat") or not {*data, node.output[0]} <= self._numbers.keys():
            return []
        before, after = [self._numbers[name] for name in data], self._numbers[node.output[0]]
        if node.op_type == "Concat":
            before = [np.concatenate(before)]
        return [(numbers, after) for numbers in before] if all(len(n) == len(after) for n in before) else []

    def scales(self) -> dict[str, NDArray[np.float64]]:
        """Return the factor to divide each channel by, float64 (C,) by tensor; 1 for what is fixed or always 0."""
        none, size = np.zeros(0, np.int64), len(self._peaks)
        before, after = (np.concatenate([none, *(pair[side] for pair in self._same)]) for side in (0, 1))
        ties = coo_matrix((np.ones(len(before)), (before, after)), (size, size))
        count, group = connected_components(ties, directed=False)
        peak, fixed = np.zeros(count), np.zeros(count, bool)
        np.maximum.at(peak, group, self._peaks)
        np.logical_or.at(fixed, group, self._fixed)
        scale = np.where(fixed | (peak < 1e-6), 1.0, np.sqrt(peak))[group]
        return {name: scale[numbers] for name, numbers in self._numbers.items()}

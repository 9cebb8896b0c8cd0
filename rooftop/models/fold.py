"""Fold batch norm into the convolution before it: the same map with one pass over memory less."""

import copy
from collections.abc import Iterator
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rooftop.models.efficientnet import EfficientNetLite, InvertedResidual

IN_ORDER = nn.Sequential, InvertedResidual, EfficientNetLite  # what runs in the order in which it is registered
KNOWN = "rooftop.", "torch.nn."  # homes of modules looked into: others may use the parts of a Sequential one by one


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Copy a network in evaluation mode, with each batch norm after a convolution folded into the convolution.

    Logits agree up to rounding. The copy is only for prediction: do not train it or save it as a run. Modules of other
    libraries stay as they are.
    """
    network = copy.deepcopy(network).eval()
    for chain in [module for module in _known(network) if isinstance(module, IN_ORDER)]:
        for (name, first), (after, second) in pairwise(list(chain.named_children())):
            if type(first) is nn.Conv2d and type(second) is nn.BatchNorm2d:  # a subclass may do more
                setattr(chain, name, fuse_conv_bn_eval(first, second))
                setattr(chain, after, nn.Identity())
    return network


def _known(module: nn.Module) -> Iterator[nn.Module]:
    """Yield a module and those below it, down to modules of other libraries."""
    if type(module).__module__.startswith(KNOWN):
        yield module
        for child in module.children():
            yield from _known(child)

import pytest
import torch
import torch.nn.functional as F

from rooftop.models.blocks import BilinearUp, DenseGradient


@pytest.mark.parametrize("form", [torch.channels_last, torch.contiguous_format], ids=["last", "first"])
def test_gradient_of_a_slice_is_dense_and_the_same(form):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 5, 7).contiguous(memory_format=form).requires_grad_()
    other, weight = torch.randn(2, 4, 10, 14).contiguous(memory_format=form), torch.randn(2, 7, 10, 14)
    seen, found = [], []
    for wrap in (lambda y: y, DenseGradient.apply):
        x.grad = None
        y = F.interpolate(x, scale_factor=2.0, mode="bilinear")
        y.register_hook(lambda gradient: seen.append(gradient.is_contiguous(memory_format=form)))
        (torch.cat([other, wrap(y)], dim=1) * weight.contiguous(memory_format=form)).sum().backward()
        found.append(x.grad.clone())
    assert seen == [False, True]
    torch.testing.assert_close(*found)


def test_training_and_evaluation_enlarge_alike():
    torch.manual_seed(0)
    up, x = BilinearUp(6, 3), torch.randn(2, 6, 5, 7)
    assert torch.equal(up.train()(x), up.eval()(x))
    assert up(x).shape == (2, 3, 10, 14)


def test_it_compiles_in_one_piece():
    up = BilinearUp(6, 3)
    compiled = torch.compile(up, backend="eager", fullgraph=True)
    x = torch.randn(2, 6, 5, 7, requires_grad=True)
    torch.testing.assert_close(compiled(x), up(x))
    compiled(x).sum().backward()
    assert x.grad is not None

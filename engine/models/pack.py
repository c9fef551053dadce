"""Linear layers with their weights laid out for oneDNN: faster reading on a CPU, same figures."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["pack_linears"]

# The layout is chosen for this many rows (a full decoding batch); it serves any number.
_ROWS = 32


class _PackedLinear(nn.Module):
    """`nn.Linear` for inference, float32, on a CPU."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), _ROWS)
        self.bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """As `nn.Linear.forward`; sums in another order, so equal within float32 rounding."""
        packed: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            states, self.weight, self.bias, "none", [], ""
        )
        return packed


def pack_linears(model: nn.Module) -> bool:
    """Replaces the linear layers of a float32 CPU model in place; it can only infer from then on.

    torch multiplies float32 matrices by MKL, which on two cores without Intel's name on them is
    1.5 to 4 times slower at 8 to 32 rows than oneDNN with prepared weights. The operators are
    those of torch's own compiler; where this build has none, nothing is changed.

    Returns:
        Whether the layers were replaced.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    try:
        _PackedLinear(nn.Linear(8, 8))(torch.zeros(2, 8))
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear:
                setattr(module, name, _PackedLinear(child))
    return True

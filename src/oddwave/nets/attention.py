"""Multi-head self-attention over a grid, at a cost that grows linearly once a stage is large.

Legend: B batch, F features, *grid = L or H, W; N query tokens (one per position), M <= max_tokens key tokens, K heads,
d_k = F / K features a head. Read `unet.py` next: it puts one on every skip connection and one at the bottleneck.
"""

import math
from functools import lru_cache

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.nets.blocks import group_norm, zeroed

__all__ = ["GridAttention", "pool_factors"]

_AVG_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d}


@lru_cache(maxsize=256)
def pool_factors(grid: tuple[int, ...], max_tokens: int) -> tuple[int, ...]:
    """Return the pooling factor of each axis that leaves at most `max_tokens` positions, as square as can be."""
    factors = [1] * len(grid)
    pooled = list(grid)
    while math.prod(pooled) > max_tokens:
        axis = max(range(len(grid)), key=pooled.__getitem__)
        factors[axis] += 1
        pooled[axis] = math.ceil(grid[axis] / factors[axis])
    return tuple(factors)


class GridAttention(nn.Module):
    """x + W^O concat_k softmax(Q_k K_k^T / sqrt(d_k)) V_k, K and V from an average-pooled grid if it is large.

    W^O starts at zero, so a new module is the identity. Keys, queries and values have no bias: a key bias would shift
    all scores of a query alike and never be trained.

    Source: Vaswani et al. 2017, section 3.2.
    """

    def __init__(self, width: int, *, grid_dims: int, num_heads: int, norm_groups: int, max_tokens: int) -> None:
        super().__init__()
        self.grid_dims = grid_dims
        self.num_heads = num_heads
        self.max_tokens = max_tokens
        self.norm = group_norm(width, norm_groups)
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.output = zeroed(nn.Linear(width, width))

    def forward(self, x: Float[Tensor, "B F *grid"]) -> Float[Tensor, "B F *grid"]:
        """Let every position gather from all (pooled) positions of its own item."""
        h = self.norm(x)
        query = self.query(_tokens(h))
        key, value = self.key_value(_tokens(self._pooled(h))).chunk(2, dim=-1)
        heads = F.scaled_dot_product_attention(self._heads(query), self._heads(key), self._heads(value))
        gathered = self.output(heads.transpose(1, 2).flatten(2))
        out: Tensor = x + gathered.transpose(1, 2).reshape(x.shape)
        return out

    def _pooled(self, h: Float[Tensor, "B F *grid"]) -> Float[Tensor, "B F *pooled"]:
        factors = pool_factors(tuple(h.shape[2:]), self.max_tokens)
        if max(factors) == 1:
            return h
        # ceil_mode keeps the rest of an axis that the factor does not divide; its mean is over the points it has.
        pooled: Tensor = _AVG_POOL[self.grid_dims](h, list(factors), ceil_mode=True)
        return pooled

    def _heads(self, tokens: Float[Tensor, "B N F"]) -> Float[Tensor, "B K N d_k"]:
        batch, count, width = tokens.shape
        return tokens.view(batch, count, self.num_heads, width // self.num_heads).transpose(1, 2)


def _tokens(x: Float[Tensor, "B F *grid"]) -> Float[Tensor, "B N F"]:
    return x.flatten(2).transpose(1, 2)

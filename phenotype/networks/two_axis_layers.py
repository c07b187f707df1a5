"""What a two-axis network is built of: standardising by training rows, and layers that members share.

Shapes: R row, E number's owner, V variable, K column, N training number, M member.

**Source:** members that share weights: Wen et al. 2020 (BatchEnsemble, 10.48550/arXiv.2002.06715), Gorishniy
et al. 2025 (TabM, 10.48550/arXiv.2410.24210).
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

LIMIT = 4.0
"""Standardised numbers are held within this many standard deviations: no outlier rules a prediction."""
SKEWED = 2.0
"""Numbers with a larger skewness are read as log(1 + what they are above the lowest)."""
_FEWEST = 20


class Scales(nn.Module):
    """Numbers with gaps, standardised by training rows; skewed ones by their logarithm.

    Args:
        shape: of the numbers, the rows' axis left out.
    """

    lowest: Tensor
    is_log: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.register_buffer("lowest", torch.zeros(shape))
        self.register_buffer("is_log", torch.zeros(shape))
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Standardised within LIMIT, 0 where absent (NaN)."""
        return self.apply_to(x, self.lowest, self.is_log, self.mean, self.scale)

    def of(self, x: Tensor, variable: Tensor) -> Tensor:
        """The same of (E, K) numbers by their variables, where the scales are (V, K)."""
        return self.apply_to(
            x, self.lowest[variable], self.is_log[variable], self.mean[variable], self.scale[variable]
        )

    def measure(self, x: Tensor, variable: Tensor) -> None:
        """Sets the scales (V, K) from training numbers (N, K) of variables (N,), where there are enough."""
        sorted_variable, order = variable.sort(stable=True)
        numbers = x.double()[order].numpy()
        ends = torch.searchsorted(sorted_variable, torch.arange(len(self.mean) + 1)).tolist()
        for number, (start, end) in enumerate(pairwise(ends)):
            for column in range(numbers.shape[1]):
                present = numbers[start:end, column]
                self._set(number, column, present[~np.isnan(present)])

    def _set(self, number: int, column: int, present: npt.NDArray[np.float64]) -> None:
        if len(present) < _FEWEST:
            return
        sd = float(present.std())
        is_log = sd > 0 and float((((present - present.mean()) / sd) ** 3).mean()) > SKEWED
        read = np.log1p(present - present.min()) if is_log else present
        self.lowest[number, column] = float(present.min())
        self.is_log[number, column] = float(is_log)
        self.mean[number, column] = float(read.mean())
        self.scale[number, column] = float(read.std()) or 1.0

    @staticmethod
    def apply_to(x: Tensor, lowest: Tensor, is_log: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
        """Standardised by these scales."""
        read = torch.where(is_log > 0, torch.log1p((x - lowest).clamp(min=0)), x)
        return ((read - mean) / scale).clamp(-LIMIT, LIMIT).nan_to_num(0.0)


class MemberLinear(nn.Module):
    """A linear layer that M members share but for scales of inputs and outputs, and biases."""

    def __init__(self, n_in: int, n_out: int, n_members: int, *, draws_signs: bool) -> None:
        super().__init__()
        bound = 1 / math.sqrt(n_in)
        self.weight = nn.Parameter(torch.empty(n_out, n_in).uniform_(-bound, bound))
        signs = torch.randn(n_members, n_in).sign() if draws_signs else torch.ones(n_members, n_in)
        self.scale_in = nn.Parameter(signs)
        self.scale_out = nn.Parameter(torch.ones(n_members, n_out))
        self.bias = nn.Parameter(torch.zeros(n_members, n_out))

    def forward(self, x: Tensor) -> Tensor:
        """(R, M, n_in) -> (R, M, n_out)."""
        return (x * self.scale_in) @ self.weight.T * self.scale_out + self.bias

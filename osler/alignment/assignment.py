"""Linear assignment."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def assign(cost_PNN: Tensor) -> Tensor:
    """The permutation of least cost for each problem, by SciPy on the CPU: microseconds a problem at these sizes.

    Returns:
        (P, N), on the device of the costs.
    """
    costs = cost_PNN.cpu().numpy()
    found_PN = np.empty(costs.shape[:2], dtype=np.int64)
    for number, cost in enumerate(costs):
        found_PN[number] = linear_sum_assignment(cost)[1]
    return torch.from_numpy(found_PN).to(cost_PNN.device)

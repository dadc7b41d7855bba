"""Robust tabu search for a batch of quadratic assignment problems, several walkers of each side by side.

After Taillard 1991 ("Robust taboo search for the quadratic assignment problem"): in every step the best exchange of two
nodes' places is made, better or worse, unless it would bring both back to where they were a short while ago; an
exchange that leads to a new best is always allowed. All walkers take the same number of steps.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from osler.alignment.lawler import Lawler, Walkers

Integers = npt.NDArray[np.int64]
_TABU = 1e30
"""Far above any change of cost. Where everything is tabu, the exchange that is so for the shortest time is made."""


def tabu_search(
    problems: Lawler, start_PWN: Tensor, tenures_T2W: Integers, tolerance_P: Tensor
) -> tuple[Tensor, Tensor]:
    """Improve permutations.

    Args:
        problems: the problems.
        start_PWN: where the walkers start.
        tenures_T2W: how many steps the two places that a walker's exchange leaves are forbidden, for each of T steps.
        tolerance_P: differences of cost below this are rounding.

    Returns:
        The best permutation each walker met (P, W, N), and its cost (P, W).
    """
    P, W, N = start_PWN.shape
    B = P * W
    walkers = Walkers(problems, start_PWN)
    # as floating-point numbers, so that "is forbidden" becomes a large cost without a branch
    forbidden_PWNN = torch.zeros(P, W, N, N, dtype=torch.float32)
    # Arrays of a number per walker are too small for torch's overhead: NumPy works on the same memory.
    padded_BM = walkers.padded_PWM.view(B, N + 1).numpy()
    padded_X, forbidden_X = padded_BM.reshape(-1), forbidden_PWNN.view(-1).numpy()
    tenures_T2B = np.tile(tenures_T2W, (1, 1, P))
    tolerance_B = tolerance_P.repeat_interleave(W).numpy()
    square_B, padded_B = np.arange(B) * (N * N), np.arange(B) * (N + 1)
    # costs are counted from the start
    cost_B = np.zeros(B, dtype=tolerance_B.dtype)
    best_B, best_BM = cost_B.copy(), padded_BM.copy()
    for step, (tenure_of_i_B, tenure_of_j_B) in enumerate(tenures_T2B):
        change_BK = walkers.swap_changes().reshape(B, N * N)
        change_X = change_BK.reshape(-1)
        free_B = change_BK.argmin(1)
        welcome_B = cost_B + change_X.take(square_B + free_B) < best_B - tolerance_B
        # an exchange is tabu as long as both nodes' new places are forbidden to them
        until_PWNN = forbidden_PWNN.gather(3, walkers.columns_PWNN).numpy()
        penalty_BK = np.minimum(until_PWNN, until_PWNN.swapaxes(2, 3)).reshape(B, N * N)
        penalty_BK -= step
        np.maximum(penalty_BK, 0, out=penalty_BK)
        penalty_BK *= _TABU
        penalty_BK[:, :: N + 1] = np.inf
        penalty_BK = penalty_BK + change_BK
        move_B = np.where(welcome_B, free_B, penalty_BK.argmin(1))
        cost_B += change_X.take(square_B + move_B)
        i_B = move_B // N
        j_B = move_B - i_B * N
        at_i_B, at_j_B = padded_B + i_B, padded_B + j_B
        a_B, b_B = padded_X.take(at_i_B), padded_X.take(at_j_B)
        forbidden_X[square_B + i_B * N + a_B] = step + tenure_of_i_B
        forbidden_X[square_B + j_B * N + b_B] = step + tenure_of_j_B
        padded_X[at_i_B], padded_X[at_j_B] = b_B, a_B
        better = (cost_B < best_B - tolerance_B).nonzero()[0]
        if len(better):
            best_B[better], best_BM[better] = cost_B[better], padded_BM[better]
    best = Walkers(problems, torch.from_numpy(best_BM[:, :N]).view(P, W, N))
    return best.places_PWN.clone(), best.costs()

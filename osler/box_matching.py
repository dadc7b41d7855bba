"""Which predicted box is meant for which true one: the best one-to-one assignment, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from osler.boxes import Box, dice_matrix, iou_matrix


@dataclass(frozen=True, slots=True)
class BoxMatch:
    """Predicted and true boxes of one image, paired one to one so that the sum of IoU is greatest.

    Args:
        pairs: (index of the predicted box, index of the true box), pairs without overlap left out.
        ious: IoU of each pair.
        dices: Dice coefficient of each pair.
        predicted: number of predicted boxes.
        true: number of true boxes.
    """

    pairs: tuple[tuple[int, int], ...]
    ious: tuple[float, ...]
    dices: tuple[float, ...]
    predicted: int
    true: int

    @property
    def iou(self) -> float:
        """Sum of IoU over the greater number of boxes: missing and superfluous boxes both lower it; 1 if none anywhere.

        With one box on either side it is the plain IoU.
        """
        return self._share(sum(self.ious))

    @property
    def dice(self) -> float:
        """The same with the Dice coefficient; pairs are those of the greatest IoU."""
        return self._share(sum(self.dices))

    def hits(self, threshold: float = 0.5) -> int:
        """Pairs whose IoU reaches the threshold."""
        return sum(iou >= threshold for iou in self.ious)

    def _share(self, total: float) -> float:
        most = max(self.predicted, self.true)
        # assignment rounds nothing up: the sum of n shares of at most 1 may exceed n by a hair
        return min(1.0, total / most) if most else 1.0


def match_boxes(predicted: Sequence[Box], true: Sequence[Box]) -> BoxMatch:
    """Pair boxes of one image by the assignment with the greatest sum of IoU (Hungarian method).

    Args:
        predicted: boxes, in any order.
        true: boxes of the same image.

    Raises:
        BoxError: when the boxes refer to images of different size.
    """
    from scipy.optimize import linear_sum_assignment

    if not predicted or not true:
        return BoxMatch((), (), (), len(predicted), len(true))
    ious = iou_matrix(predicted, true)
    dices = dice_matrix(predicted, true)
    rows, columns = linear_sum_assignment(ious, maximize=True)
    kept = [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if ious[row, column] > 0]
    return BoxMatch(
        tuple(kept),
        tuple(float(ious[pair]) for pair in kept),
        tuple(float(dices[pair]) for pair in kept),
        len(predicted),
        len(true),
    )

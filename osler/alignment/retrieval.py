"""Retrieval between modalities: does a picture find its own text among others?"""

from __future__ import annotations

from torch import Tensor

from osler.alignment.nodes import unit


def recall_at_1(query_ND: Tensor, key_ND: Tensor) -> Tensor:
    """Share of queries whose most similar key (cosine) is their own, row i belonging to row i.

    Ties are broken at random in expectation: a query whose own key is among m equally similar best ones counts 1/m, so
    that keys without content score chance, 1/N, and not 1.

    Args:
        query_ND: N queries.
        key_ND: N keys.

    Returns:
        Scalar between 0 and 1.
    """
    similarity_NN = unit(query_ND.float()) @ unit(key_ND.float()).T
    best_N1 = similarity_NN.max(1, keepdim=True).values
    tied_NN = similarity_NN >= best_N1 - 1e-6
    return (tied_NN.diagonal() / tied_NN.sum(1)).mean()

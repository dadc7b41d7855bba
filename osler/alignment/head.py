"""`AlignmentHead`: one hook for every alignment objective, with the same gathering, centring and measurements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from osler.alignment.barycenter import Barycenter
from osler.alignment.blackbox import SolverStatistics
from osler.alignment.contrastive import InfoNCE, SigLIP
from osler.alignment.gather import gather_rows, noise_generator
from osler.alignment.graph_alignment import GraphAlignment, cut_into_graphs, plain_hamming
from osler.alignment.nodes import centre, centred_unit, unit
from osler.alignment.retrieval import recall_at_1
from osler.alignment.settings import AlignmentSettings, Kind


class AlignmentValue(NamedTuple):
    """Loss of a batch and what to log beside it."""

    loss: Tensor
    metrics: dict[str, float]


class AlignmentHead(nn.Module):
    """Aligns the modalities of a batch. Its weights serve training only.

    Args:
        kind: "graph_alignment", "infonce" or "siglip".
        width: of the nodes, that is of the language model.
        settings: every switch.
        seed: of the initial weights; the global generator is left alone.
    """

    def __init__(self, kind: Kind, width: int, settings: AlignmentSettings, *, seed: int = 0) -> None:
        super().__init__()
        self.kind, self.settings = kind, settings
        inner = settings.projection or width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.projections = nn.ModuleDict(
                {name: nn.Linear(width, inner, bias=False) for name in ("image", "text")} if settings.projection else {}
            )
            self.loss: nn.Module
            if kind == "graph_alignment":
                self.loss = GraphAlignment(inner, settings)
            elif kind == "infonce":
                self.loss = InfoNCE(settings.temperature, learn=settings.learn_scale)
            else:
                self.loss = SigLIP(settings.sigmoid_scale, settings.sigmoid_bias, learn=settings.learn_scale)
        self.calls = 0

    def forward(self, nodes: Mapping[str, Tensor]) -> AlignmentValue:
        """Loss and measurements of one batch.

        Args:
            nodes: for each modality of the settings, (n, D), row b of each belonging to record b.
        """
        settings = self.settings
        wide = torch.promote_types(next(iter(nodes.values())).dtype, torch.float32)
        local = torch.stack([self._project(name, nodes[name].to(wide)) for name in settings.modalities])
        all_KND = gather_rows(local) if settings.gather else local
        prepared = self._prepare(all_KND)
        before = self._statistics()
        if self.kind == "graph_alignment":
            loss = self.loss(prepared, noise_generator(prepared.device, shared=settings.gather))
        else:
            loss = self.loss(prepared)
        # the released gradient solves in the backward pass, so what is known of it is one pass old
        solver = before if settings.gradient == "released" else self._statistics()
        metrics = {"align_loss": float(loss.detach()), "align_nodes": float(all_KND.shape[1])}
        if solver.problems:
            metrics["align_perturbed_is_truth"] = solver.truths / solver.problems
            metrics["align_solves_skipped"] = solver.skipped / solver.problems
        monitored = SolverStatistics()
        if self.calls % settings.monitor_every == 0:
            metrics |= self._measure(all_KND.detach(), monitored)
        self.calls += 1
        return AlignmentValue(loss, {**metrics, "align_solver_seconds": solver.seconds + monitored.seconds})

    def _statistics(self) -> SolverStatistics:
        return self.loss.statistics if isinstance(self.loss, GraphAlignment) else SolverStatistics()

    def _prepare(self, nodes_KND: Tensor) -> Tensor:
        if self.settings.centre and self.settings.unit_norm:
            return centred_unit(nodes_KND)
        nodes_KND = centre(nodes_KND) if self.settings.centre else nodes_KND
        return unit(nodes_KND) if self.settings.unit_norm else nodes_KND

    def _project(self, name: str, nodes_ND: Tensor) -> Tensor:
        if not self.settings.projection:
            return nodes_ND
        return self.projections["image" if name == "image" else "text"](nodes_ND)

    def _measure(self, nodes_KND: Tensor, statistics: SolverStatistics) -> dict[str, float]:
        """Noise-free and the same for every objective: on centred unit nodes, without message passing."""
        nodes_KND = centred_unit(nodes_KND)
        index = {name: number for number, name in enumerate(self.settings.modalities)}
        metrics = {}
        for query, key in (("image", "answers"), ("answers", "image"), ("answers", "extended"), ("image", "extended")):
            if query in index and key in index:
                found = recall_at_1(nodes_KND[index[query]], nodes_KND[index[key]])
                metrics[f"align_r1_{query}_to_{key}"] = float(found)
        graphs = [
            sized[:, g] for sized in cut_into_graphs(nodes_KND, self.settings.graph_size) for g in range(sized.shape[1])
        ]
        if nodes_KND.shape[1] > 1:
            kinds: tuple[Barycenter, ...] = ("leave_one_out", "pairwise")
            for kind in kinds if len(nodes_KND) > 2 else kinds[:1]:  # with two modalities the two are the same
                distances = [
                    plain_hamming(graph, kind, neighbours=self.settings.neighbours, statistics=statistics)
                    for graph in graphs
                ]
                metrics[f"align_hamming_{kind}"] = float(torch.stack(distances).mean())
        return metrics

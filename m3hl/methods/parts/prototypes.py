"""SS-Net's prototypes: features of each class that labeled voxels left behind, and the pull towards them.

A volume's voxels are rows of a table, two million in half a batch, and each layer of the heads has 32 numbers for
each. So none of these tables is kept: rows pass in parts, batch statistics come from moments of what goes in, and
the backward pass makes each part again. What stays in memory are the features, which the network has made anyway.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

WIDTH = 32
"""Of every head's hidden layer, and of a prototype."""
PROTOTYPES = 32
"""At most, per class."""
ROWS = 2**16
"""Voxels that pass the heads together."""

Rows = Callable[[Tensor], Tensor]


class Moments(NamedTuple):
    """Moments of rows (N, n) in each of K groups: number (K), mean (K, n), covariance (K, n, n)."""

    count: Tensor
    mean: Tensor
    covariance: Tensor


class Head(nn.Module):
    """Linear layer, batch norm, activation, linear layer.

    Args:
        n_in, n_out: channels.
        slope: of the activation below 0; 0 is ReLU.
    """

    def __init__(self, n_in: int, n_out: int, slope: float = 0.0) -> None:
        super().__init__()
        self.linear1, self.norm = nn.Linear(n_in, WIDTH), nn.BatchNorm1d(WIDTH)
        self.linear2 = nn.Linear(WIDTH, n_out)
        self.slope = slope

    def forward(self, rows: Tensor) -> Tensor:
        """Return what becomes of rows (N, n_in) with running statistics, which stay as they are."""
        norm = self.norm
        statistics = norm.running_mean, norm.running_var
        x = F.batch_norm(self.linear1(rows), *statistics, norm.weight, norm.bias, eps=norm.eps)
        return self.linear2(F.leaky_relu(x, self.slope))

    def second(self, rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return what becomes of rows (N, *) when linear layer and batch norm are one (`folded`)."""
        return self.linear2(F.leaky_relu(F.linear(rows, weight, bias), self.slope))


def folded(
    norm: nn.BatchNorm1d, weight: Tensor, bias: Tensor, moments: Moments, counts: Tensor | float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return weight and bias of the linear layer that is a linear layer and batch norm after it.

    W x + b has the mean W μ + b and the variances diag(W Σ Wᵀ), with μ and Σ those of x. Running statistics follow
    as batch norm's do.

    Args:
        norm: in training mode, whatever its flag says.
        weight, bias: of the linear layer.
        moments: of one group of rows, (), (n) and (n, n).
        counts: 1, or 0 if running statistics shall stay as they are.
    """
    mean = weight @ moments.mean + bias
    variance = ((weight @ moments.covariance) * weight).sum(1).clamp(min=0)
    with torch.no_grad():
        unbiased = variance * moments.count / (moments.count - 1).clamp(min=1)
        for running, new in ((norm.running_mean, mean), (norm.running_var, unbiased)):
            running += counts * (norm.momentum * (new - running))
    scale = norm.weight / (variance + norm.eps).sqrt()
    return scale.unsqueeze(1) * weight, scale * (bias - mean) + norm.bias


class Prototypes(nn.Module):
    """Heads on features of voxels, and each class's memory of up to 32 rows that voxels of it once had.

    The released code has another selector per class, for the memory; it normalises along the wrong axis, so that
    these weights are 1 whatever it says, and it is left out here.

    Args:
        channels: of the features.
        classes: background included; it has no memory, and its selector no work.
    """

    memory: Tensor
    count: Tensor

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.projection, self.prediction = Head(channels, WIDTH), Head(WIDTH, WIDTH)
        self.selectors = nn.ModuleList(Head(WIDTH, 1, slope=0.2) for _ in range(classes))
        self.register_buffer("memory", torch.zeros(classes, PROTOTYPES, WIDTH))
        self.register_buffer("count", torch.zeros(classes))

    @torch.no_grad()
    def remember(self, rows: Tensor, classes: Tensor, project: Rows) -> None:
        """Replace the memory of each foreground class that has rows: by the 32 of lowest score, or by all.

        Scores are the class's selector's, with statistics of that class's rows. (That the lowest are kept is as
        released; the paper wants the highest.)

        Args:
            rows: (N, n).
            classes: (N,), 0 for what is not to be remembered.
            project: makes prototypes of rows, (N, 32).
        """
        parts = list(zip(rows.split(ROWS), classes.split(ROWS), strict=True))
        moments = self.class_moments(parts, project)
        many = moments.count > PROTOTYPES
        layers = self.folded_selectors(moments, many)
        scores = torch.cat([self.scores(project(part), layers) for part, _ in parts]).T
        # Where all are kept, they are kept in order.
        keys = torch.where(many.unsqueeze(1), scores, torch.arange(len(rows), device=rows.device))
        keys = torch.where(self.members(classes).T > 0, keys, torch.inf)
        lowest = keys.topk(min(PROTOTYPES, len(rows)), dim=1, largest=False)
        chosen = project(rows[lowest.indices.flatten()]).view(*lowest.indices.shape, WIDTH)
        chosen = torch.where(lowest.values.isfinite().unsqueeze(2), chosen, 0)
        there = moments.count > 0
        memory, count = self.memory[1:], self.count[1:]
        memory[:, : chosen.shape[1]] = torch.where(there.view(-1, 1, 1), chosen, memory[:, : chosen.shape[1]])
        count.copy_(torch.where(there, moments.count.clamp(max=PROTOTYPES), count))

    def pull(self, rows: Tensor, classes: Tensor) -> Tensor:
        """Return L_cl of voxels' features (N, n) with classes (N,): statistics are of these rows."""
        parts = rows.split(ROWS)
        return self.attraction(parts, classes, self.predictor(parts))

    def predictor(self, parts: Sequence[Tensor]) -> Rows:
        """Return prediction(projection(x)) in training mode, as a function of a part of the rows."""
        first, second = self.projection, self.prediction
        everyone = [(part, part.new_ones(len(part), 1)) for part in parts]
        layer = folded(first.norm, first.linear1.weight, first.linear1.bias, group_of(group_moments(everyone), 0))

        def hidden(part: Tensor) -> Tensor:
            return F.relu(F.linear(part, *layer))

        # Nothing stands between the one head's last layer and the other's first: they are one.
        weight = second.linear1.weight @ first.linear2.weight
        bias = second.linear1.weight @ first.linear2.bias + second.linear1.bias
        between = folded(second.norm, weight, bias, group_of(group_moments(everyone, hidden), 0))
        return lambda part: second.second(hidden(part), *between)

    def attraction(self, parts: Sequence[Tensor], classes: Tensor, predict: Rows) -> Tensor:
        """Return Σ_c L_c / C with L_c = Σ_i s_i (1 − q̂_i · m̄_c) / Σ_i s_i over the voxels i of class c.

        q = predict(x), q̂ = q / ‖q‖, s = sigmoid(selector_c(q)) with statistics of the class's voxels and no
        gradient to q, and m̄_c is the mean of the normalised rows of the memory. That is the mean over all pairs of
        voxels and prototypes of (1 − q̂ · m̂), weighted by s. A class with fewer than two voxels or prototypes
        counts 0, as the background does, but in C.
        """
        paired = list(zip(parts, classes.split(ROWS), strict=True))
        with torch.no_grad():
            moments = self.class_moments(paired, predict)
            prototypes = F.normalize(self.memory[1:], dim=2).sum(1) / self.count[1:].clamp(min=1).unsqueeze(1)
            counts = (moments.count >= 2) & (self.count[1:] >= 2)
        layers = self.folded_selectors(moments, counts)

        def sums(part: Tensor, of: Tensor) -> Tensor:
            q = predict(part)
            weights = self.scores(q.detach(), layers).sigmoid() * self.members(of)
            apart = 1 - F.normalize(q, dim=1) @ prototypes.T
            return torch.stack([(weights * apart).sum(0), weights.sum(0)])

        pulled, weights = torch.stack([again(sums, *pair) for pair in paired]).sum(0)
        per_class = pulled / torch.where(counts, weights, 1)
        return torch.where(counts, per_class, 0).sum() / len(self.selectors)

    def members(self, classes: Tensor) -> Tensor:
        """Return (N, K): 1 where a row is of foreground class 1 … K, else 0."""
        return (classes.unsqueeze(1) == torch.arange(1, len(self.selectors), device=classes.device)).float()

    def class_moments(self, parts: Sequence[tuple[Tensor, Tensor]], function: Rows) -> Moments:
        """Return the moments of function(rows) in each foreground class."""
        return group_moments([(part, self.members(of)) for part, of in parts], function)

    def folded_selectors(self, moments: Moments, counts: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return each foreground class's selector with the statistics of its rows.

        Its running ones follow where `counts` (K,) is true.
        """
        selectors = list(self.selectors)[1:]
        return [
            folded(s.norm, s.linear1.weight, s.linear1.bias, group_of(moments, k), counts[k].float())
            for k, s in enumerate(selectors)
        ]

    def scores(self, rows: Tensor, layers: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """Return what each foreground class's selector says of every row, (N, K), before the sigmoid."""
        selectors = list(self.selectors)[1:]
        return torch.cat([s.second(rows, *layer) for s, layer in zip(selectors, layers, strict=True)], dim=1)


def group_moments(parts: Sequence[tuple[Tensor, Tensor]], function: Rows = lambda x: x) -> Moments:
    """Return the moments of function(rows) in K groups, from parts of the rows and their membership (N, K)."""

    def sums(part: Tensor, members: Tensor) -> Tensor:
        x = function(part)
        ones = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
        return torch.stack([(ones * one.unsqueeze(1)).T @ ones for one in members.to(x.dtype).unbind(1)])

    total = torch.stack([again(sums, *pair) for pair in parts]).sum(0)
    count, mean = total[:, -1, -1], total[:, -1, :-1]
    divisor = count.clamp(min=1).view(-1, 1)
    mean = mean / divisor
    covariance = total[:, :-1, :-1] / divisor.unsqueeze(2) - mean.unsqueeze(2) * mean.unsqueeze(1)
    return Moments(count, mean, covariance)


def group_of(moments: Moments, k: int) -> Moments:
    """Return the moments of one group."""
    return Moments(*(each[k] for each in moments))


def again(function: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
    """Return function(*arguments), of which nothing is kept for the backward pass, which calls it again."""
    return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)

"""Policies: what depends on the kind of actions that a task has, and nothing that does not.

A policy is a linear head on the core's output that gives the parameters [..., P] of a distribution over actions:

| action space | distribution | parameters | an action | previous action as an input |
|---|---|---|---|---|
| `Discrete` of A | categorical | A logits | int64 [...] | one-hot, A numbers |
| `MultiDiscrete` of K | a categorical each, independent | all logits | int64 [..., K] | K one-hots |
| `Box` of D numbers | independent normals | D means, D log σ | float32 [..., D] | the vector itself |

log σ is a trained parameter that no state changes. An action of a `Box` may lie outside of the bounds: the environment
clips it (`envs.vector.VectorTask.play`); what is recorded and fed back is what was drawn.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, distributions, nn


@dataclass(frozen=True)
class Actions:
    """What may be done in a step, as far as a policy has to know it."""

    kind: Literal["discrete", "multi_discrete", "box"]
    sizes: tuple[int, ...]
    """Choices of each component (of `discrete` there is one); of a `box` how many numbers an action has."""

    def __str__(self) -> str:
        return f"{self.kind} {' x '.join(str(size) for size in self.sizes)}"


def discrete(count: int) -> Actions:
    """One of `count` actions."""
    return Actions("discrete", (count,))


class Policy(nn.Linear, ABC):
    """The head of one kind of actions; see the module's text.

    Args:
        width: how many columns of the core's output it reads, the first ones.
        outputs: how many numbers are computed from it.
    """

    action_shape: tuple[int, ...]
    """Of one action: (), (K,) or (D,)."""
    action_dtype: torch.dtype

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__(width, outputs)
        self.num_parameters = outputs
        """P."""

    def forward(self, output: Tensor) -> Tensor:
        """Parameters of the distribution, [..., P], from (the first `width` columns of) the core's output [..., H]."""
        return self.completed(super().forward(output[..., : self.in_features]))

    def completed(self, outputs: Tensor) -> Tensor:
        """The parameters [..., P] of which the head's linear map gave `outputs`."""
        return outputs

    @abstractmethod
    def distribution(self, parameters: Tensor) -> distributions.Distribution:
        """The distribution with parameters [..., P]; one batch of shape [...]."""

    def noise(
        self,
        shape: Sequence[int],
        generator: torch.Generator | None,
        greedy: bool = False,
        device: torch.device | None = None,
    ) -> Tensor:
        """What is random in `shape` actions, [*shape, N], for `draw`; with `greedy` what makes it draw the mode.

        Of discrete actions Gumbel noise, one number a logit: the largest of logits + noise is a sample.
        """
        noise = torch.empty(*shape, self.out_features, device=device)
        return noise.zero_() if greedy else self._fill(noise, generator)

    def _fill(self, noise: Tensor, generator: torch.Generator | None) -> Tensor:
        return noise.exponential_(generator=generator).log_().neg_()

    @abstractmethod
    def draw(self, parameters: Tensor, noise: Tensor, out: Tensor) -> None:
        """Write the actions [..., *action_shape] that noise makes of parameters into `out`."""

    @abstractmethod
    def encode(self, action: Tensor) -> Tensor:
        """Actions [..., *action_shape] as an input, [..., sum of the sizes]; zeros where there is none."""

    @abstractmethod
    def shares(self, parameters: Tensor) -> Tensor:
        """What a picture shows of a policy, [..., K]: the probability of each choice, or the mean action."""

    def described(self, parameters: Tensor) -> dict[str, Tensor]:
        """The distribution as a record holds it, by name, [..., K] each: `policy`, the probability of each choice."""
        return {"policy": self.shares(parameters)}

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """log π(a) [...] of actions [..., *action_shape]."""
        found: Tensor = self.distribution(parameters).log_prob(action)
        return found

    def log_prob_and_entropy(self, parameters: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """log π(a) and the entropy in nats (of densities: differential), both [...]."""
        entropy: Tensor = self.distribution(parameters).entropy()
        return self.log_prob(parameters, action), entropy

    def kl(self, parameters: Tensor, others: Tensor) -> Tensor:
        """KL divergence [...] of the distributions with `parameters` from those with `others`, in nats."""
        return distributions.kl_divergence(self.distribution(parameters), self.distribution(others))


class Categorical(Policy):
    """One of A actions."""

    def __init__(self, width: int, sizes: Sequence[int]) -> None:
        (count,) = sizes
        super().__init__(width, count)
        self.action_shape, self.action_dtype = (), torch.long
        # Row 0 is what NO_ACTION (-1) looks up: no action, a zero vector.
        self.one_hot: Tensor
        self.register_buffer("one_hot", torch.cat((torch.zeros(1, count), torch.eye(count))), persistent=False)

    def distribution(self, parameters: Tensor) -> distributions.Distribution:  # noqa: D102  # see Policy
        return distributions.Categorical(logits=parameters, validate_args=False)

    def draw(self, parameters: Tensor, noise: Tensor, out: Tensor) -> None:  # noqa: D102
        torch.argmax(torch.add(parameters, noise), -1, out=out)

    def encode(self, action: Tensor) -> Tensor:  # noqa: D102
        one_hot: Tensor = self.one_hot.index_select(0, (action + 1).flatten()).unflatten(0, action.shape)
        return one_hot

    def shares(self, parameters: Tensor) -> Tensor:  # noqa: D102
        return torch.softmax(parameters, -1)

    # torch's softmax is slow along an axis of few numbers, and fast across rows: the actions go first.

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:  # noqa: D102
        return _chosen(_log_policy(parameters), action)

    def log_prob_and_entropy(self, parameters: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        log_policy = _log_policy(parameters)
        return _chosen(log_policy, action), -(log_policy.exp() * log_policy).sum(0)


def _log_policy(logits: Tensor) -> Tensor:
    """log π [A, ...]."""
    return torch.log_softmax(logits.movedim(-1, 0).contiguous(), dim=0)


def _chosen(log_policy: Tensor, action: Tensor) -> Tensor:
    return log_policy.gather(0, action.unsqueeze(0)).squeeze(0)


class MultiCategorical(Policy):
    """K choices at once, independent of each other."""

    def __init__(self, width: int, sizes: Sequence[int]) -> None:
        super().__init__(width, sum(sizes))
        self.sizes = tuple(sizes)
        self.action_shape, self.action_dtype = (len(sizes),), torch.long
        # Where the logits of each component stand; those with fewer choices are filled up with -inf, which lies last.
        place = torch.full((len(sizes), max(sizes)), self.num_parameters)
        for row, logits in zip(place, torch.arange(self.num_parameters).split(self.sizes), strict=True):
            row[: len(logits)] = logits
        self.place: Tensor
        self.register_buffer("place", place, persistent=False)

    def _by_component(self, logits: Tensor) -> Tensor:
        """[..., P] -> [..., K, most choices]."""
        return F.pad(logits, (0, 1), value=-torch.inf)[..., self.place]

    def distribution(self, parameters: Tensor) -> distributions.Distribution:  # noqa: D102
        each = distributions.Categorical(logits=self._by_component(parameters), validate_args=False)
        return distributions.Independent(each, 1, validate_args=False)

    def draw(self, parameters: Tensor, noise: Tensor, out: Tensor) -> None:  # noqa: D102
        torch.argmax(self._by_component(parameters + noise), -1, out=out)

    def encode(self, action: Tensor) -> Tensor:  # noqa: D102
        columns = zip(action.unbind(-1), self.sizes, strict=True)
        one_hots = [F.one_hot(column + 1, size + 1)[..., 1:] for column, size in columns]
        return torch.cat(one_hots, -1).to(self.weight.dtype)

    def shares(self, parameters: Tensor) -> Tensor:  # noqa: D102
        return torch.cat([logits.softmax(-1) for logits in parameters.split(self.sizes, -1)], -1)


class Gaussian(Policy):
    """A vector of D numbers, each drawn from a normal distribution around a mean that depends on the state.

    σ starts at 1 and does not depend on the state (Schulman et al. 2015, 2017).
    """

    def __init__(self, width: int, sizes: Sequence[int]) -> None:
        (count,) = sizes
        super().__init__(width, count)
        self.num_parameters = 2 * count
        self.action_shape, self.action_dtype = (count,), torch.float32
        self.log_std = nn.Parameter(torch.zeros(count))

    def completed(self, outputs: Tensor) -> Tensor:  # noqa: D102
        return torch.cat((outputs, self.log_std.to(outputs.dtype).expand_as(outputs)), -1)

    def distribution(self, parameters: Tensor) -> distributions.Distribution:  # noqa: D102
        mean, log_std = parameters.chunk(2, -1)
        each = distributions.Normal(mean, log_std.exp(), validate_args=False)
        return distributions.Independent(each, 1, validate_args=False)

    def _fill(self, noise: Tensor, generator: torch.Generator | None) -> Tensor:
        return noise.normal_(generator=generator)

    def draw(self, parameters: Tensor, noise: Tensor, out: Tensor) -> None:  # noqa: D102
        mean, log_std = parameters.chunk(2, -1)
        out.copy_(mean + log_std.exp() * noise)

    def encode(self, action: Tensor) -> Tensor:  # noqa: D102
        return action.to(self.weight.dtype)

    def shares(self, parameters: Tensor) -> Tensor:  # noqa: D102
        return parameters.chunk(2, -1)[0]

    def described(self, parameters: Tensor) -> dict[str, Tensor]:
        """See `Policy`; of normal distributions `policy_mean` and `policy_sd`."""
        mean, log_std = parameters.chunk(2, -1)
        return {"policy_mean": mean, "policy_sd": log_std.exp()}


POLICIES: dict[str, type[Categorical | MultiCategorical | Gaussian]] = {
    "discrete": Categorical,
    "multi_discrete": MultiCategorical,
    "box": Gaussian,
}


def make_policy(actions: Actions, width: int) -> Policy:
    """The head for a kind of actions, on a core whose output has `width` numbers."""
    return POLICIES[actions.kind](width, actions.sizes)

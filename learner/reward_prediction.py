"""An auxiliary loss: tell from the core's output what the action will pay at once (after Jaderberg et al. 2017).

Where the first rewards of an episode tell what pays in the rest of it, the policy gradient says little about what to
remember: only trials that went better or worse than expected, weighed by chance. How well the reward of each choice
could be predicted says it in each trial. The head belongs to the learner; who acts has no use for it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..models.policy import Actions


class RewardPrediction(nn.Module):
    """A linear head beside policy and value: the expected reward of each of A actions.

    Args:
        width: H of the core's output.
        actions: A of them.

    Raises:
        ValueError: for actions that are no choice of one of A.
    """

    def __init__(self, width: int, actions: Actions) -> None:
        super().__init__()
        if actions.kind != "discrete":
            raise ValueError(f"algo.reward_prediction tells what each action pays; of {actions} there is no telling")
        self.head = nn.Linear(width, actions.sizes[0])
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, output: Tensor, action: Tensor) -> Tensor:
        """Predicted reward [T, B] of the actions taken (int64 [T, B]) from the core's output [T, B, H]."""
        predicted: Tensor = self.head(output)
        return predicted.gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def loss(self, output: Tensor, action: Tensor, reward: Tensor) -> Tensor:
        """½ (r - predicted)², a mean over T x B; of the other actions nothing is known, and nothing asked."""
        error = reward - self(output, action)
        return 0.5 * torch.mean(error * error)

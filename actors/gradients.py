"""The gradient of an unroll, computed by the actor that played it from what it kept of acting."""

from __future__ import annotations

import torch

from ..learner.batch import make_batch
from ..learner.objective import Objective, objective
from ..models.acting import Acting
from ..models.agent import Agent
from ..models.flat import to_vector
from ..replay.gradient import Gradient
from ..replay.trajectory import Trajectory


class GradientMaker:
    """Gradients of an agent's own unrolls (A2C and A3C as published, Mnih et al. 2016, algorithm S3).

    Args:
        agent: plays with the parameters by which the gradient is taken.
        objective: what the learner minimises.
    """

    def __init__(self, agent: Agent, objective: Objective) -> None:
        self._agent = agent
        self._config = objective.config
        self._entropy_weight = objective.entropy_weight
        self._trained = [parameter for parameter in agent.parameters() if parameter.requires_grad]

    def __call__(self, trajectory: Trajectory, acting: Acting, env_steps: int) -> Gradient:
        """Of an unroll that has just been played.

        Args:
            trajectory: the unroll.
            acting: that made its steps, with `keep`.
            env_steps: the learner's count of environment steps when it published the parameters, for its schedules.
        """
        batch = make_batch([trajectory], [], self._trained[0].device)
        # The last step's output is there for the bootstrap value alone.
        seen = batch.seen.at(-1)
        beyond, _ = self._agent.act(seen, acting.state)
        with torch.enable_grad():
            output = torch.cat((acting.outputs(), beyond.detach().unsqueeze(0)))
            measured = objective(self._agent, batch, output, self._config, self._entropy_weight(env_steps))
            parts = torch.autograd.grad(
                measured["loss/total"], self._trained, allow_unused=True, materialize_grads=True
            )
        numbers = torch.stack([number.detach() for number in measured.values()]).tolist()
        return Gradient(
            vector=to_vector(parts),
            metrics=dict(zip(measured, numbers, strict=True)),
            env_steps=trajectory.env_steps,
            params_version=trajectory.params_version,
            actor_id=trajectory.actor_id,
        )

"""What is done to a trained network while it plays: interventions as they are declared (docs/perturb.md)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor

from ..conf.checking import shown, unknown
from ..conf.condition import Condition, Kind
from ..conf.settings import Count, CountOrZero, Many, Text, settings
from .actor_critic import RPE
from .agent import Agent
from .core import GATE, HIDDEN
from .ep_lstm import REINSTATEMENT

LARGEST_SIZE = 1e6
Size = Annotated[float, Ge(-LARGEST_SIZE), Le(LARGEST_SIZE)]
"""Of what is done to a value: float32 has room for it."""

DEEDS = ("set", "add", "scale", "noise")
"""What can be done to a value: one of these is given."""


@settings
class Perturbation:
    """One intervention: at what, what, and when.

    Raises:
        ValueError: for what cannot be of any agent.
    """

    units: Many[CountOrZero] | Literal["all"] | None = None
    """Numbers of units: their activity is changed, or with `gate` their gates; of a gate all, if not given."""
    gate: Text | None = None
    """By its name without `_gate` in `Core.inner`."""
    layer: Count | None = None
    """Of a core with several, from 1; None: the last one, which the heads read."""
    input: Literal["prev_reward", "rpe"] | None = None
    """The reward that the network is fed, or the reward-prediction error that this reward amounts to."""
    set: Size | None = None
    add: Size | None = None
    scale: Size | None = None
    noise: Annotated[float, Ge(0), Le(LARGEST_SIZE)] | None = None
    """Standard deviation of normal noise that is added, drawn anew for each unit in each step."""
    when: Text | None = None
    """A `Condition` on the step before; None: in each step."""

    def __post_init__(self) -> None:
        of_core = {name: value for name in ("units", "gate", "layer") if (value := getattr(self, name)) is not None}
        if self.input is not None and of_core:
            raise ValueError(f"input={self.input}: goes without {', '.join(of_core)}")
        if self.input is None and self.units is None and self.gate is None:
            raise ValueError("units: there is nothing to change: give units, gate or input")
        if self.units == ():
            raise ValueError("units=[]: give at least one unit, or all")
        given = [name for name in DEEDS if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(f"{name}={shown(getattr(self, name))}" for name in given)
            raise ValueError(f"{found or 'set'}: give one of {', '.join(DEEDS)}, and only one")
        if self.gate is not None and self.set is not None and not 0 <= self.set <= 1:
            raise ValueError(f"set={self.set:g}: a gate lies between 0 and 1")
        try:
            assert self.condition is None or self.condition.names is not None
        except ValueError as error:
            raise ValueError(f"when={shown(self.when)}: {error}") from None

    @cached_property
    def condition(self) -> Condition | None:
        """What `when` says."""
        return None if self.when is None else Condition(self.when)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of the units; empty: all."""
        return () if self.units is None or self.units == "all" else self.units

    def place(self, agent: Agent) -> str:
        """Where in the core it acts (see `Core.inner`); empty if it acts on the reward that the core is fed.

        Raises:
            ValueError: for a gate, a layer or a unit that the agent does not have, or a reward that it does not see.
        """
        if self.input == "rpe" and RPE in agent.core.inner:
            return RPE
        if self.input is not None:
            if not agent.spec.model.see_reward:
                raise ValueError(f"input={self.input}: the agent does not see rewards (model.see_reward=false)")
            return ""
        inner = agent.core.inner
        suffix = self._layer_of(inner)
        known = [name.removesuffix(suffix).removesuffix(GATE) for name in inner if name.endswith(f"{GATE}{suffix}")]
        if not agent.has_memory:
            known = [name for name in known if f"{name}{GATE}" != REINSTATEMENT]
        if self.gate is not None and self.gate not in known:
            raise ValueError(f"gate={unknown(self.gate, known, 'gate')}")
        place = (HIDDEN if self.gate is None else f"{self.gate}{GATE}") + suffix
        if beyond := [unit for unit in self.numbers if unit >= inner[place]]:
            where = f"units={shown(self.units)}: there is no unit {beyond[0]}"
            raise ValueError(f"{where}; the units are 0 to {inner[place] - 1}")
        return place

    def _layer_of(self, inner: Mapping[str, int]) -> str:
        """How names of its layer end."""
        layers = 1 if HIDDEN in inner else sum(f"{HIDDEN}_{i}" in inner for i in range(1, len(inner) + 1))
        if (self.layer or 1) > layers:
            raise ValueError(f"layer={self.layer}: the core has {layers} layer{'s' * (layers > 1)}")
        return "" if HIDDEN in inner else f"_{self.layer or layers}"

    def check(self, agent: Agent, columns: Mapping[str, Kind]) -> None:
        """That it can be done to an agent in a task.

        Args:
            agent: plays.
            columns: what `when` may be about.

        Raises:
            ValueError: naming what cannot be.
        """
        self.place(agent)
        try:
            if self.condition is not None:
                self.condition.check(columns)
        except ValueError as error:
            raise ValueError(f"when={shown(self.when)}: {error}") from None

    def done_to(self, value: Tensor, noise: Tensor | None) -> Tensor:
        """The value [...] changed; `noise` is standard normal."""
        if self.set is not None:
            return torch.full_like(value, self.set)
        if self.add is not None:
            return value + self.add
        if self.scale is not None:
            return value * self.scale
        assert self.noise is not None and noise is not None
        return value + self.noise * noise

    def declared(self) -> dict[str, Any]:
        """What a person gave, by name."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


@dataclasses.dataclass(frozen=True)
class Interventions:
    """All that is done to a network while it plays."""

    perturbations: tuple[Perturbation, ...]
    """Of several at one place each is given what the one before left."""
    discount: float
    """Of the reward-prediction error."""

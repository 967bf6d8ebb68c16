"""Evaluation of a run with frozen weights on fresh episodes, and everything that is written and shown of it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ...actors.adapting import make_rollout_worker
from ...actors.device_rollout import DeviceRollout
from ...actors.evaluation import Replayed, evaluate
from ...actors.rollout import RolloutWorker, WorkerSpec
from ...actors.video import film_adaptation, film_episode, save_gif
from ...envs import registry
from ...envs.groups import groups_of
from ...envs.memory import memory_figures
from ...envs.tensors import NoTensorTaskError
from ...envs.trials import Evaluation
from ...learner import snapshot
from ...learner.batch import resolve_device
from ...learner.checkpoint import Checkpoint
from ...models.perturbation import Interventions
from ...models.process import use_one_core
from ...replay.trajectory import Array
from ..config import ConfigError, TrainConfig, task_settings
from ..console import console
from ..engines.specs import Worker
from .film import column_names, with_thoughts
from .folder import RunFolder
from .perturbing import CONTROL, acted
from .recording import LOOK_EPISODES, Recording, recording
from .trial_table import TrialTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EVALUATION_STREAM = 1_000_000
"""In the place of an actor's number: seeds of the evaluation, which no actor has."""

UNROLL = 100

FILM = "episode.gif"
"""In a run's figures: one episode."""
FILM_OF_ADAPTATION = "adaptation_film.gif"
"""With MAML: one before and one after it."""


def evaluate_checkpoint(
    config: TrainConfig, checkpoint: Checkpoint, path: Path, asked: Recording | None = None
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Play fresh episodes with a checkpoint's weights; the table of trials is written to `path`.

    Args:
        config: of the run.
        checkpoint: whose agent plays.
        path: of the table.
        asked: for what is recorded beside it.

    Returns:
        The measures by their names in `results.json`, and what an episodic memory held (`envs.trials.Evaluation`).

    Raises:
        ConfigError: if the checkpoint's agent does not fit the task (another size of observation or action), or the
            disk has no room for what is to be recorded.
    """
    worker = _prepared(_worker(config, checkpoint), checkpoint)
    task, settings = task_played(config)
    total = config.evaluate.episodes
    with console.status("evaluating") as status, contextlib.ExitStack() as opened:
        opened.enter_context(contextlib.closing(worker))
        table = opened.enter_context(TrialTable(path, task, settings))
        watch = None if asked is None else opened.enter_context(_watched(asked, config, checkpoint))
        path.parent.mkdir(parents=True, exist_ok=True)  # only now: what cannot be played, or recorded, leaves nothing
        recorder = evaluate(
            worker,
            total,
            config.algo.discount,
            config.algo.reward_scale,
            lambda done: status.update(f"evaluating: {done}/{total} episodes"),
            table.add,
            watch,
        )
        measures = table.measures()
    done = {"perturbations": found} if (found := acted(worker, config, int(recorder.lengths.sum()))) else {}
    played = {
        **done,
        "analysed_episodes": table.analysed_episodes,
        "return": float(recorder.returns.mean()),
        "episode_length": float(recorder.lengths.mean()),
        **measures,
    }
    return played, worker.memory.last_life if worker.memory is not None else {}


@contextlib.contextmanager
def _watched(asked: Recording, config: TrainConfig, checkpoint: Checkpoint) -> Iterator[Callable[[Replayed], None]]:
    """See `recording`."""
    few = dataclasses.replace(config.evaluate, envs=min(config.evaluate.envs, LOOK_EPISODES))
    worker = _worker(dataclasses.replace(config, evaluate=few), checkpoint)
    with (
        contextlib.closing(_prepared(worker, checkpoint)) as probe,
        recording(asked, config, checkpoint, probe) as watch,
    ):
        yield watch


def _spec(config: TrainConfig, checkpoint: Checkpoint, num_envs: int, unroll_length: int) -> WorkerSpec:
    """Of a worker that plays the evaluation's task."""
    perturbations = config.evaluate.perturbations.values()
    return WorkerSpec(
        task=config.task_name,
        task_options=config.evaluation_task_options,
        model=snapshot.agent_of(checkpoint).model,
        num_envs=num_envs,
        unroll_length=unroll_length,
        seed=config.seed,
        actor_id=EVALUATION_STREAM,
        greedy=config.evaluate.greedy,
        interventions=Interventions(tuple(perturbations), config.algo.discount) if perturbations else None,
    )


def _worker(config: TrainConfig, checkpoint: Checkpoint) -> Worker:
    """What plays the evaluation: where the training was played, if there is such a device here and the task allows.

    Under perturbations it plays on the host.
    """
    spec = _spec(config, checkpoint, config.evaluate.playing, UNROLL)
    if config.algo.maml.steps:
        spec = _adapting(spec, config)
    if config.actors.device == "learner" and not config.evaluate.perturbations:
        device = resolve_device("cpu" if config.learner.device == "cpu" else "auto")
        with contextlib.suppress(NoTensorTaskError):  # such as an agent of our own screen in the real game
            return DeviceRollout(spec, device, config.learner.bf16)
    return make_rollout_worker(spec)


def _adapting(spec: WorkerSpec, config: TrainConfig) -> WorkerSpec:
    """With the steps of adaptation of an evaluation."""
    steps = config.algo.maml.evaluation_steps
    algo = dataclasses.replace(config.algo, maml=dataclasses.replace(config.algo.maml, steps=steps))
    return dataclasses.replace(spec, adaptation=algo, unroll_length=algo.played_steps)


W = TypeVar("W", RolloutWorker, Worker)


def _prepared(worker: W, checkpoint: Checkpoint) -> W:
    """The worker with a checkpoint's weights."""
    use_one_core()
    agent = snapshot.agent_of(checkpoint)
    if worker.agent.spec != agent:
        raise ConfigError(
            f"the trained agent takes observations of shape {agent.obs_shape} and has the actions {agent.actions}; "
            f"this task has shape {worker.agent.spec.obs_shape} and {worker.agent.spec.actions}"
        )
    worker.agent.load_state_dict(snapshot.agent_tensors(checkpoint))
    return worker


def evaluate_run(folder: RunFolder, config: TrainConfig, checkpoint: Checkpoint, output: RunFolder) -> dict[str, Any]:
    """Evaluate, and write `evaluation.parquet` and `results.json` into `output`; returns the results.

    With `evaluate.record` `activity.nc` too; without, one of an evaluation before goes, since its trials went.
    """
    asked = Recording(output.activity, folder.location) if config.evaluate.record else None
    measures, memory = evaluate_checkpoint(config, checkpoint, output.evaluation, asked)
    if asked is None:
        output.activity.unlink(missing_ok=True)
    counters = checkpoint.scalars
    wall_s = float(counters.get("wall_s", 0.0))
    results = {
        "task": config.task_name,
        "seed": config.seed,
        "episodes": config.evaluate.episodes,
        "env_steps": counters["env_steps"],
        "training_episodes": counters.get("episodes", 0),
        "wall_s": wall_s,
        "steps_per_second": counters["env_steps"] / wall_s if wall_s else 0.0,
        **measures,
    }
    output.write_memory(memory)
    output.write_results(results)
    return results


def draw_run(
    folder: RunFolder,
    config: TrainConfig,
    checkpoint: Checkpoint,
    output: RunFolder,
    control: RunFolder | None = None,
) -> list[Path]:
    """Draw the figures of an evaluation into `output`, where it lies; returns the paths of PNGs and of the film.

    With a `control`, the folder of an evaluation of the same agent, it stands beside this one.
    """
    with console.status("drawing"):
        pictures = output.write_figures(figures_of(folder, config, output, control))
        worker = RolloutWorker(_spec(config, checkpoint, num_envs=1, unroll_length=1))
        with contextlib.closing(_prepared(worker, checkpoint)) as player:
            names = column_names(*task_played(config), player.agent.spec.actions)
            frames = with_thoughts(film_episode(player, reward_scale=config.algo.reward_scale), names)
            frames_per_second = player.env.metadata["render_fps"]
            save_gif(frames, output.figures / FILM, frames_per_second)
        films = [output.figures / FILM]
        if config.algo.maml.steps:
            spec = _adapting(_spec(config, checkpoint, config.algo.maml.episodes, UNROLL), config)
            films.append(output.figures / FILM_OF_ADAPTATION)
            save_gif(film_adaptation(spec, snapshot.agent_tensors(checkpoint)), films[-1], 5 * frames_per_second)
    return [*pictures, *films]


def figures_of(
    folder: RunFolder, config: TrainConfig, output: RunFolder, control: RunFolder | None = None
) -> dict[str, Figure]:
    """The figures of an evaluation; see `draw_run`."""
    evaluations = [as_evaluation(config, output, folder)]
    if control is not None:
        here = dataclasses.replace(evaluations[0], group=output.path.name, history={})  # one training, one curve
        evaluations = [here, as_evaluation(config, control, folder, CONTROL)]  # figures of one are of the first
    return draw(evaluations, *task_played(config))


def as_evaluation(config: TrainConfig, evaluated: RunFolder, trained: RunFolder, group: str = "") -> Evaluation:
    """What figures are drawn from: the saved evaluation, and the curves of the training.

    Args:
        config: of the run.
        evaluated: where the evaluation lies.
        trained: where the run lies.
        group: the agent's name among others; its own if empty.

    Raises:
        NotARunFolderError: if there is no evaluation yet.
    """
    return Evaluation(
        evaluated.read_trials(),
        trained.read_history(),
        label=f"seed {config.seed}",
        group=group or config.model.agent_name,
        memory=evaluated.read_memory(),
        discount=config.algo.discount,
    )


def task_played(config: TrainConfig) -> tuple[registry.Task, Any]:
    """The task of a run's evaluation, and its settings."""
    settings = task_settings({"name": config.task_name, **config.evaluation_task_options})
    return registry.get(config.task_name), settings


def draw(evaluations: Sequence[Evaluation], task: registry.Task, settings: Any) -> dict[str, Figure]:
    """The figures of the task and of the agents' memories."""
    drawn = memory_figures(evaluations, task.condition)
    groups = groups_of(evaluations)
    if task.side_by_side or len(groups) == 1:
        return {**dict(task.figures(evaluations, settings)), **drawn}
    for group, own in groups.items():
        suffix = group.replace(", ", "_")
        drawn = {**{f"{name}_{suffix}": figure for name, figure in task.figures(own, settings)}, **drawn}
    return drawn

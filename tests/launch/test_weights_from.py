"""A new run begins with the weights of another run's agent, as far as they fit, and says what does not."""

import pytest
import torch
from prefrontal.learner.algorithm import AlgorithmConfig
from prefrontal.learner.checkpoint import CheckpointFolder
from prefrontal.learner.learner import Learner
from prefrontal.learner.pretrained import PretrainedError, read_weights
from prefrontal.models.agent import Agent, AgentSpec, ModelConfig
from prefrontal.models.policy import discrete
from program import call

SMALL = ["cluster=none", "run.log_points=1", "run.figures=0", "evaluate.episodes=16", "run.env_steps=6400"]
SMALL += ["model.encoder=mlp", "model.encoder_sizes=[6]", "actors.envs=16"]


def newest(folder):
    tensors = CheckpointFolder(folder / "checkpoints").newest()[0].tensors
    return {k.removeprefix("agent."): tensor for k, tensor in tensors.items() if k.startswith("agent.")}


@pytest.fixture(scope="module")
def lender(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lender")
    call(folder, "train", "task=two_step", *SMALL, "run.folder=one")
    return folder / "one"


def agent(model, actions=2):
    return Agent(AgentSpec((3,), discrete(actions), model))


MODEL = ModelConfig(encoder="mlp", encoder_sizes=(6,))


def test_all_that_fits_is_taken_and_the_rest_named(lender):
    saved = newest(lender)
    whole = read_weights(str(lender), agent(MODEL))
    assert whole.anew == ()
    assert set(whole.tensors) == set(saved)
    assert all(torch.equal(tensor, saved[name]) for name, tensor in whole.tensors.items())
    wider = read_weights(str(lender), agent(MODEL, actions=3))
    assert set(wider.anew) == {
        "policy.weight [2, 48] -> [3, 48]",
        "policy.bias [2] -> [3]",
        *(name for name in wider.anew if name.startswith("core.")),
    }
    assert any(name.startswith("encoder.") for name in wider.tensors)
    assert "value.weight" in wider.tensors
    normed = read_weights(str(lender), agent(ModelConfig(encoder="mlp", encoder_sizes=(6,), layer_norm=True)))
    assert set(normed.anew) == {"norm.weight", "norm.bias"}


def test_what_lends_nothing_is_told(lender, tmp_path):
    with pytest.raises(PretrainedError, match=r"weights_from=.*nowhere: there is no such file or folder"):
        read_weights(str(tmp_path / "nowhere"), agent(MODEL))
    with pytest.raises(PretrainedError, match="a folder without checkpoints: give a run's folder"):
        read_weights(str(tmp_path), agent(MODEL))
    other = Agent(AgentSpec((5,), discrete(7), ModelConfig(core="gru", hidden_sizes=(5,), encoder="none")))
    names = set(other.state_dict()) & set(newest(lender))
    assert names, "the names are the same, the shapes are not"
    with pytest.raises(PretrainedError, match="holds no agent of which any matrix fits"):
        read_weights(str(lender), other)


def test_only_the_named_weights_change(lender):
    learner = Learner(AgentSpec((3,), discrete(3), MODEL), AlgorithmConfig(), 1000, 0, "cpu")
    before = {name: tensor.clone() for name, tensor in learner.agent.state_dict().items()}
    lent = read_weights(str(lender), learner.agent).tensors
    learner.load_weights(lent)
    for name, tensor in learner.agent.state_dict().items():
        assert torch.equal(tensor, lent.get(name, before[name])), name
    with pytest.raises(RuntimeError, match="eye"):
        learner.load_weights({"eye": torch.zeros(1)})


def test_a_run_goes_on_from_another_ones_agent_on_another_task(lender, tmp_path):
    """Its first weights are those of the other run: with a learning rate of nothing, its last ones, too."""
    changed = ["task.common=0.7", "algo.learning_rate.start=1e-30", f"model.weights_from={lender}"]
    output = call(tmp_path, "train", "task=two_step", *SMALL, *changed, "run.folder=two")
    assert "weights" in output
    old, new = newest(lender), newest(tmp_path / "two")
    assert all(torch.equal(new[name], tensor) for name, tensor in old.items())
    assert "going on from" in call(tmp_path, "train", "resume=two", "run.env_steps=8000")
    wrong = ["model.encoder=none", "model.encoder_sizes=[]", "model.core=gru", "model.hidden_sizes=[5]"]
    told = call(tmp_path, "train", "task=bandit", *SMALL, *wrong, f"model.weights_from={lender}", status=2)
    assert "any matrix fits" in " ".join(told.split())

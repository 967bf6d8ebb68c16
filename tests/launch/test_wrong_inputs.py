"""Wrong command lines, all verbs: one or two lines that name the setting, an exit status, nothing made or changed."""

from __future__ import annotations

import sys

import pytest
from hydra._internal.hydra import Hydra
from prefrontal.launch import cli
from wrong_inputs import all_wrong_inputs, declared, train_small

WRONG = all_wrong_inputs()


@pytest.fixture(scope="module", autouse=True)
def composed_once():
    """Hydra composes a first time only to learn whether the command is a sweep; no command here is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hydra, "get_mode", lambda *_, **__: None)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a trained run in it."""
    folder = tmp_path_factory.mktemp("wrong")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", sys.argv)
        train_small(folder)
    return folder


def tree(folder):
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_input_is_named_and_changes_nothing(place, monkeypatch, capfd, wrong):
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", sys.argv)
    before = tree(place)
    status = cli.called(wrong.arguments)
    said = "".join(capfd.readouterr())
    assert status in (1, 2), said
    assert wrong.named in said
    assert "Traceback" not in said
    assert "unexpected" not in said
    assert tree(place) == before
    assert len(said.strip().splitlines()) <= 2, said


def test_there_are_many_and_all_verbs_have_their_share():
    assert len(declared()) >= 150
    for verb in cli.VERBS:
        assert any(wrong.arguments[0] == verb for wrong in WRONG), verb

"""`prefrontal reproduce`: interrupted and gone on with, failing parts, the page, the arithmetic of verdicts."""

from __future__ import annotations

import html.parser
import json
import math
import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
import yaml
from prefrontal.conf.checking import checked
from prefrontal.launch.reproduction.paper import Paper, Row, chosen
from prefrontal.launch.reproduction.verdicts import Verdict
from program import call, ended, start, wait_until
from scipy import stats

QUICK = ["task=two_step", "actors.envs=8", "run.env_steps=40000", "evaluate.episodes=40", "run.figures=0"]
PAPER = {
    "works": [{"key": "tiny2026", "title": "A & B", "authors": ["Doe, Jo"], "year": 2026, "doi": "10.1/x_y"}],
    "left_out": ["everything else"],
    "parts": [
        {
            "name": "first",
            "title": "The first <part>",
            "train": QUICK,
            "seconds": 5.0,
            "reference": "ideal observer",
            "evaluations": [{"name": "blind", "settings": ["perturb=[{input: prev_reward, set: 0}]", "episodes=40"]}],
            "figures": [{"name": "stay_probability", "caption": "Stays.", "alt": "Four bars"}],
            "rows": [
                {"name": "reward", "measure": "reward_per_trial", "at_least": 0.2, "published": 0.5, "source": "text"},
                {"name": "out of reach", "measure": "reward_per_trial", "at_least": 2.0, "every": True},
                {"name": "what is lost", "measure": "reward_per_trial", "of": "blind", "minus": "run"},
            ],
            "read": ["a fact"],
            "chosen": ["a choice"],
        },
        {"name": "second", "title": "Another", "train": [*QUICK, "model=gru"], "seconds": 5.0},
    ],
}


@pytest.fixture
def lab(tmp_path):
    """A folder with a paper of its own; what is called there finds it."""

    def write(paper):
        file = tmp_path / "conf" / "paper" / "tiny.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(paper))
        return tmp_path

    return write


TINY = ["reproduce", "tiny", "seeds=2", "--config-dir", "conf"]


def numbers(folder):
    """All that is told but times and places in them."""
    told = json.loads((folder / "runs/reproduce/tiny/report/results.json").read_text())
    for part in told["parts"].values():
        del part["time"]
    return told


class Page(html.parser.HTMLParser):
    """Collects images, addresses and the tags that are open."""

    def __init__(self, text):
        super().__init__()
        self.images, self.links, self.ids, self.loaded, self.open = [], [], set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids.add(attributes.get("id"))
        if tag == "img":
            self.images.append(attributes)
        if tag == "a":
            self.links.append(attributes["href"])
        if tag in ("script", "link", "iframe", "img"):
            self.loaded.append(attributes.get("src") or attributes.get("href"))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_interrupted_twice_it_goes_on_where_it_was(lab):
    folder = lab({**PAPER, "parts": PAPER["parts"][:1]})
    process = start(folder, *TINY, start_new_session=True)
    runs = folder / "runs/reproduce/tiny/first"
    first = wait_until(lambda: list(runs.glob("seed_*/checkpoints/*.safetensors")), process)[0]
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
    begun = json.loads((first.parents[1] / "provenance.json").read_text())
    process = start(folder, *TINY, start_new_session=True)
    wait_until(lambda: "at a time" in process.output(), process)
    os.killpg(process.pid, signal.SIGINT)
    assert "go on with: prefrontal reproduce tiny seeds=2" in ended(process, 130)
    call(folder, *TINY)
    played = json.loads((first.parents[1] / "provenance.json").read_text())
    assert played[: len(begun)] == begun, "it was not begun anew"
    for run in (runs / "seed_0", runs / "seed_1"):
        steps = [int(line.split(",")[0]) for line in (run / "metrics.csv").read_text().splitlines()[1:]]
        assert steps == sorted(set(steps))
        assert steps[-1] == 40_000
    (part,) = numbers(folder)["parts"].values()
    assert (part["seeds"], part["missing"], part["failed"]) == ([0, 1], [], {})
    assert "2 of 2 runs are there" in call(folder, *TINY), "nothing is played again"


def test_the_page(lab):
    folder = lab({**PAPER, "parts": PAPER["parts"][:1]})
    said = call(folder, *TINY)
    assert "out of reach: " in said
    report = folder / "runs/reproduce/tiny/report"
    text = (report / "index.html").read_text()
    page = Page(text)
    assert not page.open, "every tag is closed"
    assert [image["alt"] for image in page.images] == ["Four bars"]
    assert all(address.startswith("data:image/") for address in page.loaded), "nothing is fetched"
    assert text.isascii() or '<meta charset="utf-8">' in text
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids
        elif not link.startswith("https://"):
            assert (report / link).exists(), link
    assert "The first &lt;part&gt;" in text
    assert "1 of 2 targets are reached." in text
    assert "@article{tiny2026," in (report / "paper.bib").read_text()
    assert r"title = {{A \& B}}" in (report / "paper.bib").read_text()
    found = numbers(folder)
    reward, beyond, lost = found["parts"]["first"]["rows"]
    runs = [json.loads((folder / f"runs/reproduce/tiny/first/seed_{n}/results.json").read_text()) for n in (0, 1)]
    values = [run["reward_per_trial"] for run in runs]
    assert list(reward["values"].values()) == values
    assert reward["mean"] == pytest.approx(sum(values) / 2)
    assert (reward["reached"], beyond["reached"], lost["reached"]) == (True, False, None)
    assert beyond["short_by"] == pytest.approx(2 - min(values))
    assert reward["ideal"] == pytest.approx(0.7, abs=0.03)
    assert "--config-dir" not in found["command"]


TOGETHER = {
    "name": "both",
    "title": "LSTM & GRU",
    "parts": "*",
    "figures": [{"name": "stay_probability", "caption": "Both.", "alt": "Eight bars"}],
}


def test_parts_in_one_figure(lab):
    first, second = ({**part, "evaluations": [], "rows": []} for part in PAPER["parts"])
    folder = lab({**PAPER, "parts": [first, second], "comparisons": [TOGETHER]})
    call(folder, "reproduce", "tiny", "seeds=2", "figures=[second]", *TINY[3:])
    assert numbers(folder)["comparisons"] == {}, "one agent alone"
    call(folder, "reproduce", "tiny", "seeds=1", "figures=[first]", *TINY[3:])
    home = folder / "runs/reproduce/tiny"
    assert Page((home / "report/index.html").read_text()).ids >= {"both", "first", "second"}
    call(folder, "reproduce", "tiny", "seeds=2", "figures=[both]", *TINY[3:])
    page = Page(text := (home / "report/index.html").read_text())
    assert not page.open
    assert "Eight bars" in [image["alt"] for image in page.images]
    assert "LSTM &amp; GRU" in text
    assert all(link[1:] in page.ids for link in page.links if link.startswith("#"))
    (both,) = numbers(folder)["comparisons"].values()
    assert (both["parts"], both["figures"], both["failed"]) == (["first", "second"], ["stay_probability"], {})
    means = {
        agent: [
            json.loads((home / part / f"seed_{seed}/results.json").read_text())["reward_per_trial"] for seed in (0, 1)
        ]
        for agent, part in (("lstm", "first"), ("gru", "second"))
    }
    tests = both["tests"]["reward_per_trial"]
    assert tests["gru"] == {
        "mean": pytest.approx(sum(means["gru"]) / 2),
        "sd": pytest.approx(np.std(means["gru"], ddof=1)),
        "seeds": 2,
    }
    t, p = stats.ttest_ind(means["lstm"], means["gru"], equal_var=False)
    assert tests["lstm_vs_gru"] == {"t": pytest.approx(t), "p": pytest.approx(p)}
    drawn = home / "both/figures/stay_probability.png"
    before = drawn.stat().st_mtime_ns
    call(folder, *TINY)
    assert drawn.stat().st_mtime_ns == before, "there is nothing new"
    said = call(lab({**PAPER, "comparisons": [{**TOGETHER, "parts": "f*"}]}), *TINY, status=2)
    assert "comparisons[0].parts=f*: less than two parts are called so: ['first', 'second']" in said


def test_a_part_that_fails_lets_the_others_go_on(lab):
    broken = {**PAPER["parts"][1], "name": "broken", "evaluations": [{"name": "x", "settings": ["task.common=2"]}]}
    never = {**broken, "evaluations": [{"name": "control", "settings": ["closed_units=[3]"]}]}
    nowhere = {**PAPER["parts"][0], "reference": "oracle"}
    for part, told in (
        (never, "name=control"),
        (nowhere, "part first: there is no reference 'oracle'; there is: ['ideal"),
    ):
        said = call(lab({**PAPER, "parts": [part]}), "reproduce", "tiny", "seeds=1", *TINY[3:], status=2)
        assert told in " ".join(said.split())
        assert not (lab({}) / "runs" / "reproduce" / "tiny" / part["name"]).exists(), "nothing was trained"
    folder = lab({**PAPER, "parts": [broken, PAPER["parts"][1]]})
    said = call(folder, "reproduce", "tiny", "seeds=1", *TINY[3:], status=1)
    assert "failed: broken, seed 0 (status 2)" in said
    assert "task.common" in said
    text = (folder / "runs/reproduce/tiny/report/index.html").read_text()
    assert "1 command failed" in text
    assert numbers(folder)["parts"]["second"]["seeds"] == [0]
    lab({**PAPER, "parts": [{**PAPER["parts"][0], "evaluations": [], "rows": []}, PAPER["parts"][1]]})
    call(folder, "reproduce", "tiny", "seeds=1", "figures=[stay_probability]", *TINY[3:])
    assert [*numbers(folder)["parts"]] == ["first", "second"], "what was there stays on the page"


def test_what_was_made_with_other_settings_is_not_mixed_in(lab):
    one = {**PAPER, "parts": [PAPER["parts"][1]]}
    folder = lab(one)
    call(folder, "reproduce", "tiny", "seeds=1", *TINY[3:])
    lab({**one, "parts": [{**PAPER["parts"][1], "train": [*QUICK, "model=gru", "algo.discount=0.7"]}]})
    said = call(folder, *TINY, status=2)
    assert "was trained with algo.discount=0.5, and algo.discount=0.7 is asked for now: give another folder=" in said


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["wang201"], "did you mean paper=wang2018?"),
        (["wang2018", "figures=[two_steps]"], "did you mean two_step?"),
        (["wang2018", "seeds=0"], "seeds=0: a whole number, at least 1"),
        (["wang2018", "folder=s3://bucket/x"], "folder=s3://bucket/x: a path"),
        (["wang2018", "cluster=nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_is_told(tmp_path, asked, said):
    printed = call(tmp_path, "reproduce", *asked, status=2)
    assert said in printed
    assert "Traceback" not in printed


def test_all_papers_are_listed_and_can_be_planned(tmp_path):
    said = call(tmp_path, "reproduce")
    names = [file.stem for file in (Path(__file__).parents[2] / "conf" / "paper").glob("*.yaml")]
    assert names
    assert all(name in said for name in names)


def test_the_example_in_the_documentation_is_a_paper():
    text = (Path(__file__).parents[2] / "docs" / "reproduce.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    paper = checked(Paper, yaml.safe_load(example))
    assert [one.of for one in paper.parts[0].rows] == [None, "blind"]
    assert [part.name for part in paper.parts if paper.comparisons[0].compares(part.name)] == [
        "two_step",
        "two_step_gru",
    ]
    assert chosen(paper, ["networks"]) == list(paper.parts)
    assert chosen(paper, ["stay_probability"]) == [paper.parts[0]]


def row(**fields):
    return Row(name="x", measure="x", **fields)


@pytest.mark.parametrize(
    ("fields", "values", "short_by"),
    [
        ({"at_least": 1.0}, [0.5, 1.7], 0.0),
        ({"at_least": 1.0, "every": True}, [0.5, 1.7], 0.5),
        ({"at_most": 1.0}, [1.5, 1.7], 0.6),
        ({"at_least": 0.0, "at_most": 1.0, "every": True}, [-0.25, 1.125], 0.25),
        ({"at_least": 1.0}, [math.nan, 2.0], math.inf),
    ],
)
def test_verdicts(fields, values, short_by):
    verdict = Verdict(row(**fields), dict(enumerate(values)), None)
    assert verdict.short_by == pytest.approx(short_by)
    assert verdict.reached == (short_by == 0)


def test_without_a_target_or_a_run_nothing_is_judged():
    assert Verdict(row(), {0: 1.0}, None).reached is None
    assert Verdict(row(at_least=0.0), {}, None).reached is None
    assert Verdict(row(), {0: 1.0, 1: 3.0}, None).sd == pytest.approx(math.sqrt(2))

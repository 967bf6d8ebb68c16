"""Levels of DeepMind Lab: short names, and what has to be known of some of them before they start."""

from __future__ import annotations

from dataclasses import dataclass

HARLOW = "contributed/psychlab/harlow"

_DMLAB30 = """
rooms_collect_good_objects_test rooms_collect_good_objects_train rooms_exploit_deferred_effects_test
rooms_exploit_deferred_effects_train rooms_select_nonmatching_object rooms_watermaze rooms_keys_doors_puzzle
language_select_described_object language_select_located_object language_execute_random_task
language_answer_quantitative_question lasertag_one_opponent_small lasertag_three_opponents_small
lasertag_one_opponent_large lasertag_three_opponents_large natlab_fixed_large_map natlab_varying_map_regrowth
natlab_varying_map_randomized skymaze_irreversible_path_hard skymaze_irreversible_path_varied
psychlab_arbitrary_visuomotor_mapping psychlab_continuous_recognition psychlab_sequential_comparison
psychlab_visual_search explore_object_locations_small explore_object_locations_large explore_obstructed_goals_small
explore_obstructed_goals_large explore_goal_locations_small explore_goal_locations_large explore_object_rewards_few
explore_object_rewards_many
"""

_PSYCHLAB = """
arbitrary_visuomotor_mapping continuous_recognition cued_temporal_production glass_pattern_detection harlow
landoltC_identification motion_discrimination motion_discrimination_easy multiple_object_tracking
multiple_object_tracking_easy odd_one_out ready_set_go sequential_comparison temporal_bisection
temporal_discrimination visual_search
"""

SHORT_NAMES = {
    **{name: f"contributed/psychlab/{name}" for name in str.split(_PSYCHLAB)},
    **{name: f"contributed/dmlab30/{name}" for name in str.split(_DMLAB30)},
}
"""Levels that may be called by the last part of their name: those of DMLab-30 (30 tasks, two of them with a train and
a test level) and of PsychLab."""

_ALL_IMAGES = 2400


@dataclass(frozen=True)
class Level:
    """A level and what is known of it."""

    name: str
    """As the game knows it: the script's path below `levels/`, without its ending."""
    images: int = 0
    """Pictures `0001.png`, ... that it shows and that do not come with the game; 0: none."""
    clock_frames: int = 0
    """Frames after which its own clock ends an episode; 0: not known."""


_KNOWN = {
    level.name: level
    for level in (
        Level(HARLOW, images=1000, clock_frames=18_000),
        Level("contributed/psychlab/arbitrary_visuomotor_mapping", images=_ALL_IMAGES),
        Level("contributed/psychlab/continuous_recognition", images=_ALL_IMAGES),
        Level("contributed/dmlab30/psychlab_arbitrary_visuomotor_mapping", images=_ALL_IMAGES),
        Level("contributed/dmlab30/psychlab_continuous_recognition", images=_ALL_IMAGES),
    )
}


def find_level(name: str) -> Level:
    """The level of that name, short or in full; what is not known here is left to the game."""
    full = SHORT_NAMES.get(name, name.strip("/"))
    return _KNOWN.get(full, Level(full))

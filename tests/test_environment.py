from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from casher_franka.arm import HOME_JOINTS
from casher_policy.action import Action
from casher_policy.task import task_named
from casher_sim.batch_world import Setting
from casher_sim.environment import KitchenEnv
from casher_sim.episode_draw import uniforms
from casher_sim.kitchen import Kitchen, kitchen_named
from casher_sim.objects import object_named
from casher_sim.twin_kitchen import TwinKitchen
from tests.twins import small_twin, write_twin

TASK = task_named("put_in_sink")
BOX, MUG = (Setting(kitchen_named("demo"), object_named(name)) for name in ("box", "mug"))
LOW_BOX = Setting(Kitchen("low", counter_z=-0.02), object_named("box"))


def make(num_envs=2, settings=(BOX,), task=TASK, **options):
    return KitchenEnv(settings, task, num_envs, **options)


def short(horizon):
    return replace(TASK, horizon=horizon)


def roll(env, steps, seed=0, keep=None):
    """Observations of `steps` random actions, (steps, keep, size); a world's actions do not depend on the others'."""
    keep = keep or env.num_envs
    actions = (uniforms(np.arange(env.num_envs), np.full(env.num_envs, seed), steps) * 14).astype(int)
    return np.array([env.step(actions[:, i])[0][:keep] for i in range(steps)])


def place_in_sink(env, world):
    """Put that world's object onto the basin's floor, open-handed."""
    group = env.world._groups[env.world.setting_of[world]]
    own = world // len(env.world.settings)
    group._qpos[own, group.scene.object_qpos] = [*env.world.p_base_site[world] + [0, 0, 0.001], 1.0, 0.0, 0.0, 0.0]


def test_the_spaces_are_gymnasiums_and_hold_what_comes_out():
    env = make()
    assert isinstance(env, gymnasium.vector.VectorEnv)
    assert env.single_action_space == gymnasium.spaces.Discrete(14)
    assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    observations, info = env.reset(seed=0)
    assert info == {}
    assert env.observation_space.contains(observations)
    env.action_space.seed(0)
    observations, rewards, terminated, truncated, info = env.step(env.action_space.sample())
    assert env.observation_space.contains(observations)
    assert rewards.shape == terminated.shape == truncated.shape == info["success"].shape == (2,)
    assert rewards.dtype == np.float64 and terminated.dtype == truncated.dtype == bool
    assert set(info["unfulfilled"]) == set(TASK.conditions)
    env.close()


def test_the_observation_says_what_the_table_says():
    env = make(4, (BOX, MUG))
    observations, _ = env.reset(seed=3)
    world = env.world
    assert observations.shape == (4, 21)
    assert np.allclose(observations[:, :3], world.object_qpos[:, :3], atol=1e-6)
    assert np.allclose(np.linalg.norm(observations[:, 3:7], axis=1), 1.0)
    assert np.allclose(observations[:, 7:9], 1.0, atol=0.01)
    assert np.allclose(observations[:, 13:16], world.T_base_tcp[:, :3, 3], atol=1e-6)
    assert np.allclose(observations[:, 16:19], world.p_base_site, atol=1e-6)
    assert np.allclose(
        observations[:, 19:], 2 * [[s.object_model.radius, s.object_model.height] for s in (BOX, MUG)], atol=1e-6
    )
    home = world.kinematics.forward(np.array(HOME_JOINTS))[:3, 3]
    assert np.allclose(observations[:, 13:16], home, atol=0.001)


def test_turning_the_tool_to_and_fro_makes_no_jump_in_its_quaternion():
    env = make(1)
    before, _ = env.reset(seed=0)
    for action in (Action.PLUS_RX, Action.MINUS_RX, Action.MINUS_RX, Action.PLUS_RY, Action.MINUS_RY, Action.MINUS_RY):
        after = env.step(np.array([action]))[0]
        assert np.linalg.norm(after[0, 9:13] - before[0, 9:13]) < 0.2
        before = after


def test_the_seed_says_everything_whatever_the_threads_and_the_number_of_worlds():
    runs = []
    for num_envs, threads in ((6, 1), (6, 2), (4, 1)):
        env = make(num_envs, (BOX, MUG), task=short(4), threads=threads)
        first, _ = env.reset(seed=7)
        runs.append(np.concatenate([first[None, :4], roll(env, 6, keep=4)]))
    assert np.array_equal(runs[0], runs[1])
    assert np.array_equal(runs[0], runs[2])
    assert not np.allclose(runs[0][0, 0], runs[0][0, 2])
    assert not np.allclose(runs[0][0, 0], runs[0][4, 0])  # the next episode of the same world is another one


def test_worlds_may_have_seeds_of_their_own():
    env = make(3)
    all_at_once, _ = env.reset(seed=5)
    one_by_one, _ = env.reset(seed=[5, 6, 5])
    assert np.array_equal(one_by_one[:2], all_at_once[:2])
    assert np.array_equal(one_by_one[2], one_by_one[0])
    with pytest.raises(ValueError, match="an integer or 3 of them, got 2"):
        env.reset(seed=[1, 2])


def test_a_reset_by_ids_leaves_the_others_untouched_bit_for_bit():
    for options in ({"ids": np.array([False, True, False])}, {"ids": [1]}, {"reset_mask": np.array([0, 1, 0], bool)}):
        env, other = make(3, (BOX, MUG)), make(3, (BOX, MUG))
        env.reset(seed=1)
        other.reset(seed=1)
        before = roll(env, 2)[-1]
        roll(other, 2)
        after, _ = env.reset(options=options)
        assert np.array_equal(after[[0, 2]], before[[0, 2]])
        assert not np.allclose(after[1], before[1])
        assert np.array_equal(roll(env, 2, seed=1)[:, [0, 2]], roll(other, 2, seed=1)[:, [0, 2]])
        assert env.steps_done.tolist() == [4, 2, 4]


def test_at_the_horizon_an_episode_is_cut_and_the_next_begins_in_the_same_step():
    env = make(2, task=short(3))
    env.reset(seed=0)
    env.reset(options={"ids": [1]})
    roll(env, 1)
    env.reset(options={"ids": [1]})
    roll(env, 1)
    observations, rewards, terminated, truncated, info = env.step(np.full(2, Action.OPEN))
    assert truncated.tolist() == [True, False] and not terminated.any() and not rewards.any()
    assert info["_final_obs"].tolist() == [True, False]
    assert info["steps"].tolist() == [3, 2] and env.steps_done.tolist() == [0, 2]
    assert info["unfulfilled"]["inside the sink"] == 1
    assert not np.allclose(info["final_obs"][0], observations[0])
    assert np.array_equal(info["final_obs"][1], observations[1])


def test_success_ends_the_episode_with_the_only_reward():
    env = make(2)
    env.reset(seed=0)
    place_in_sink(env, 1)
    _, rewards, terminated, truncated, info = env.step(np.full(2, Action.OPEN))
    assert rewards.tolist() == [0.0, 1.0]
    assert terminated.tolist() == [False, True] and not truncated.any()
    assert info["success"].tolist() == [False, True]
    assert sum(info["unfulfilled"].values()) == 0
    assert np.allclose(info["final_obs"][1, :2], info["final_obs"][1, 16:18], atol=0.005)


def test_a_lost_object_ends_the_episode_without_reward():
    env = make(2)
    env.reset(seed=0)
    group = env.world._groups[0]
    group._qpos[0, group.scene.object_qpos] = [3.0, 0.0, 0.5, 1.0, 0.0, 0.0, 0.0]
    _, rewards, terminated, _, info = env.step(np.full(2, Action.OPEN))
    assert info["lost"].tolist() == terminated.tolist() == [True, False]
    assert not rewards.any()


def test_an_object_far_below_the_shelf_it_belongs_onto_is_not_lost():
    env = make(1)
    env.reset(seed=0)
    env.world._sites.position[:, 2] += 1.0
    assert not env.step(np.array([Action.OPEN]))[4]["lost"].any()
    group = env.world._groups[0]
    group._qpos[0, group.scene.object_qpos.start + 2] -= 0.6
    assert env.step(np.array([Action.OPEN]))[4]["lost"].all()


def test_a_world_whose_physics_fails_ends_and_starts_again():
    env = make(2)
    env.reset(seed=0)
    env.world._groups[0]._qpos[0, 0] = np.nan
    observations, rewards, terminated, _, info = env.step(np.full(2, Action.OPEN))
    assert info["broken"].tolist() == terminated.tolist() == [True, False]
    assert np.isfinite(observations).all() and np.isfinite(info["final_obs"]).all() and not rewards.any()
    _, _, terminated, _, info = env.step(np.full(2, Action.PLUS_Z))
    assert not terminated.any() and not info["broken"].any()


def test_without_autoreset_a_world_that_ended_stands_still_until_it_is_reset():
    env = make(2, task=short(3), autoreset_mode=AutoresetMode.DISABLED)
    with pytest.raises(RuntimeError, match="call reset first"):
        env.step(np.zeros(2, dtype=int))
    env.reset(seed=0)
    roll(env, 2)
    env.reset(options={"ids": [1]})
    first, _, _, truncated, info = env.step(np.full(2, Action.OPEN))
    assert truncated.tolist() == [True, False] and "final_obs" not in info
    second, rewards, _, truncated, info = env.step(np.full(2, Action.PLUS_Z))
    assert (second[0] == first[0]).all() and (second[1] != first[1]).any()
    assert truncated.tolist() == [True, False] and info["steps"].tolist() == [3, 2] and not rewards.any()
    env.reset(options={"ids": truncated})
    _, _, _, truncated, info = env.step(np.full(2, Action.PLUS_Z))
    assert truncated.tolist() == [False, True] and info["steps"].tolist() == [1, 3]
    with pytest.raises(ValueError, match="SAME_STEP or DISABLED here"):
        make(autoreset_mode=AutoresetMode.NEXT_STEP)


def test_presets_differ_in_the_turn_of_an_action_the_goal_and_the_shift():
    turned, shift = {}, {}
    for preset in ("released", "paper"):
        env = make(64, preset=preset)
        observations, _ = env.reset(seed=0)
        assert observations.shape[1] == (21 if preset == "released" else 16)
        shift[preset] = np.abs(env.world.shift).max(axis=0)
        before = env.world.T_base_tcp[:, :3, :3].copy()
        env.step(np.full(64, Action.PLUS_RZ))
        cosine = (np.einsum("bij,bij->b", before, env.world.T_base_tcp[:, :3, :3]) - 1) / 2
        turned[preset] = np.median(np.arccos(np.clip(cosine, -1, 1)))
    assert turned["released"] == pytest.approx(0.2, abs=0.01)
    assert turned["paper"] == pytest.approx(0.02, abs=0.005)
    assert (shift["released"] <= 0.03).all() and (shift["paper"] <= 0.1).all() and (shift["paper"] > 0.07).all()
    with pytest.raises(ValueError, match="known are released, paper"):
        make(preset="authors")


def test_episodes_start_all_over_the_randomisations_ranges():
    env = make(256)
    env.reset(seed=0)
    p = env.world.object_qpos[:, :3] - env.world.shift
    for sign in (-1.0, 1.0):
        side = p[sign * p[:, 1] > 0]
        assert 90 < len(side) < 166
        off = side[:, :2] - BOX.place.start("left" if sign > 0 else "right").position[:2]
        assert (np.abs(off) < 0.105).all() and (off.min(axis=0) < -0.08).all() and (off.max(axis=0) > 0.08).all()


def test_worlds_take_turns_among_the_settings():
    env = make(5, (BOX, LOW_BOX))
    observations, _ = env.reset(seed=0)
    heights = observations[:, 2] - env.world.shift[:, 2]
    assert np.allclose(heights, [0.05, -0.02, 0.05, -0.02, 0.05], atol=0.004)


def test_opening_a_cabinet_shows_the_door_in_the_objects_place(tmp_path):
    place = TwinKitchen(write_twin(small_twin(), tmp_path / "twin"))
    env = KitchenEnv([Setting(place, None)], task_named("open_cabinet"), 2)
    observations, _ = env.reset(seed=0)
    assert np.allclose(observations[:, :3] - env.world.shift, place.handle.position, atol=0.005)
    group = env.world._groups[0]
    group._qpos[0, group.scene.door_qpos] = 0.9
    observations, rewards, terminated, _, info = env.step(np.full(2, Action.OPEN))
    assert terminated.tolist() == [True, False] and rewards.tolist() == [1.0, 0.0]
    opened = info["final_obs"][0, :3] - observations[1, :3]
    assert np.linalg.norm(opened[:2]) > 0.25  # 0.35 m from the hinge, turned by 0.9 rad
    _, data = env.world.data(1)
    assert np.allclose(data.site_xpos[group.scene.handle_site], observations[1, :3], atol=1e-4)


def test_wrong_actions_and_options_are_refused():
    env = make(2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions are \(2,\) integers"):
        env.step(np.zeros(3, dtype=int))
    with pytest.raises(ValueError, match=r"an action is an integer 0\.\.13"):
        env.step(np.array([0, 14]))
    with pytest.raises(ValueError, match="unknown options side: known are ids, reset_mask"):
        env.reset(options={"side": "left"})
    with pytest.raises(ValueError, match="indices below 2"):
        env.reset(options={"ids": [2]})


def test_gymnasiums_episode_statistics_wrap_it():
    env = gymnasium.wrappers.vector.RecordEpisodeStatistics(make(2, task=short(2)))
    env.reset(seed=0)
    env.step(np.full(2, Action.OPEN))
    info = env.step(np.full(2, Action.OPEN))[-1]
    assert info["episode"]["l"].tolist() == [2, 2]

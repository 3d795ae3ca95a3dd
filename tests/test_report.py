"""The report: recomputed from bags alone, nothing pooled that does not belong together."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from bags import START_NS, episode, kitchen_cloud, write_episode

from casher_bringup.cloud_picture import BACKGROUND, png, points_of, render
from casher_bringup.episode_bags import read_episodes
from casher_bringup.recover import recover
from casher_bringup.report import ReportArgs, main
from casher_bringup.report_summary import summarise
from casher_perception.conversions import cloud_message
from casher_policy.statistics import clopper_pearson, percentiles, wilson

OUTCOMES = ("success", "failure", "success", "fault", "aborted", "success", "failure")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Seven episodes, one of them unfinished besides, under one folder."""
    folder = tmp_path_factory.mktemp("run")
    for index, outcome in enumerate(OUTCOMES):
        record = episode(
            index=index,
            seed=index,
            outcome=outcome,
            object=("mug", "bowl")[index % 2],
            side=("left", "right")[index // 4],
            reason="" if outcome == "success" else f"because {outcome}",
            start_ns=START_NS + index * 10**11,
            end_ns=START_NS + index * 10**11 + 5 * 10**9,
            steps=6,
            messages_dropped=index % 2,
        )
        write_episode(folder / f"episode_{index}", record, points=400)
    write_episode(folder / "episode_killed", episode(episode_id="killed", index=9), points=100, finish=False)
    return folder


@pytest.fixture(scope="module")
def summary(run):
    return summarise(read_episodes(run, pictures=False), run)


def test_only_successes_and_failures_are_trials(summary):
    (group,) = summary["groups"]
    assert (group["success"]["successes"], group["success"]["trials"]) == (3, 5)
    assert group["success"]["wilson"] == list(wilson(3, 5))
    assert group["success"]["clopper_pearson"] == list(clopper_pearson(3, 5))
    assert group["not_counted"] == {"fault": 1, "aborted": 1}
    assert group["faults"] == {"because fault": 1}
    assert len(group["episodes"]) == len(OUTCOMES)


@pytest.mark.parametrize("by", ["by_object", "by_side"])
def test_the_parts_add_up_to_the_whole(summary, by):
    (group,) = summary["groups"]
    for count in ("successes", "trials"):
        assert sum(rate[count] for rate in group[by].values()) == group["success"][count]
        cells = [rate[count] for sides in group["by_object_and_side"].values() for rate in sides.values()]
        assert sum(cells) == group["success"][count]


def test_times_and_drops_are_those_in_the_bags(run, summary):
    (group,) = summary["groups"]
    usable = [bag for bag in read_episodes(run, pictures=False) if not bag.problem]
    ages = [age for bag in usable for age in bag.times["cloud_age_s"]]
    assert group["times"]["cloud_age_s"] == percentiles(ages) and len(ages) == 6 * len(OUTCOMES)
    assert group["times"]["step_s"]["p50"] == pytest.approx(0.2)
    assert group["messages_dropped"] == 3


def test_a_camera_that_had_moved_is_told_once_with_how_many_episodes(tmp_path, capsys):
    fine, gone = (b"\x00", "the cameras agree"), (b"\x02", "camera_left has moved by 8.1 mm and 1.00 deg")
    for index, drift in enumerate(((), (fine, fine), (gone, fine), (fine, gone), (gone, gone))):
        record = episode(index=index, start_ns=START_NS + index * 10**11, steps=2)
        write_episode(tmp_path / str(index), record, points=100, drift=drift)
    (group,) = summarise(read_episodes(tmp_path, pictures=False), tmp_path)["groups"]
    assert group["drift"] == [gone[1]] * 2  # by the end of the episode
    assert main(ReportArgs(tmp_path)) == 0
    printed = " ".join(capsys.readouterr().out.split())
    sentence = "a camera had moved in 2 episodes, last: camera_left has moved by 8.1 mm and 1.00 deg"
    assert sentence in printed and sentence in (tmp_path / "report.html").read_text()


def test_an_unfinished_bag_is_listed_with_what_to_do_and_counts_once_recovered(run, tmp_path):
    write_episode(tmp_path / "a", episode(steps=2), points=100)
    write_episode(tmp_path / "b", episode(episode_id="killed", steps=2), points=100, finish=False)._mcap._file.close()
    before = summarise(read_episodes(tmp_path, pictures=False), tmp_path)
    assert [p["bag"] for p in before["problems"]] == ["b"]
    assert "casher bag recover" in before["problems"][0]["problem"]
    recover(tmp_path / "b")
    (group,) = summarise(read_episodes(tmp_path, pictures=False), tmp_path)["groups"]
    assert group["not_counted"]["aborted"] == 1 and group["success"]["trials"] == 1


def test_a_bag_that_is_being_recorded_is_not_called_unfinished(tmp_path):
    writer = write_episode(tmp_path / "a", episode(steps=2), points=100, finish=False)
    (bag,) = read_episodes(tmp_path)
    assert bag.problem == "is being recorded"
    writer.close()


@pytest.mark.parametrize("field", ["policy", "checkpoint_id", "task", "kitchen", "robot"])
def test_what_differs_in_what_matters_is_never_counted_together(tmp_path, field):
    write_episode(tmp_path / "a", episode(steps=1), points=100)
    write_episode(tmp_path / "b", episode(steps=1, episode_id="other", **{field: "other"}), points=100)
    groups = summarise(read_episodes(tmp_path, pictures=False), tmp_path)["groups"]
    assert [group["success"]["trials"] for group in groups] == [1, 1]


def test_several_kitchens_have_their_own_numbers_and_a_total_over_them(tmp_path, capsys):
    outcomes = ("success", "failure", "success", "success", "fault")
    for index, (kitchen, outcome) in enumerate(zip("aabbb", outcomes, strict=True)):
        record = episode(index=index, kitchen=f"kitchen_{kitchen}", outcome=outcome, steps=1)
        write_episode(tmp_path / str(index), record, points=50)
    assert main(ReportArgs(tmp_path)) == 0
    summary = json.loads((tmp_path / "report.json").read_text())
    assert [group["kitchen"] for group in summary["groups"]] == ["kitchen_a", "kitchen_b"]
    (total,) = summary["over_kitchens"]
    counted = {name: (rate["successes"], rate["trials"]) for name, rate in total["by_kitchen"].items()}
    assert counted == {"kitchen_a": (1, 2), "kitchen_b": (2, 2)}
    assert total["success"]["wilson"] == list(wilson(3, 4))
    assert re.search(r"put_in_sink over 2 kitchens(.|\n)*all +3/4(.|\n)*kitchen_b +2/2", capsys.readouterr().out)
    page = (tmp_path / "report.html").read_text()
    assert "2 kitchens" in page and "different evaluations" not in page


def test_names_of_kitchens_are_whole_however_narrow_the_terminal_is(tmp_path, monkeypatch, capsys):
    kitchens = [f"{'the_same_long_name_of_a_kitchen' * 2}_{number}" for number in (1, 2)]
    for number, kitchen in enumerate(kitchens):
        write_episode(tmp_path / str(number), episode(index=number, kitchen=kitchen, steps=1), points=50)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(ReportArgs(tmp_path)) == 0
    rows = capsys.readouterr().out.partition("over 2 kitchens")[2].splitlines()
    names = "".join(row.split("  ")[0] for row in rows)
    assert all(kitchen in names for kitchen in kitchens)


def test_two_versions_within_a_group_are_named(tmp_path, capsys):
    write_episode(tmp_path / "a", episode(steps=1), points=100)
    write_episode(tmp_path / "b", episode(steps=1, episode_id="other", software="later"), points=100)
    assert main(ReportArgs(tmp_path)) == 0
    assert "0123abcd, later (more than one!)" in capsys.readouterr().out


def test_a_copy_of_a_bag_counts_once(tmp_path):
    write_episode(tmp_path / "a", episode(steps=1), points=100)
    write_episode(tmp_path / "copy_of_a", episode(steps=1), points=100)
    bags = read_episodes(tmp_path, pictures=False)
    assert [bool(bag.problem) for bag in bags] == [False, True]
    assert "same episode as a" in bags[1].problem


def test_a_damaged_or_foreign_bag_does_not_hide_the_others(tmp_path):
    write_episode(tmp_path / "good", episode(steps=1), points=100)
    write_episode(tmp_path / "damaged", episode(steps=1, episode_id="d"), points=100)
    path = tmp_path / "damaged" / "damaged_0.mcap"
    path.write_bytes(path.read_bytes()[:-100])
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "metadata.yaml").write_text("rosbag2_bagfile_information: 3")
    summary = summarise(read_episodes(tmp_path, pictures=False), tmp_path)
    assert summary["groups"][0]["success"]["trials"] == 1
    assert {p["bag"] for p in summary["problems"]} == {"damaged", "foreign"}


def test_the_command_writes_the_same_numbers_as_table_json_and_page(run, capsys):
    assert main(ReportArgs(run)) == 0
    out = capsys.readouterr().out
    saved = json.loads((run / "report.json").read_text())
    page = (run / "report.html").read_text()
    assert saved["format_version"] == 1 and saved["groups"][0]["success"]["trials"] == 5
    assert "3/5" in out and "1 fault and 1 aborted" in out and "casher bag recover" in out
    assert "3<i>/</i>5" in page and page.count("<article") == len(OUTCOMES)
    assert page.count("data:image/png;base64,") == 2 * len(OUTCOMES)
    assert not re.search(r'(src|href)="(?!data:)', page), "the page must be self-contained"


def test_json_on_request_is_all_there_is_on_stdout(run, capsys):
    assert main(ReportArgs(run, json=True)) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((run / "report.json").read_text())


def test_text_from_a_bag_is_no_markup(tmp_path, capsys):
    nasty = "<script>alert(1)</script>[bold]"
    write_episode(tmp_path / "a", episode(steps=1, outcome="fault", reason=nasty, kitchen=nasty), points=100)
    assert main(ReportArgs(tmp_path)) == 0
    assert "<script>" not in (tmp_path / "report.html").read_text()
    assert nasty in capsys.readouterr().out.replace("\n", "")


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir()])
def test_a_folder_without_bags_is_refused(tmp_path, make, capsys):
    make(tmp_path / "empty")
    assert main(ReportArgs(tmp_path / "empty")) == 2
    assert "casher report:" in capsys.readouterr().err


def test_the_report_needs_no_ros(tmp_path):
    """In a Python that cannot import any of ROS."""
    write_episode(tmp_path / "a", episode(steps=1), points=100)
    code = f"""
import sys
for name in ("rclpy", "casher_msgs", "sensor_msgs", "builtin_interfaces", "geometry_msgs", "std_msgs"):
    sys.modules[name] = None
from pathlib import Path
from casher_bringup.report import ReportArgs, main
sys.exit(main(ReportArgs(Path({str(tmp_path)!r}))))
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_the_nearer_of_two_points_is_the_one_in_the_picture():
    far = np.array([[0.5, 0.0, 0.0]], np.float32)
    near = far + 0.3 * (np.array([-0.75, -0.95, 1.05]) - far) / 2
    red, blue = np.array([[255, 0, 0]], np.uint8), np.array([[0, 0, 255]], np.uint8)
    for order in ([0, 1], [1, 0]):
        points, colours = np.concatenate([far, near])[order], np.concatenate([red, blue])[order]
        image = render(points.astype(np.float32), colours).astype(int)
        assert image[180, 240, 2] > 200 and image[180, 240, 0] < 50


def test_left_is_left_and_up_is_up_in_the_picture():
    def where(point):
        image = render(np.array([point], np.float32), np.array([[255, 255, 255]], np.uint8))
        rows, columns = np.nonzero((image.astype(int) - BACKGROUND).sum(axis=2) > 100)
        return columns.mean(), rows.mean()

    assert where((0.5, 0.2, 0.0))[0] < where((0.5, -0.2, 0.0))[0]
    assert where((0.5, 0.0, 0.2))[1] < where((0.5, 0.0, 0.0))[1]


def test_a_cloud_reaches_the_picture_with_its_points_and_colours():
    points, colours = kitchen_cloud((0.5, 0.3, 0.0), np.random.default_rng(0), 200)
    points[7] = np.nan
    seen_points, seen_colours = points_of(cloud_message(points, colours, "base", 0))
    keep = np.arange(200) != 7
    assert np.array_equal(seen_points, points[keep]) and np.array_equal(seen_colours, colours[keep])


def test_an_empty_cloud_gives_an_empty_picture():
    image = render(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8))
    assert (image == BACKGROUND).all() and png(image).startswith(b"\x89PNG")

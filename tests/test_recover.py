"""Recovering a bag whose recorder was killed."""

import shutil

import pytest
from bags import episode, write_episode
from hypothesis import given, settings
from hypothesis import strategies as st

from casher_bringup.recover import RecoverArgs, main, recover
from casher_perception.bag_reader import BagError, read_bag
from casher_policy.episode_topics import CLOUD_TOPIC, EPISODE_TOPIC, STEP_TOPIC

STEPS = 8


def killed(tmp_path_factory):
    """A bag as a killed recorder leaves it, and all its records in order."""
    whole = tmp_path_factory.mktemp("whole") / "bag"
    writer = write_episode(whole, episode(steps=STEPS), clouds=STEPS, points=300, finish=False)
    folder = tmp_path_factory.mktemp("killed") / "bag"
    shutil.copytree(whole, folder)
    writer.close()
    return folder, records(whole)


@pytest.fixture(scope="module")
def killed_bag(tmp_path_factory):
    return killed(tmp_path_factory)


@pytest.fixture(scope="module")
def chunked_bytes(tmp_path_factory):
    """The bytes of such a file with a chunk for every few messages, and its records in order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("casher_bringup.mcap_writer.CHUNK_BYTES", 8000)
        folder, written = killed(tmp_path_factory)
    return Original((folder / "bag_0.mcap").read_bytes(), written)


class Original(tuple):
    """(content, records) with a short name: hypothesis prints the arguments of what fails."""

    def __new__(cls, content, written):
        return super().__new__(cls, (content, written))

    def __repr__(self):
        return f"{len(self[0])} bytes, {len(self[1])} records"


def records(folder):
    return [(r.topic, r.log_ns, bytes(r.message)) for r in read_bag(folder, decoded=False)]


def unfinished(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("cut") / "bag"
    folder.mkdir()
    (folder / "bag_0.mcap").write_bytes(content)
    return folder


def test_everything_that_was_flushed_is_recovered_and_the_episode_is_aborted(killed_bag, tmp_path):
    folder, written = killed_bag
    shutil.copytree(folder, tmp_path / "bag")
    recovered = recover(tmp_path / "bag")
    assert records(tmp_path / "bag")[:-1] == written
    *_, last = read_bag(tmp_path / "bag", [EPISODE_TOPIC])
    assert (last.message.outcome, last.message.reason) == ("aborted", "recorder was killed")
    assert last.message.steps == STEPS and last.message.messages_recorded == len(written) - 1
    assert last.message.horizon == 135
    assert recovered.changed and recovered.aborted and recovered.lost_bytes == 0
    assert recovered.topics[STEP_TOPIC][0] == STEPS and recovered.topics[STEP_TOPIC][1] == pytest.approx(
        0.2 * (STEPS - 1)
    )


def test_the_original_is_kept_byte_for_byte(killed_bag, tmp_path):
    folder, _ = killed_bag
    shutil.copytree(folder, tmp_path / "bag")
    recover(tmp_path / "bag")
    original = (tmp_path / "bag" / "bag_0.mcap.unfinished").read_bytes()
    assert original == (folder / "bag_0.mcap").read_bytes()


def test_recovering_twice_changes_nothing(killed_bag, tmp_path):
    folder, _ = killed_bag
    shutil.copytree(folder, tmp_path / "bag")
    recover(tmp_path / "bag")
    first = {p.name: p.read_bytes() for p in (tmp_path / "bag").iterdir()}
    again = recover(tmp_path / "bag")
    assert not again.changed and {p.name: p.read_bytes() for p in (tmp_path / "bag").iterdir()} == first


def test_a_finished_bag_is_left_alone(tmp_path):
    write_episode(tmp_path / "bag", episode(steps=3))
    before = {p.name: p.read_bytes() for p in (tmp_path / "bag").iterdir()}
    assert not recover(tmp_path / "bag").changed
    assert {p.name: p.read_bytes() for p in (tmp_path / "bag").iterdir()} == before


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_file_cut_anywhere_gives_a_prefix_of_what_was_written(chunked_bytes, tmp_path_factory, data):
    content, written = chunked_bytes
    cut = data.draw(st.integers(0, len(content)))
    folder = unfinished(tmp_path_factory, content[:cut])
    try:
        recover(folder)
    except BagError as error:
        # up to the end of the first chunk nothing is whole
        assert "nothing can be recovered" in str(error) and cut < len(content) // 2
        assert (folder / "bag_0.mcap").read_bytes() == content[:cut]
        return
    found = records(folder)[:-1]
    assert found == written[: len(found)]
    # a chunk is at most 8000 bytes and a cloud: what is cut off is all that is lost
    assert sum(len(m) for _, _, m in found) >= cut - len(content) + sum(len(m) for _, _, m in written) - 16000


@given(st.binary(min_size=1, max_size=5000))
@settings(max_examples=40, deadline=None)
def test_garbage_at_the_end_costs_nothing(chunked_bytes, tmp_path_factory, garbage):
    content, written = chunked_bytes
    folder = unfinished(tmp_path_factory, content + garbage)
    recover(folder)
    assert records(folder)[: len(written)] == written
    assert len(records(folder)) == len(written) + 1


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_damaged_byte_never_becomes_a_message(chunked_bytes, tmp_path_factory, data):
    content, written = chunked_bytes
    place = data.draw(st.integers(0, len(content) - 1))
    damaged = bytearray(content)
    damaged[place] ^= data.draw(st.integers(1, 255))
    folder = unfinished(tmp_path_factory, bytes(damaged))
    try:
        recover(folder)
    except BagError:
        return
    payloads = {(ns, m) for _, ns, m in written}
    for topic, ns, message in records(folder):
        assert topic == EPISODE_TOPIC or (ns, message) in payloads


def test_a_recovery_that_was_killed_itself_is_taken_up_again(killed_bag, tmp_path):
    folder, written = killed_bag
    for renamed in (False, True):
        copy = tmp_path / f"bag{renamed}"
        shutil.copytree(folder, copy)
        (copy / "bag_0.mcap.part").write_bytes(b"half a file")
        if renamed:
            (copy / "bag_0.mcap").rename(copy / "bag_0.mcap.unfinished")
        recover(copy)
        assert records(copy)[:-1] == written
        assert not list(copy.glob("*.part"))


def test_a_bag_cut_after_it_was_finished_is_recovered_too(tmp_path):
    write_episode(tmp_path / "bag", episode(steps=STEPS))
    before = records(tmp_path / "bag")
    path = tmp_path / "bag" / "bag_0.mcap"
    path.write_bytes(path.read_bytes()[:-200])
    recovered = recover(tmp_path / "bag")
    assert recovered.changed and not recovered.aborted
    assert records(tmp_path / "bag") == before


def test_a_bag_that_is_being_written_is_refused(tmp_path):
    writer = write_episode(tmp_path / "bag", episode(steps=2), finish=False)
    with pytest.raises(BagError, match="being recorded right now"):
        recover(tmp_path / "bag")
    writer.close()
    assert recover(tmp_path / "bag").aborted


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: None, "is not a folder"),
        (lambda folder: folder.mkdir(), "0 files ending in .mcap"),
        (lambda folder: (folder.mkdir(), (folder / "a.db3").write_bytes(b"")), "sqlite3"),
        (lambda folder: (folder.mkdir(), (folder / "a.mcap").write_bytes(b"")), "it is empty"),
        (lambda folder: (folder.mkdir(), (folder / "a.mcap").write_bytes(b"x" * 99)), "does not begin as an mcap file"),
        (lambda folder: (folder.mkdir(), [(folder / f"{n}.mcap").write_bytes(b"") for n in "ab"]), "2 files"),
    ],
)
def test_what_is_no_bag_is_refused_and_says_why(tmp_path, make, says, capsys):
    make(tmp_path / "bag")
    assert main(RecoverArgs(tmp_path / "bag")) == 2
    assert says in capsys.readouterr().err


def test_the_command_says_how_much_of_each_topic_there_is(killed_bag, tmp_path, capsys):
    shutil.copytree(killed_bag[0], tmp_path / "bag")
    assert main(RecoverArgs(tmp_path / "bag")) == 0
    out = capsys.readouterr().out
    assert f"{STEP_TOPIC}: {STEPS} messages over 1.4 s" in out and CLOUD_TOPIC in out and "aborted" in out


def test_a_finished_bag_without_the_end_of_its_episode_is_given_one(tmp_path):
    folder = tmp_path / "bag"
    write_episode(folder, episode(steps=STEPS), clouds=2, points=50, finish=False).close()
    before = records(folder)
    assert recover(folder).aborted
    assert [r for r in records(folder) if r[0] != EPISODE_TOPIC] == [r for r in before if r[0] != EPISODE_TOPIC]
    last = next(read_bag(folder, [EPISODE_TOPIC], newest_first=True)).message
    assert last.outcome == "aborted" and last.steps == STEPS
    assert not recover(folder).changed


def test_a_folder_of_bags_is_refused_with_the_hint_to_name_one(tmp_path):
    write_episode(tmp_path / "bag", episode(steps=STEPS), clouds=2, points=50).close()
    with pytest.raises(BagError, match="name one of the folders in it"):
        recover(tmp_path)

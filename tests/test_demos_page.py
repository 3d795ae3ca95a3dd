"""The page to give demonstrations on, in a browser, by its keys."""

import itertools
import threading
import time

import pytest

from casher_policy.action import Action
from casher_training import demos_keys as keys
from casher_training.demos_collection import Collection
from casher_training.demos_expert import NoisyExpert
from casher_training.demos_page import ROBOT_DETAIL_M, DemoPage
from casher_training.demos_session import SimulatedDemo
from casher_training.effort import read_effort
from casher_training.scene_drawing import SceneDrawing
from casher_training.scenes import Scene, setting_of
from casher_training.trajectories import TrajectoryStore

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.timeout(900)
SEED = 5
PATIENCE_S = 200.0
SLOW_DRAWING = "window.requestAnimationFrame = draw => setTimeout(() => draw(performance.now()), 500)"
"""Two pictures a second: without a graphics card the browser would need all of the machine for more."""
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture
def browser_page():
    """A page of Chromium's own."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS, timeout=1000 * PATIENCE_S)
        page = browser.new_page(viewport={"width": 320, "height": 240})
        page.set_default_timeout(1000 * PATIENCE_S)
        page.add_init_script(SLOW_DRAWING)
        yield page
        browser.close()


class Person:
    """Sits in front of the page, and looks at what comes of each key before pressing the next."""

    def __init__(self, browser_page, page, collection):
        self.browser_page, self.page, self.collection = browser_page, page, collection
        browser_page.goto(f"http://localhost:{page.port}")

    def press(self, command, steps):
        """The key of an Action or a command; then there are so many steps."""
        known = {**keys.ACTIONS, **keys.COMMANDS}
        key = next(key for key, (of_key, _) in known.items() if of_key == command)
        before = self.collection.presses
        self.browser_page.keyboard.press({"enter": "Enter"}.get(key, key.lower()))
        end = time.monotonic() + PATIENCE_S
        while self.collection.presses == before or not self.page.idle:
            assert time.monotonic() < end, f"the page did not hear {key}"
            time.sleep(0.002)
        assert self.collection.demo.steps == steps

    def see(self, message="", **values):
        """Wait until the page says so."""
        wanted = "".join(f'[data-{name}="{value}"]' for name, value in values.items())
        self.browser_page.locator(f"#casher-status{wanted}", has_text=message).wait_for(state="attached")


def test_the_keys_do_the_actions_undo_them_and_save_what_succeeded(browser_page, tmp_path):
    scene = Scene("demo", "mug")
    demo, setting = SimulatedDemo(scene, "put_in_sink"), setting_of(scene)
    demo.start(SEED)
    assert NoisyExpert(demo, 0.0).run()
    actions = [Action(int(a)) for a in demo.trajectory("expert").actions]
    ledger = tmp_path / "effort.jsonl"
    with TrajectoryStore(tmp_path, "a") as store:
        collection = Collection(demo, store, ledger, itertools.count(SEED), 1)
        page = DemoPage(collection, SceneDrawing(setting.place, setting.object_model, ROBOT_DETAIL_M), port=18218)
        hands = threading.Thread(target=page.run, daemon=True)
        hands.start()
        person = Person(browser_page, page, collection)
        person.see(steps=0, saved=0, success=0)
        person.press(Action.MINUS_X, steps=1)
        person.press(keys.SAVE, steps=1)
        person.see("no success yet", steps=1, saved=0)
        person.press(keys.UNDO, steps=0)
        for step, action in enumerate(actions, start=1):
            person.press(action, steps=step)
        person.see("press enter to save", steps=len(actions), success=1)
        person.press(keys.SAVE, steps=len(actions))
        person.see("saved: 1 of 1", saved=1)
        hands.join(PATIENCE_S)
        assert not hands.is_alive() and page.dropped == 0
        page.close()
        collection.close()
    with TrajectoryStore(tmp_path) as store:
        (kept,) = store.trajectories(task="put_in_sink", twin="demo", source="human")
        assert kept.actions.tolist() == actions and kept.seed == SEED and len(store) == 1
    entries, problems = read_effort(ledger)
    assert not problems and entries[0].id == "demo.put_in_sink.human.0.h5:demo_0"
    assert entries[0].human_s == pytest.approx(kept.human_s, abs=0.01) and kept.human_s > 0

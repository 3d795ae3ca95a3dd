"""In the place of a demos_recorder_node.DemoRecorder where nothing of the cameras is wanted (--no-bag)."""


class NoRecorder:
    """Nobody is asked for anything, and a student cannot learn from what is saved."""

    begun, name, is_open = "", "", False

    def require(self):
        """Nothing is needed."""

    def require_recording(self):
        """Nothing is needed."""

    def begin(self, episode):
        """Nothing begins."""

    def look(self, settled_ns):
        """Nothing is seen."""

    def note(self, *_):
        """Nobody is told."""

    def keep(self):
        """-> what the person should know."""
        return "without a bag"

    def forget(self):
        """There is nothing to forget."""

    def discard(self):
        """There is nothing to put away."""

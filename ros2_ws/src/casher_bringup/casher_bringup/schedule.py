"""Which object starts on which side in which episode: every combination equally often, as far as the number allows."""


def schedule(episodes, objects, sides, seed):
    """-> list of (object, side, seed), one an episode: the objects in turn, and every round of them the next side."""
    pairs = [(name, side) for side in sides for name in objects]
    return [(*pairs[index % len(pairs)], seed + index) for index in range(episodes)]

"""Which object starts on which side of which kitchen in which episode: every combination equally often, as far as the
number allows."""


def schedule(episodes, objects, sides, seed, twins=("",)):
    """-> list of (twin, object, side, seed), one an episode.

    The twins one after the other; the objects in turn, and every round of them the next side.
    """
    pairs = [(name, side) for side in sides for name in objects]
    shares = [episodes // len(twins) + (i < episodes % len(twins)) for i in range(len(twins))]
    where = [twin for twin, share in zip(twins, shares, strict=True) for _ in range(share)]
    return [(twin, *pairs[index % len(pairs)], seed + index) for index, twin in enumerate(where)]

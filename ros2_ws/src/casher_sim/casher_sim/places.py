"""Which Place an evaluation works in: a kitchen by its name, or a twin by its folder."""

from pathlib import Path

from casher_sim.kitchen import kitchen_named
from casher_sim.place import PlaceError
from casher_sim.twin import TwinError
from casher_sim.twin_file import FILE, MAKE_ONE, instead
from casher_sim.twin_kitchen import TwinKitchen


def place_of(kitchen, twin=""):
    """kitchen: name of one of kitchen.KITCHENS, not looked at when `twin` names a folder -> place.Place; ValueError."""
    if not twin:
        return kitchen_named(kitchen)
    folder = Path(twin).expanduser()
    if not (folder / FILE).is_file():
        raise PlaceError(f"{twin!r} is no digital twin: there is no {FILE} in it; {instead(folder) or MAKE_ONE}")
    try:
        return TwinKitchen(folder)
    except TwinError as error:
        raise PlaceError(f"twin {twin!r}: {error}; 'casher twin check {twin}' tells more") from error

"""Four ways to ask a generator for sounds: by chance, over all keys, on the way between two sounds, and on a sheet.

    random        as many sounds as wanted, each of a latent of its own
    scale         one latent at every key, so that one hears whether a timbre stays itself from bass to treble
    interpolate   from one latent to another in steps (`latents.py` says along which way)
    grid          the sheet between four latents, two of which give the direction of either side

Attributes that are not asked for are drawn for random sounds, and are the middle class elsewhere, so that nothing
changes in a scale but the key and nothing in a morph but the timbre.
"""

from pathlib import Path
from typing import Any

from retimbre.core.errors import ConfigError
from retimbre.workflows.generate import latents as ways
from retimbre.workflows.generate.folder import GenerateOptions, Plan, Progress, ignore, write_sounds
from retimbre.workflows.generate.latent_file import chosen_latents
from retimbre.workflows.generate.latents import PathKind
from retimbre.workflows.generate.names import note_name, random_name
from retimbre.workflows.generate.player import any_class, need, one_class, open_player
from retimbre.workflows.generate.sheet import Sheet, sheet_of

RANDOM_COUNT = 16

# Of rows and of columns: 256 sounds, and a picture as wide as two screens.
_MOST_IN_GRID = 16


def generate_random(
    model: str | Path,
    out: str | Path,
    options: GenerateOptions | None = None,
    *,
    count: int = 0,
    progress: Progress = ignore,
) -> dict[str, Any]:
    """Sounds of latents drawn by chance. Sound i depends on the seed and i alone, not on how many are made.

    Args:
        model: A run folder, a checkpoint file or a shipped name.
        out: The folder to write to.
        options: Labels, seed and the like.
        count: How many sounds; 0 for 16, or for as many as there are latents in a file.
        progress: Told how many sounds are made.

    Returns:
        What `generate.json` holds.

    Raises:
        AudioError: The generator makes a sound that is NaN, infinite or immense.
        CheckpointError: The model or the file of latents cannot be read.
        ConfigError: A label that the generator does not know, or too few latents.
        ExistsError: Something is there already.
    """
    options = options or GenerateOptions()
    if count < 0:
        raise ConfigError(f"count is {count}, but takes 1 or more, or 0 for the usual number")
    player = open_player(model, options.weights, options.device)
    count = count or (0 if options.latents.file else RANDOM_COUNT)
    latents = chosen_latents(player, options.latents, count)
    asked = any_class(player, options.labels, len(latents), options.latents.seed)
    names = [random_name(asked, row) for row in range(len(latents))]
    plan = Plan("random", names, latents, asked, sheet_of(names))
    return write_sounds(player, plan, out, options, progress=progress)


def generate_scale(
    model: str | Path,
    out: str | Path,
    options: GenerateOptions | None = None,
    *,
    count: int = 1,
    progress: Progress = ignore,
) -> dict[str, Any]:
    """Every key that the generator knows, played with one latent; arguments, returns and errors as `generate_random`.

    Args:
        model: A run folder, a checkpoint file or a shipped name, of a generator that is told the pitch.
        out: The folder to write to: `scale_060.wav` and so on.
        options: Labels, seed and the like; a pitch cannot be asked for.
        count: How many latents play a scale each; with more than one, files are `scale_0000_060.wav`.
        progress: Told how many sounds are made.
    """
    options = options or GenerateOptions()
    if "pitch" in options.labels:
        raise ConfigError("a scale plays every pitch; it takes none")
    if count < 1:
        raise ConfigError(f"count is {count}, but takes 1 or more")
    player = open_player(model, options.weights, options.device)
    keys = need(player, "pitch", "a scale")
    timbres = chosen_latents(player, options.latents, count)
    asked = dict(one_class(player, options.labels, count * len(keys))) | {"pitch": keys * count}
    prefixes = [f"scale_{number:04d}" if count > 1 else "scale" for number in range(count)]
    names = [f"{prefix}_{int(key):03d}" for prefix in prefixes for key in keys]
    latents = timbres.repeat_interleave(len(keys), dim=0)
    plan = Plan("scale", names, latents, asked, sheet_of(names))
    return write_sounds(player, plan, out, options, progress=progress)


def generate_interpolation(
    model: str | Path,
    out: str | Path,
    options: GenerateOptions | None = None,
    *,
    kind: PathKind = "spherical",
    steps: int = 10,
    progress: Progress = ignore,
) -> dict[str, Any]:
    """One sound becoming another; arguments, returns and errors as `generate_random`.

    Args:
        model: A run folder, a checkpoint file or a shipped name.
        out: The folder to write to.
        options: Labels, seed and the like. Of a file of latents the first two chosen are the ends.
        kind: The way: `linear`, `spherical`, or `sphere`, which goes on around the circle and returns.
        steps: How many sounds, both ends included.
        progress: Told how many sounds are made.
    """
    options = options or GenerateOptions()
    player = open_player(model, options.weights, options.device)
    first, second = chosen_latents(player, options.latents, 2)
    latents = ways.path(kind, first, second, steps)
    asked = one_class(player, options.labels, len(latents))
    names = [note_name(f"interpolate_{row:04d}", asked, row) for row in range(len(latents))]
    plan = Plan("interpolate", names, latents, asked, sheet_of(names), {"path": kind, "steps": steps})
    return write_sounds(player, plan, out, options, progress=progress)


def generate_grid(
    model: str | Path,
    out: str | Path,
    options: GenerateOptions | None = None,
    *,
    size: tuple[int, int] = (5, 5),
    progress: Progress = ignore,
) -> dict[str, Any]:
    """A sheet of sounds between four; arguments, returns and errors as `generate_random`.

    Args:
        model: A run folder, a checkpoint file or a shipped name.
        out: The folder to write to.
        options: Labels, seed and the like. Of a file of latents the first four chosen are the corners: top left, top
            right, bottom left, bottom right.
        size: Rows and columns, 2 to 16 of each.
        progress: Told how many sounds are made.
    """
    options, (rows, columns) = options or GenerateOptions(), size
    if max(rows, columns) > _MOST_IN_GRID:
        raise ConfigError(f"a grid of {rows} x {columns} is too large; takes {_MOST_IN_GRID} of each at most")
    player = open_player(model, options.weights, options.device)
    corners = chosen_latents(player, options.latents, 4)
    latents = ways.grid(corners, rows, columns).flatten(0, 1)
    asked = one_class(player, options.labels, len(latents))
    places = [(row, column) for row in range(rows) for column in range(columns)]
    names = [
        note_name(f"grid_{row:02d}_{column:02d}", asked, number)
        for number, (row, column) in enumerate(places)
    ]
    sheet = Sheet(
        tuple(f"{row}" for row in range(rows)),
        tuple(f"{column}" for column in range(columns)),
        rows * columns,
    )
    plan = Plan("grid", names, latents, asked, sheet, {"rows": rows, "columns": columns})
    return write_sounds(player, plan, out, options, progress=progress)

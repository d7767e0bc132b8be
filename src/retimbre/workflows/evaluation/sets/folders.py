"""One measure of one set, from files to files: what `retimbre evaluate fad` and its siblings do.

The set judged is a folder of sounds or a model; `models.sounds_of` tells which. A model that answers real sounds
answers one half of them and is compared with the other (`halves`). Everything is checked that can be before the first
sound is read, and the scores appear whole or not at all.
"""

import dataclasses
from pathlib import Path
from typing import Any, final

from retimbre.core.files import free_files, write_json, write_text
from retimbre.metrics.distances.profiles import PROFILES
from retimbre.training.devices import pick_device
from retimbre.workflows.evaluation.sets.clips import ClipOptions, open_clips
from retimbre.workflows.evaluation.sets.embed import Progress, ignore
from retimbre.workflows.evaluation.sets.halves import halves_by_lot
from retimbre.workflows.evaluation.sets.measure import MeasureOptions, measure
from retimbre.workflows.evaluation.sets.metrics import check_profile, find_metric, reference_for
from retimbre.workflows.evaluation.sets.models import answers_real, is_sound_folder, sounds_of

SCORES_FILE, TEXT_FILE = "scores.json", "scores.txt"


@final
@dataclasses.dataclass(frozen=True)
class SetOptions:
    """How files become a number.

    Attributes:
        real: The folder of real sounds; empty for a score of one folder, which needs none.
        clips: How files of either set are read.
        hearing: How the sets are heard and compared.
    """

    real: str = ""
    clips: ClipOptions = dataclasses.field(default_factory=ClipOptions)
    hearing: MeasureOptions = dataclasses.field(default_factory=MeasureOptions)


def measure_sounds(
    metric: str,
    judged: str | Path,
    out: str | Path = "",
    options: SetOptions = SetOptions(),
    *,
    force: bool = False,
    progress: Progress = ignore,
) -> dict[str, Any]:
    """Measures a folder of sounds, or the sounds of a model.

    Args:
        metric: A name in `metrics.SET_METRICS`: `fad`, `kid`, `pis` and so on.
        judged: A folder of sounds, a run folder, a checkpoint file or a shipped name.
        out: The folder for `scores.json` and `scores.txt`; nothing is written if it is empty.
        options: What the set is held against, how sounds are read, and how they are heard.
        force: Whether scores that are there already are replaced.
        progress: Told how many clips are done, of how many, in each stage.

    Returns:
        As `measure.measure`, with how the clips were chosen under `settings`.

    Raises:
        AudioError: A folder is missing, or holds no sound that can be used.
        CheckpointError: The model, the embedder or the listener cannot be read, or the model makes no sounds.
        ConfigError: A name or option is unknown, or the sets cannot be measured.
        ExistsError: There are scores already, or `out` is a file.
    """
    files = free_files(out, SCORES_FILE, TEXT_FILE, force=force)
    entry = find_metric(metric)
    check_profile(entry, PROFILES[options.hearing.profile])
    # A model answers real clips even where the measure itself has no use for them.
    wanted = bool(options.real) and (entry.compares or not is_sound_folder(judged))
    real = open_clips(options.real, options.clips) if wanted else None
    reference_for(entry, real)
    device = pick_device(options.hearing.device)
    reference, heard = real, real
    if real is not None and entry.compares and answers_real(judged):
        reference, heard = halves_by_lot(real, options.clips.seed)
    fake = sounds_of(judged, heard, options.clips, progress, device=device)
    result = measure(metric, reference, fake, options.hearing, progress)
    result["settings"]["chosen"] = {"most": options.clips.most, "seed": options.clips.seed}
    if real is not None and not entry.compares:
        result["passed_over"] += real.passed_over
    if files:
        write_text(files[TEXT_FILE], "\n".join([result["line"], *result["remarks"]]) + "\n")
        write_json(files[SCORES_FILE], result)
    return result

"""Whether one instrument keeps its timbre from key to key.

A generator that is asked for one latent at many pitches should play one instrument. A person hears at once when it
does not; a number has to say when two notes of different keys count as alike. Here a note's timbre is the mean of its
mel cepstra without the first (the level), which describe the broad shape of the spectrum and hardly the pitch. For
each note,

    a = mean distance to the notes of its own group at other pitches,
    b = mean distance to the notes of all other groups,
    consistency = (b - a) / max(a, b)

This is the silhouette of cluster analysis, with the other groups taken together. It is 1 where a group has one timbre
that no other has, about 0 where groups mean nothing, and negative where a note is nearer to other groups than to its
own. Real instruments stand well below 1, because their registers differ; compare with them.

References:
    P. Rousseeuw, Silhouettes: a graphical aid to the interpretation and validation of cluster analysis,
    J. Comput. Appl. Math. 20, 1987, https://doi.org/10.1016/0377-0427(87)90125-7
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from retimbre.dsp.level import is_silent
from retimbre.metrics.features import mfcc, settings_ms
from retimbre.metrics.notes.readings import Readings

NUM_CEPSTRA = 12
_WINDOW_MS, _HOP_MS = 50, 25

# Frames further below the loudest are reverberation and silence.
_LOUD_DB = 30.0


_ROWS_AT_ONCE = 512


@torch.no_grad()
def timbre_vectors(
    audio: Float[Tensor, "clips samples"], sample_rate: int
) -> tuple[Float[Tensor, "clips cepstra"], Readings]:
    """The mean cepstra 1 to 12 of each clip's loud frames, window 50 ms, and the peaks of the clips that have any.

    A silent clip has no timbre: its vector is 0 and its reading is not measured.
    """
    if audio.shape[-1] == 0:
        nothing = torch.zeros(len(audio), NUM_CEPSTRA, dtype=torch.float64)
        return nothing, Readings.of(nothing[:, 0], torch.zeros(len(audio), dtype=torch.bool))
    settings = settings_ms(_WINDOW_MS, _HOP_MS, sample_rate)
    peaks = audio.abs().amax(dim=-1)
    # All at one peak: the cepstra's floor is absolute.
    levelled = audio / peaks.clamp_min(torch.finfo(audio.dtype).tiny)[:, None]
    cepstra = mfcc(levelled, settings, NUM_CEPSTRA + 1, sample_rate)
    # The first cepstrum is the mean level in dB, up to a factor.
    frames_db = cepstra[..., 0] / 128**0.5
    loud = (frames_db >= frames_db.amax(dim=-1, keepdim=True) - _LOUD_DB).double()
    vectors = (cepstra[..., 1:].double() * loud[..., None]).sum(dim=1) / loud.sum(dim=1)[:, None]
    sounding = torch.tensor([not is_silent(samples) for samples in audio], dtype=torch.bool)
    return (vectors.cpu() * sounding[:, None]), Readings.of(peaks.cpu(), sounding)


@torch.no_grad()
def timbral_consistency(
    vectors: Float[Tensor, "clips dim"], groups: Sequence[str], pitches: Sequence[int] = ()
) -> Readings:
    """The consistency of each clip, from -1 to 1.

    Args:
        vectors: The timbre of each clip, in whatever space distances mean something.
        groups: Of which instrument or latent each clip is.
        pitches: The key of each; without keys, all other clips of a group count.

    A clip that is alone in its group, or has no other group beside it, has none.

    Raises:
        ValueError: There is not one group, or one pitch, per clip.
    """
    if len(groups) != len(vectors) or (pitches and len(pitches) != len(vectors)):
        raise ValueError(f"{len(groups)} groups and {len(pitches)} pitches for {len(vectors)} clips")
    numbers = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    group = torch.tensor([numbers[name] for name in groups], dtype=torch.long)
    key = torch.tensor(list(pitches) or range(len(groups)), dtype=torch.long)
    points = vectors.double().cpu()
    parts = [
        _silhouettes(points, group, key, rows) for rows in torch.arange(len(points)).split(_ROWS_AT_ONCE)
    ]
    return Readings.joined(parts)


def _silhouettes(
    points: Float[Tensor, "clips dim"],
    group: Int[Tensor, " clips"],
    key: Int[Tensor, " clips"],
    rows: Int[Tensor, " rows"],
) -> Readings:
    """The consistency of some of the clips."""
    # Not by matrix products, which lose half the digits where points nearly coincide.
    distance = torch.cdist(points[rows], points, compute_mode="donot_use_mm_for_euclid_dist")
    same = group[rows][:, None] == group
    within = same & (key[rows][:, None] != key)
    inner, outer = _mean_where(distance, within), _mean_where(distance, ~same)
    larger = torch.maximum(inner, outer)
    measured = within.any(dim=-1) & (~same).any(dim=-1) & (larger > 0)
    return Readings.of((outer - inner) / larger.clamp_min(1e-300), measured)


def _mean_where(
    distance: Float[Tensor, "rows clips"], where: Bool[Tensor, "rows clips"]
) -> Float[Tensor, " rows"]:
    return (distance * where).sum(dim=-1) / where.sum(dim=-1).clamp_min(1)

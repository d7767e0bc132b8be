"""The earlier spellings of representations, understood with a warning.

The program of Nistal, Lattner and Richard named its transforms in code one way and in its README another (`specgrams`
with `ifreq` is what the README calls `mag-if`). Where a spelling is not one of ours, it stands for the entry of the
catalog with that program's exact settings. Its tables of settings are read by `representation.transform_table`.

References:
    https://github.com/SonyCSLParis/Comparing-Representations-for-Audio-Synthesis-using-GANs
"""

import warnings

# Spelling: entry of the catalog. `specgrams` without `ifreq` kept the phase as it was.
ALIASES = {
    "complex": "sony2020-stft",
    "specgrams": "sony2020-mag-phase",
    "mag_phase": "sony2020-mag-phase",
    "mag_if": "sony2020-mag-if",
    "cq_nsgt": "sony2020-cq-nsgt",
    "cq-nsgt": "sony2020-cq-nsgt",
}


class AliasWarning(UserWarning):
    """A spelling of an earlier program was understood; the message says what to write instead."""


def resolve(name: str) -> str:
    """The catalog's name for a spelling; one that is no alias is returned as it is.

    Warns:
        AliasWarning: Says what the catalog calls it.
    """
    if name not in ALIASES:
        return name
    warnings.warn(
        f"{name!r} is the earlier program's name for the representation {ALIASES[name]!r}",
        AliasWarning,
        stacklevel=3,
    )
    return ALIASES[name]

"""The figures that the InverSynth paper prints, to stand beside ours.

The paper trains networks on 200,000 sounds of its own synthesizer and reports, for each of its 23 parameters, the mean
percentile rank of the true class, and how alike spectra of the target and of the resynthesis are. The best network on
spectrograms is Conv6XL, the best on waveforms E2E.

They are the paper's, measured on the paper's own renderer, and so a yardstick, not a baseline: the paper leaves open
what its waves, filter and envelope exactly are (docs/decisions/0002-inversynth-open-points.md says how `inversynth`
decides), and another renderer makes parameters easier or harder to hear. Its log-spectral Frobenius norms (709 for
Conv6XL) are left out, because the logarithm's base, scale and floor are not given.

References:
    Barkan, Tsiris, Koenigstein & Katz (2019), "InverSynth: deep estimation of synthesizer parameter configurations
    from audio signals", tables of results, https://arxiv.org/abs/1812.06349
"""

from typing import Any

SYNTH = "inversynth"
LABEL = "InverSynth paper (arXiv 1812.06349), on the paper's own renderer"
NETWORKS = ("Conv6XL", "E2E")

# Mean percentile rank (100 is best, 50 is chance) of Conv6XL and of E2E for each knob, in the order of the knobs.
PERCENTILE_RANK: dict[str, tuple[float, float]] = {
    "f_sin": (80.41, 75.33),
    "v_sin": (68.02, 67.45),
    "B_sin": (86.5, 81.49),
    "A_sin": (67.28, 64.7),
    "f_saw": (80.16, 73.85),
    "v_saw": (66.79, 65.58),
    "B_saw": (85.73, 79.76),
    "A_saw": (77.12, 69.54),
    "f_tri": (77.9, 73.62),
    "v_tri": (66.61, 66.8),
    "B_tri": (84.27, 80.41),
    "A_tri": (65.41, 61.73),
    "f_sqr": (86.27, 78.38),
    "v_sqr": (69.55, 68.91),
    "B_sqr": (90.85, 83.89),
    "A_sqr": (76.46, 72.08),
    "a": (70.85, 84.38),
    "d": (53.53, 53.98),
    "s": (53.55, 54.01),
    "r": (90.23, 88.52),
    "f_cut": (99.68, 98.5),
    "q": (96.62, 93.3),
    "f_gate": (97.88, 92.81),
}
# Over the 23 knobs, as printed. The 23 figures of E2E above, also as printed, average to 75.17.
MEAN_PERCENTILE_RANK = (77.9, 76.17)

# Mean and median over the paper's test sounds, of Conv6XL and of E2E; printed times 100 there.
SOUNDS: dict[str, dict[str, tuple[float, float]]] = {
    "stft_correlation": {"mean": (0.9204, 0.8833), "median": (0.9561, 0.9341)},
    "ft_correlation": {"mean": (0.7613, 0.7136), "median": (0.9022, 0.8061)},
}

# The paper sums results up by what a parameter does, not by the oscillator that it belongs to.
_ROLES = {
    "f": "notes",
    "v": "frequency of the LFOs",
    "B": "amplitude of the LFOs",
    "A": "oscillator amplitudes",
    "a": "envelope",
    "d": "envelope",
    "s": "envelope",
    "r": "envelope",
}


def group_of(knob: str) -> str:
    """The paper's group of a knob of `inversynth`: `f_sin` is one of the notes, `f_cut` is of the filter."""
    own = {"f_cut": "filter", "q": "filter", "f_gate": "gater"}
    return own.get(knob) or _ROLES[knob.partition("_")[0]]


def as_table() -> dict[str, Any]:
    """The paper's figures as JSON can hold them, labelled as the paper's, by network."""
    return {
        "label": LABEL,
        "networks": {
            network: {
                "percentile_rank": {knob: figures[column] for knob, figures in PERCENTILE_RANK.items()}
                | {"mean": MEAN_PERCENTILE_RANK[column]},
                "sounds": {
                    measure: {statistic: figures[column] for statistic, figures in statistics.items()}
                    for measure, statistics in SOUNDS.items()
                },
            }
            for column, network in enumerate(NETWORKS)
        },
    }

"""Makes nsgt.npz: coefficients by the `nsgt` package with the settings of the program of 2020, nothing of retimbre.

python tests/golden/make_nsgt_goldens.py    needs `nsgt` 0.19, which needs NumPy before 2
"""

from pathlib import Path

import nsgt.nsgfwin_sl
import numpy as np

SAMPLE_RATE = 16_000
NUM_SAMPLES = 4_096
ROWS = (0, 1, 2, 30, 60, 80, 94, 95, 96, 97)  # of 194; the mirrored ones follow from them


def without_casting(values: np.ndarray, low: float, high: float, out: np.ndarray) -> np.ndarray:
    """The package clips integers to infinity, which NumPy has refused since 1.17."""
    return np.maximum(values, low, out=out)


class Patched:
    """NumPy, but for `clip`."""

    clip = staticmethod(without_casting)

    def __getattr__(self, name: str) -> object:
        return getattr(np, name)


def sound() -> np.ndarray:
    """A sweep over all bands, a tone and a click."""
    sample = np.arange(NUM_SAMPLES)
    click = np.where(sample == 1000, 1.0, 0.0)
    return 0.3 * np.sin(np.pi * sample**2 / (2 * NUM_SAMPLES)) + 0.2 * np.sin(0.05 * sample) + click


def main() -> None:
    """Writes nsgt.npz beside this file."""
    nsgt.nsgfwin_sl.np = Patched()
    scale = nsgt.LogScale(20, SAMPLE_RATE / 2, 96)
    transform = nsgt.NSGT(scale, SAMPLE_RATE, NUM_SAMPLES, real=False, matrixform=True)
    coefficients = np.array(transform.forward(sound()))
    np.savez_compressed(
        Path(__file__).with_name("nsgt.npz"),
        rows=np.array(ROWS),
        shape=np.array(coefficients.shape),
        coefficients=coefficients[list(ROWS)],
    )


if __name__ == "__main__":
    main()

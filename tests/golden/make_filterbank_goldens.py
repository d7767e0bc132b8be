"""Makes filterbank.json: moments of librosa's mel bands and of SciPy's cosine transform, nothing of retimbre.

Three moments per row (sum, sum of weight times index, largest weight) pin a triangle down and keep the file small.

    python tests/golden/make_filterbank_goldens.py  needs the extras `benchmarks` and `dev`, for librosa and SciPy
"""

import json
from pathlib import Path

import librosa
import numpy as np
import scipy.fft

MEL_SETTINGS = (
    (16000, 160, 32, 0.0, 8000.0),
    (16384, 512, 40, 50.0, 6000.0),
    (44100, 4410, 128, 0.0, 22050.0),
)


def moments(matrix: np.ndarray) -> list[list[float]]:
    """Sum, first moment and maximum of every row."""
    rows = matrix.astype(np.float64)
    return np.stack([rows.sum(1), rows @ np.arange(rows.shape[1]), rows.max(1)], axis=1).tolist()


def main() -> None:
    """Writes filterbank.json beside this file."""
    bands = []
    for sample_rate, n_fft, n_mels, f_min_hz, f_max_hz in MEL_SETTINGS:
        matrix = librosa.filters.mel(
            sr=sample_rate, n_fft=n_fft, n_mels=n_mels, fmin=f_min_hz, fmax=f_max_hz, dtype=float
        )
        bands.append(
            {"settings": [sample_rate, n_fft, n_mels, f_min_hz, f_max_hz], "moments": moments(matrix)}
        )
    cosine = scipy.fft.dct(np.eye(40), type=2, norm="ortho", axis=0)[:13]
    goldens = {
        "librosa": librosa.__version__,
        "scipy": scipy.__version__,
        "mel": bands,
        "dct_13_of_40": moments(cosine),
    }
    Path(__file__).with_name("filterbank.json").write_text(json.dumps(goldens) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

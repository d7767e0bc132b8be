"""Makes cqt.npz: the constant-Q transform by direct convolution with librosa's wavelets, and by `librosa.cqt`.

Nothing of retimbre. The first is the definition; the second resamples the sound for each octave.

    python tests/golden/make_cqt_goldens.py     needs the extra `benchmarks`, for librosa
"""

from pathlib import Path

import librosa
import numpy as np

SAMPLE_RATE = 16_000
NUM_SAMPLES = 8_192
HOP_LENGTH = 512


def sound() -> np.ndarray:
    """A decaying harmonic tone of 220 Hz, which starts after a while."""
    time_s = np.arange(NUM_SAMPLES) / SAMPLE_RATE - 0.1
    tone = sum(np.sin(2 * np.pi * 220.0 * number * time_s) / number for number in range(1, 13))
    return np.where(time_s >= 0.0, 0.3 * tone * np.exp(-4.0 * time_s), 0.0)


def main() -> None:
    """Writes cqt.npz beside this file."""
    frequencies = librosa.cqt_frequencies(84, fmin=librosa.note_to_hz("C1"))
    wavelets, lengths = librosa.filters.wavelet(freqs=frequencies, sr=SAMPLE_RATE, dtype=np.complex128)
    size = wavelets.shape[1]
    padded = np.pad(sound(), size // 2)
    starts = range(0, NUM_SAMPLES + 1, HOP_LENGTH)
    frames = np.stack([padded[start : start + size] for start in starts])
    # A product of two spectra without conjugation, as librosa forms it, is one with the reversed wavelet.
    reversed_wavelets = np.roll(wavelets[:, ::-1], 1, axis=1)
    direct = (frames @ reversed_wavelets.T).T * np.sqrt(lengths)[:, None]
    octaves = librosa.cqt(sound(), sr=SAMPLE_RATE, hop_length=HOP_LENGTH, n_bins=84)
    np.savez_compressed(
        Path(__file__).with_name("cqt.npz"), direct=direct, librosa=np.abs(octaves), sound=sound()
    )


if __name__ == "__main__":
    main()

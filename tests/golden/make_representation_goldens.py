"""Makes representations.npz: the transforms of two earlier programs by librosa and NumPy, nothing of retimbre.

Of the first (Nistal, Lattner and Richard 2020) every 16th bin and 4th frame, of the second (googleinterns'
audio-synthesis 2020) every 12th bin and 8th frame, over a sound that a formula makes. The second program unwrapped
the phase along frequency before it took differences along time; here it is unwrapped along time, as was meant.

    python tests/golden/make_representation_goldens.py  needs the extra `benchmarks`, for librosa
"""

from pathlib import Path

import librosa
import numpy as np


def sound(num_samples: int) -> np.ndarray:
    """Two tones, one of them fading, a click, and noise from the fractional parts of a sine."""
    sample = np.arange(num_samples)
    tones = 0.4 * np.sin(0.171 * sample + 0.3) + 0.2 * np.sin(0.93 * sample) * np.exp(-sample / 4000)
    noise = np.modf(43758.5453 * np.sin(12.9898 * sample))[0]
    return tones + 0.05 * noise + (sample == 9000)


def channels(spectrum: np.ndarray, floor: float, unit: float) -> dict[str, np.ndarray]:
    """Real and imaginary part, log-magnitude, phase, and turns of the phase unwrapped along time."""
    phase = np.angle(spectrum)
    turns = np.diff(np.unwrap(phase, axis=1), axis=1)
    return {
        "stft": np.stack([spectrum.real, spectrum.imag]),
        "mag-phase": np.stack([np.log(np.abs(spectrum) + floor), phase]),
        "mag-if": np.stack(
            [np.log(np.abs(spectrum) + floor), np.concatenate([phase[:, :1], turns], axis=1) / unit]
        ),
    }


def tensorflow_stft(audio: np.ndarray, n_fft: int, hop_length: int) -> np.ndarray:
    """TensorFlow's `signal.stft` with `pad_end`: a frame begins every hop up to the last sample, silence after it."""
    num_frames = -(-len(audio) // hop_length)
    padded = np.pad(audio, (0, (num_frames - 1) * hop_length + n_fft - len(audio)))
    window = 0.54 - 0.46 * np.cos(2.0 * np.pi * np.arange(n_fft) / n_fft)
    frames = np.stack([padded[t * hop_length : t * hop_length + n_fft] for t in range(num_frames)])
    return np.fft.rfft(frames * window).T


def main() -> None:
    """Writes representations.npz beside this file."""
    centred = librosa.stft(sound(16_383), n_fft=1024, hop_length=256, window="hann", pad_mode="reflect")
    from_start = tensorflow_stft(sound(16_384), 512, 128)
    goldens = {f"sony2020-{k}": v[:, ::16, ::4] for k, v in channels(centred[1:], 1e-10, np.pi).items()}
    goldens |= {f"interns2020-{k}": v[:, ::12, ::8] for k, v in channels(from_start[:-1], 1e-6, 1.0).items()}
    np.savez_compressed(Path(__file__).with_name("representations.npz"), **goldens)


if __name__ == "__main__":
    main()

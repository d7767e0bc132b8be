"""A pursuit: so many values and no more, the least-squares ones, and their gradients."""

import pytest
import torch
from torch.autograd import gradcheck

from retimbre.core.errors import ConfigError
from retimbre.core.random import generator
from retimbre.dsp.pursuit import PursuitSettings, pursue


class Matrix:
    """A dictionary that is a matrix, of a function per row."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows = torch.nn.functional.normalize(rows, dim=1)

    def correlate(self, audio: torch.Tensor) -> torch.Tensor:
        return audio @ self.rows.T

    def combine(self, codes: torch.Tensor, *, num_samples: int) -> torch.Tensor:
        return (codes @ self.rows)[:, :num_samples]


def drawn(*shape: int, name: str = "pursuit", dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(0, name, *shape), dtype=dtype)


def error_of(matrix: Matrix, audio: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    return (audio - matrix.combine(codes, num_samples=audio.shape[1])).square().sum(1)


@pytest.mark.parametrize("count", [1, 7, 40])
@pytest.mark.parametrize("rounds", [1, 4, 100])
def test_a_code_has_at_most_the_values_it_may(count: int, rounds: int) -> None:
    codes = pursue(Matrix(drawn(60, 40)), drawn(3, 40), count, PursuitSettings(rounds, 4))
    assert ((codes != 0.0).sum(1) <= count).all()
    assert (codes != 0.0).any(1).all()


def test_in_an_orthonormal_basis_it_is_thresholding() -> None:
    basis = torch.linalg.qr(drawn(40, 40)).Q
    audio = drawn(2, 40, name="audio")
    exact = audio @ basis.T
    kept = torch.zeros_like(exact).scatter(1, exact.abs().topk(9).indices, 1.0) * exact
    for rounds in (1, 3, 9):
        codes = pursue(Matrix(basis), audio, 9, PursuitSettings(rounds, 4))
        torch.testing.assert_close(codes, kept)


def test_amounts_are_those_of_least_squares() -> None:
    matrix, audio = Matrix(drawn(60, 40)), drawn(1, 40, name="audio")
    codes = pursue(matrix, audio, 10, PursuitSettings(5, 20))
    chosen = codes[0] != 0.0
    exact = torch.linalg.lstsq(matrix.rows[chosen].T, audio[0, :, None]).solution[:, 0]
    # Conjugate gradients solve ten equations in ten steps, up to rounding.
    torch.testing.assert_close(codes[0, chosen], exact, atol=1e-9, rtol=1e-7)


def test_a_sparse_sound_is_found_and_more_rounds_find_no_worse_a_choice_on_the_mean() -> None:
    matrix = Matrix(drawn(200, 80))
    codes = torch.zeros(16, 200, dtype=torch.float64)
    places = torch.stack(
        [torch.randperm(200, generator=generator(0, "places", row))[:4] for row in range(16)]
    )
    codes.scatter_(1, places, 1.0 + drawn(16, 4).abs())
    audio = matrix.combine(codes, num_samples=80)
    errors = [
        error_of(matrix, audio, pursue(matrix, audio, 8, PursuitSettings(rounds, 10))) for rounds in (1, 8)
    ]
    # Twice as many values as there are: one at a time they find the four, all at once some of them hide.
    assert float(errors[1].mean()) < 0.25 * float(errors[0].mean())
    assert float((errors[1] < 1e-12).double().mean()) > 0.5


def test_the_code_of_a_softer_sound_is_softer_and_no_other() -> None:
    matrix, audio = Matrix(drawn(60, 40)), drawn(2, 40, name="audio")
    codes = pursue(matrix, audio, 6, PursuitSettings(3, 6))
    torch.testing.assert_close(
        pursue(matrix, 1e-20 * audio, 6, PursuitSettings(3, 6)), 1e-20 * codes, atol=0, rtol=1e-9
    )
    assert not pursue(matrix, 0.0 * audio, 6, PursuitSettings(3, 6)).any()


def test_gradients_are_those_of_the_least_squares_solution() -> None:
    matrix, audio = Matrix(drawn(30, 20)), drawn(2, 20, name="audio").requires_grad_()
    assert gradcheck(lambda leaf: pursue(matrix, leaf, 5, PursuitSettings(3, 12)), audio, atol=1e-6)


@pytest.mark.parametrize("settings", [{"rounds": 0}, {"rounds": 2000}, {"polish": -1}])
def test_a_pursuit_without_rounds_or_without_end_is_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="of a pursuit is"):
        PursuitSettings(**settings)

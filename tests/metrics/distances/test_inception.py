"""Inception scores against torch-fidelity, torchmetrics, their bounds and system C's arithmetic."""

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from sets_of_vectors import FEW, GOLDENS, LOGITS, gaussian, in_windows
from torchmetrics.image.inception import InceptionScore as Theirs

from retimbre.core.errors import ConfigError
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances.base import Vectors
from retimbre.metrics.distances.inception import InceptionScore
from retimbre.metrics.distances.profiles import PROFILES

# It warns that it keeps all features, which is the point here.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torchmetrics")


class Identity(torch.nn.Module):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def score(logits: Vectors, settings: InceptionScore | None = None) -> float:
    return (settings or InceptionScore()).measure(logits, FEW).values["value"].value


def one_hot(classes: int, each: int) -> Vectors:
    return Vectors.of(2000.0 * torch.eye(classes, dtype=torch.float64).repeat(each, 1))


@pytest.mark.parametrize("splits", ["1", "10"])
def test_it_is_that_of_torch_fidelity(splits: str) -> None:
    ours = InceptionScore(splits=int(splits), shuffle=False)
    assert score(LOGITS, ours) == pytest.approx(GOLDENS["inception_score"][splits], rel=1e-6)


def test_it_is_that_of_torchmetrics() -> None:
    theirs = Theirs(feature=Identity(), splits=1)
    theirs.update(LOGITS.values)
    expected = float(theirs.compute()[0])
    assert score(LOGITS, InceptionScore(splits=1)) == pytest.approx(expected, rel=1e-6)
    assert InceptionScore().measure(LOGITS, FEW).values["unsplit"].value == pytest.approx(expected, rel=1e-6)


def test_two_clips_by_hand() -> None:
    # p = (3/4, 1/4) and (1/4, 3/4), mean (1/2, 1/2): exp(log 2 - H(3/4)) = 2 x (3/4)^(3/4) x (1/4)^(1/4).
    logits = torch.tensor([[3.0, 1.0], [1.0, 3.0]], dtype=torch.float64).log()
    assert score(Vectors.of(logits), InceptionScore(splits=1)) == pytest.approx(
        2.0 * 0.75**0.75 * 0.25**0.25, rel=1e-12
    )


@pytest.mark.parametrize("classes", [2, 27, 61])
@pytest.mark.parametrize("rule", ["splits", "running"])
def test_sure_answers_of_all_classes_equally_often_score_the_number_of_classes(
    classes: int, rule: str
) -> None:
    # In this order every tenth of the set, and every first 50, 100, ... of two classes, has all classes equally often.
    settings = InceptionScore(rule=rule, shuffle=False)
    whole = settings.measure(one_hot(classes, 40), FEW).values["unsplit"]
    assert whole.value == pytest.approx(classes, rel=1e-9)
    assert whole.high == whole.value
    if rule == "splits" or classes == 2:
        # 1e-6 in the logarithm takes 2e-6 of a half away.
        assert settings.measure(one_hot(classes, 40), FEW).values["value"].value == pytest.approx(
            classes, rel=3e-6
        )


@pytest.mark.parametrize("rule", ["splits", "running"])
def test_the_same_answer_to_everything_scores_one(rule: str) -> None:
    same = Vectors.of(gaussian(1, 9).expand(120, 9))
    # 1e-6 inside the logarithm of 9 shares: at most 9e-6 above the mean's own.
    assert score(same, InceptionScore(rule=rule)) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("num_clips", [120, 200, 333])
def test_system_cs_score_is_the_mean_of_the_scores_after_every_batch_of_50(num_clips: int) -> None:
    logits = LOGITS.values[:num_clips]
    shares = logits.softmax(dim=1).numpy()
    running = []
    for start in range(0, num_clips, 50):
        so_far = shares[: start + 50]
        divergences = (so_far * (np.log(so_far) - np.log(so_far.mean(axis=0) + 1e-6))).sum(axis=1)
        running.append(np.exp(divergences.mean()))
    sony = PROFILES["sony2020"].distance("pis")
    found = sony.measure(Vectors.of(logits), FEW)
    assert found.values["value"].value == pytest.approx(np.mean(running), rel=1e-9)
    assert any("biased low" in remark for remark in found.remarks)


def test_running_scores_are_below_the_score_of_the_whole() -> None:
    found = PROFILES["sony2020"].distance("pis").measure(LOGITS, FEW).values
    assert found["value"].value < found["unsplit"].value


def test_it_is_the_exponent_of_scipys_entropies() -> None:
    shares = LOGITS.values.softmax(dim=1).numpy()
    expected = np.exp(entropy(shares.mean(axis=0)) - entropy(shares, axis=1).mean())
    assert score(LOGITS, InceptionScore(splits=1)) == pytest.approx(expected, rel=1e-9)


def test_an_order_of_classes_does_not_leave_splits_with_one_class_each() -> None:
    by_class = Vectors.of(2000.0 * torch.eye(10, dtype=torch.float64).repeat_interleave(40, 0))
    assert score(by_class, InceptionScore(shuffle=False)) == pytest.approx(1.0, abs=1e-9)
    assert score(by_class) > 7.0


def test_few_clips_per_class_are_remarked_and_too_few_per_split_refused() -> None:
    found = InceptionScore().measure(LOGITS, FEW)
    assert any(
        "50 clips per split for 12 classes: the score is biased low" in remark for remark in found.remarks
    )
    with pytest.raises(ConfigError, match="19 clips in 10 splits leave fewer than 2 in each"):
        score(Vectors.of(gaussian(19, 4)))


def test_several_vectors_of_one_clip_are_refused() -> None:
    with pytest.raises(ConfigError, match="takes one vector per clip, got 80 vectors of 40 clips"):
        score(in_windows(40, 2, 5))


def test_an_interval_stays_within_what_a_score_can_be() -> None:
    nearly = Vectors.of(one_hot(5, 40).values / 500.0)
    found = InceptionScore().measure(nearly, Bootstrap(resamples=100)).values["value"]
    assert 1.0 <= found.low < found.value < found.high <= 5.0

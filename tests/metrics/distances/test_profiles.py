"""Profiles hold what published programs did, and refuse what they do not know."""

import pytest
from sets_of_vectors import FEW, normal

from retimbre.core.errors import ConfigError
from retimbre.metrics.distances.catalog import DISTANCES, SCORES
from retimbre.metrics.distances.profiles import PROFILES, Framing


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", [*DISTANCES, *SCORES])
def test_every_profile_knows_every_measure(profile: str, name: str) -> None:
    found = PROFILES[profile].distance(name)
    expected = DISTANCES.get(name) or SCORES[name]
    assert found.better == expected.better
    assert (found == expected) == (name not in PROFILES[profile].replaced)


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_carries_its_name_and_replaces_only_what_there_is(name: str) -> None:
    profile = PROFILES[name]
    assert profile.name == name
    assert set(profile.replaced) <= {*DISTANCES, *SCORES}


@pytest.mark.parametrize("name", [name for name in PROFILES if name != "default"])
def test_historic_profiles_mark_the_small_sets_that_the_default_refuses(name: str) -> None:
    few = normal(9, 12), normal(9, 12, 1)
    found = PROFILES[name].distance("fad").measure(*few, FEW)
    assert any("singular" in remark for remark in found.remarks)
    with pytest.raises(ConfigError, match="more vectors than dimensions"):
        PROFILES["default"].distance("fad").measure(*few, FEW)


def test_system_cs_bias_is_in_its_profile_alone() -> None:
    real, judged = normal(101, 27), normal(101, 27, 1)
    sony, unbiased = (
        PROFILES[profile].distance(name).measure(real, judged, FEW).values["value"].value
        for profile, name in (("sony2020", "pkid"), ("default", "imq"))
    )
    assert sony - unbiased == pytest.approx(0.02, rel=1e-9)


def test_an_unknown_measure_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"no measure of sets 'fat'; did you mean 'fad'\?"):
        PROFILES["default"].distance("fat")


@pytest.mark.parametrize(("window_s", "hop_s"), [(-1.0, 0.5), (1.0, 0.0), (0.0, 0.5)])
def test_windows_without_a_hop_are_refused(window_s: float, hop_s: float) -> None:
    with pytest.raises(ConfigError, match="a window and a hop above 0 s, or both 0"):
        Framing(window_s, hop_s)

"""Filters as words of a command line: lists such as `bass,brass` and `25,50,127`, ranges such as `24-84`."""

from retimbre.core.errors import ConfigError

ALL = "all"


def words_in(text: str) -> tuple[str, ...] | None:
    """The words of a list; none of them for `all`, and None where nothing was given."""
    if not text:
        return None
    return () if text.strip() == ALL else tuple(word.strip() for word in text.split(","))


def numbers_in(text: str, option: str) -> tuple[int, ...] | None:
    """The numbers of a list, as `words_in`.

    Raises:
        ConfigError: One is not a whole number.
    """
    words = words_in(text)
    if words is None:
        return None
    try:
        return tuple(int(word) for word in words)
    except ValueError:
        raise ConfigError(f"{option} takes whole numbers with commas between them, not {text!r}") from None


def range_in(text: str, option: str) -> tuple[int, int] | None:
    """The ends of a range such as `24-84`; one number alone is both. None where nothing was given.

    Raises:
        ConfigError: It is not a range.
    """
    if not text:
        return None
    low, _, high = text.partition("-")
    try:
        return int(low), int(high or low)
    except ValueError:
        raise ConfigError(f"{option} takes a range such as 24-84, not {text!r}") from None

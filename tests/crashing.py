"""Parts of a study that end by an error. In a module of their own, which the processes of a study can import."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Crashing:
    """A part that may end by an error."""

    name: str
    error: Exception | None = None

    def run(self) -> str:
        if self.error:
            raise self.error
        return f"{self.name}: done"

"""The base of every type that crosses a boundary."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Immutable, and strict about names: an unknown field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

"""How every section of a file that an administrator writes behaves: no unknown keys, no surprises."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Strict(BaseModel):
    """No unknown keys, nothing changed after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_sections(cls, data: Any) -> Any:
        """A section whose lines are all commented out is a section with its defaults; any other key
        with nothing behind it is wrong unless it takes empty text."""
        if not isinstance(data, dict):
            return data
        sections = cls._sections() if None in data.values() else set()
        return {k: "" if v is None else v for k, v in data.items() if v is not None or k not in sections}

    @classmethod
    def _sections(cls) -> set[str]:
        defaults = {
            info.alias or name: info.get_default(call_default_factory=True) for name, info in cls.model_fields.items()
        }
        return {name for name, default in defaults.items() if isinstance(default, BaseModel | list | dict)}

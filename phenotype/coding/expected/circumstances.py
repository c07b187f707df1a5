"""What may not explain a coding: codes that expectations do not read, or tell as background alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ontology.configuration import find_config, read_yaml, validate


class CodeClass(BaseModel):
    """Codes that one reason holds for.

    Attributes:
        why: the reason.
        codes: beginnings of event codes; none is empty, for every code begins so.
        names: regular expressions that names of codes are searched for, in any letter case; none is found in
            an empty name, for it would be found in every one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    why: str = Field(min_length=1)
    codes: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    names: tuple[str, ...] = ()

    @field_validator("names")
    @classmethod
    def _are_patterns(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            try:
                holds_for_all = re.search(name, "") is not None
            except re.error as error:
                raise ValueError(f"{name!r} is no regular expression: {error}") from error
            if holds_for_all:
                raise ValueError(f"{name!r} is found in every name")
        return names

    def holds(self, code: str, name: str | None) -> bool:
        """Whether a code is one of these.

        Args:
            code: of an event.
            name: what the dataset calls it, null where it has no name.
        """
        if code.startswith(self.codes):
            return True
        return name is not None and any(re.search(one, name, re.IGNORECASE) for one in self.names)


class Circumstances(BaseModel):
    """What may not explain a coding.

    Attributes:
        not_read: what expectations neither learn from nor are told with.
        background: what they read, tell together, and never hold for a reason by itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    not_read: tuple[CodeClass, ...] = ()
    background: tuple[CodeClass, ...] = ()

    @classmethod
    def load(cls, name: str | None) -> Self:
        """The file of that name in configs/coding, or at that path; null: everything is read and told.

        Raises:
            ConfigurationError: no such file, or its faults.
        """
        if name is None:
            return cls()
        path = find_config("coding", name)
        return validate(cls, read_yaml(path), where=str(path))

    def unread(
        self, codes: Iterable[str], names: Mapping[str, str], diagnoses: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Those of some codes that are not read, sorted.

        Args:
            codes: of events.
            names: what the dataset calls its codes.
            diagnoses: beginnings of codes that are held back by a rule of their own, and never meant here.
        """
        return tuple(
            sorted(
                code
                for code in set(codes)
                if not code.startswith(diagnoses)
                and any(one.holds(code, names.get(code)) for one in self.not_read)
            )
        )

    def is_background(self, code: str, name: str | None) -> bool:
        """Whether a code is told with others as background.

        Args:
            code: of an event.
            name: what the dataset calls it, null where it has no name.
        """
        return any(one.holds(code, name) for one in self.background)

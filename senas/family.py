"""Data classes that come in several kinds."""

import dataclasses
from typing import ClassVar

from senas.errors import ParseError


class Family:
    """A data class that comes in several kinds, told apart in plain data by the key `kind`.

    Attributes:
        kind: of a member of the family.
        kinds: every kind of the family by name; the base class of a family sets it to its own dictionary.
        usual_kind: the kind that plain data may leave out.
    """

    __slots__ = ()
    kind: ClassVar[str]
    kinds: ClassVar[dict[str, type]]
    usual_kind: ClassVar[str]

    @classmethod
    def register(cls, *members: type) -> None:
        """Make members of the family known under their `kind`.

        Raises:
            ParseError: not a member of the family, without a kind, or of a kind that another member has.
        """
        for member in members:
            kind = getattr(member, "kind", None)
            fits = isinstance(member, type) and issubclass(member, cls) and dataclasses.is_dataclass(member)
            if not fits or not isinstance(kind, str):
                name = getattr(member, "__name__", member)
                raise ParseError(f"{name}: expected a data class, a subclass of {cls.__name__} with a `kind`")
            other = cls.kinds.setdefault(kind, member)
            if (other.__module__, other.__qualname__) != (member.__module__, member.__qualname__):
                raise ParseError(f"{member.__name__}: kind: found '{kind}', which is taken by {other.__name__}")
            cls.kinds[kind] = member

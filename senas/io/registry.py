"""Families of data classes of several kinds."""

import dataclasses
from typing import ClassVar

from senas.errors import ParseError


class KindRegistry:
    """A family of data classes of several kinds, which plain data distinguish by the key `kind`.

    Attributes:
        kind: Name of the kind of a member of the family.
        kinds: Members of the family by kind; the base class of a family sets it to a dictionary of its own.
        default_kind: Kind that plain data may leave out.
    """

    __slots__ = ()
    kind: ClassVar[str]
    kinds: ClassVar[dict[str, type]]
    default_kind: ClassVar[str]

    @classmethod
    def register(cls, *members: type) -> None:
        """Register members of the family under their `kind`.

        Raises:
            ParseError: A class is not a member of the family, has no kind, or has the kind of another member.
        """
        for member in members:
            kind = getattr(member, "kind", None)
            fits = isinstance(member, type) and issubclass(member, cls) and dataclasses.is_dataclass(member)
            if not fits or not isinstance(kind, str):
                name = getattr(member, "__name__", member)
                raise ParseError(f"{name}: expected a data class, a subclass of {cls.__name__} with a `kind`")
            other = cls.kinds.setdefault(kind, member)
            if (other.__module__, other.__qualname__) != (member.__module__, member.__qualname__):
                raise ParseError(f"{member.__name__}: kind: found '{kind}', which is the kind of {other.__name__}")
            cls.kinds[kind] = member

"""Bounded reads of untrusted files, atomic writes, conversion between files and typed values, digests of code."""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.io.arrays import StoredArray as StoredArray
    from senas.io.arrays import archive_digest as archive_digest
    from senas.io.arrays import open_arrays as open_arrays
    from senas.io.arrays import read_arrays as read_arrays
    from senas.io.documents import load_json as load_json
    from senas.io.documents import read_json as read_json
    from senas.io.documents import read_plain as read_plain
    from senas.io.documents import read_toml as read_toml
    from senas.io.documents import write_json as write_json
    from senas.io.files import os_reason as os_reason
    from senas.io.files import read_bytes as read_bytes
    from senas.io.files import replacing as replacing
    from senas.io.files import require_regular as require_regular
    from senas.io.files import write_whole as write_whole
    from senas.io.memory import available_memory as available_memory
    from senas.io.options import OptionInfo as OptionInfo
    from senas.io.options import check_option as check_option
    from senas.io.options import flag_of as flag_of
    from senas.io.options import option as option
    from senas.io.options import options_of as options_of
    from senas.io.registry import KindRegistry as KindRegistry
    from senas.io.resources import shipped_folder as shipped_folder
    from senas.io.serialization import canonical as canonical
    from senas.io.serialization import check_types as check_types
    from senas.io.serialization import digest_of as digest_of
    from senas.io.serialization import from_plain as from_plain
    from senas.io.serialization import to_plain as to_plain
    from senas.io.source_code import source_digest as source_digest
    from senas.io.text import brief as brief
    from senas.io.text import flaw as flaw
    from senas.io.text import name_of as name_of
    from senas.io.text import printable_lines as printable_lines
    from senas.io.text import show as show
    from senas.io.units import Bound as Bound
    from senas.io.units import parse_count as parse_count
    from senas.io.units import parse_duration as parse_duration
    from senas.io.units import parse_latency as parse_latency

export_lazily(globals())

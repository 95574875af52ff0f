"""The same NAL units are the same bytes whichever way they are framed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vidsr.media.check.stream_checks import units

#: Units as encoders write them: no start code inside, no zero at the end.
UNITS = st.lists(
    st.binary(min_size=1, max_size=40).filter(lambda b: b"\0\0\1" not in b and b"\0\0\0" not in b and b[-1]), min_size=1
)


@given(UNITS, st.lists(st.booleans(), min_size=1))
def test_start_codes_and_lengths_say_the_same(made: list[bytes], longer: list[bool]) -> None:
    codes = (b"\0\0\0\1" if longer[n % len(longer)] else b"\0\0\1" for n in range(len(made)))
    behind = b"".join(code + unit for code, unit in zip(codes, made, strict=True))
    counted = b"".join(len(unit).to_bytes(4, "big") + unit for unit in made)
    assert units(behind, 0) == units(counted, 4) == b"".join(made)

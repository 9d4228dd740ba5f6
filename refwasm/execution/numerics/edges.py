"""Values that implementations treat specially, by type: what tests try more often than others.

Among them are halves, which rounding has to decide; a negative NaN with a payload; and an i64 that two roundings bring
to another f32 than one.
"""

EDGES: dict[str, tuple[int, ...]] = {
    "i32": (0, 1, 2, 31, 32, 0x7F, 0x80, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF),
    "i64": (0, 1, 63, 64, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 63) - 1, 1 << 63, (1 << 64) - 1,
            (1 << 62) + (1 << 38) + 1),
    "f32": (0, 0x80000000, 1, 0x3F800000, 0xBF800000, 0x4F000000, 0xCF000000, 0x5F000000, 0x7F7FFFFF, 0x7F800000,
            0xFF800000, 0x7FC00000, 0x7F800001, 0xFFC01234, 0x40200000, 0xBF000000),
    "f64": (0, 1 << 63, 1, 0x3FF0000000000000, 0xBFF0000000000000, 0x41E0000000000000, 0xC1E0000000000000,
            0x43E0000000000000, 0x7FEFFFFFFFFFFFFF, 0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000,
            0x7FF0000000000001, 0xFFF8000000001234, 0x4004000000000000, 0xBFE0000000000000),
    "v128": (0, (1 << 128) - 1, 0x0102030405060708090A0B0C0D0E0F10, int("80" * 16, 16), int("7fff8000" * 4, 16),
             int("3f8000007fc00000" * 2, 16), int("7ff00000000000014330000000000001", 16)),
}  # fmt: skip

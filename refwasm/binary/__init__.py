"""Binary format (specification, chapter 5): bytes <-> syntax."""

from refwasm.binary.modules import decode, encode

__all__ = ["decode", "encode"]

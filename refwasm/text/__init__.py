"""Text format (specification, chapter 6): characters <-> syntax."""

from refwasm.text.modules import parse_module
from refwasm.text.printer import print_module

__all__ = ["parse_module", "print_module"]

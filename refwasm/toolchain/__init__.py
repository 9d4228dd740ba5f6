"""The toolchain: C and C++ programs with parallel loops become wasi-parallel programs.

``parallelize`` is the post-link step. A linked program marks its parallel regions by calls of a few functions of the
run-time library (``runtime/``); the step finds out which functions these regions run, makes a kernel module of each
with all that it reaches, and puts the kernels into the program. ``driver`` is what stands behind ``refwasm cc`` and
``refwasm c++``: the compiler, the libraries, and this step.
"""

from refwasm.toolchain.errors import ToolchainError
from refwasm.toolchain.parallelize import Parallelized, parallelize

__all__ = ["Parallelized", "ToolchainError", "parallelize"]

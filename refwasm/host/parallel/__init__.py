"""wasi-parallel: a parallel for as a capability of the system (module ``wasi_ephemeral_parallel``).

:mod:`.abi` is the interface as the guest sees it, :mod:`.context` the devices and buffers of one guest,
:mod:`.kernels` what a kernel must be, :mod:`.policies` what the proposal leaves open, :mod:`.devices` what runs
kernels.
"""

from refwasm.host.parallel.abi import MODULE, Parallel
from refwasm.host.parallel.context import Context
from refwasm.host.parallel.policies import ParallelLimits, Policies

__all__ = ["MODULE", "Context", "ParallelLimits", "Parallel", "Policies"]

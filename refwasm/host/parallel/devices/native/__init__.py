"""NATIVE: kernels compiled by wasmtime, on threads of a process of their own, over refwasm's own mapping.

A process of threads rather than the CPU device's processes: wasmtime's ``wait`` and ``notify`` reach only the threads
of one process. And not threads of this one: a process can be killed when a kernel does not end, threads can't.

:mod:`.device` is the parent's side, :mod:`.server` the process, :mod:`.workers` its threads, :mod:`.driver` the
generated module that hands out iterations, :mod:`.kernel` how a kernel is made ready for it, :mod:`.mapping` how both
sides see one memory, and :mod:`.binding` everything that touches wasmtime-py.
"""

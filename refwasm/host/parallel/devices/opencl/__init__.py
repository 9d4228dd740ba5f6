"""OPENCL: kernels translated to OpenCL C, one work-item for each iteration.

:mod:`.translation` turns a function into C statements and :mod:`.program` a kernel into a program; :mod:`.operations`
and :mod:`.vectors` say what each instruction is in C, and :mod:`.spelling` how OpenCL and CUDA write what they write
differently. :mod:`.device` is the parent's side, and :mod:`.server` the process that the device's driver lives in.
"""

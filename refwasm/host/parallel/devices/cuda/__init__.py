"""CUDA: the same translation as for OpenCL with CUDA's spelling, compiled by NVRTC.

:mod:`.compiler` is NVRTC, :mod:`.driver` the NVIDIA driver, both through ctypes: a dozen functions of either are less
to keep up with than a binding that follows each release.
"""

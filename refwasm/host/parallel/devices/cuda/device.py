"""CUDA: the parent's side is OpenCL's."""

from refwasm.host.parallel.devices.opencl.device import TranslatingBackend

BACKEND = TranslatingBackend("cuda")

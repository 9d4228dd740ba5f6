"""NVRTC: CUDA C++ to PTX, without a GPU (extra ``cuda``: PyPI ``nvidia-cuda-nvrtc-cu12``)."""

from __future__ import annotations

import ctypes
import hashlib
import os
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from refwasm.host.parallel.devices.opencl.messages import DriverMissing, DriverRefused

#: Nothing that makes arithmetic faster and less exact.
OPTIONS = ("--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true", "--std=c++17", "-w")
#: Where wheels of NVIDIA keep the library, below ``nvidia``; and names that a system may know.
_PLACES = ("cuda_nvrtc/lib", "cu13/lib")
_NAMES = ("libnvrtc.so.12", "libnvrtc.so.13", "libnvrtc.so")


@cache
def library() -> Any:
    """The library. Raises DriverMissing."""
    spec = find_spec("nvidia")
    folders = [
        Path(root) / place for root in (spec.submodule_search_locations or () if spec else ()) for place in _PLACES
    ]
    found = [str(file) for folder in folders for file in sorted(folder.glob("libnvrtc.so*"))]
    for name in [*found, *_NAMES]:
        try:
            loaded = ctypes.CDLL(name)
        except OSError:
            continue
        loaded.nvrtcGetErrorString.restype = ctypes.c_char_p
        return loaded
    raise DriverMissing("NVRTC is not installed: pip install 'refwasm[cuda]'")


def ptx(text: str, architecture: str, folder: str | None = None) -> bytes:
    """A program as PTX for ``compute_90`` or another architecture, kept in a folder if there is one. Raises
    DriverMissing, DriverRefused with the compiler's messages."""
    options = [f"--gpu-architecture={architecture}", *OPTIONS]
    name = hashlib.sha256("\0".join([text, *options]).encode()).hexdigest()[:40]
    kept = None if folder is None else Path(folder) / "cuda" / f"{name}.ptx"
    if kept is not None and kept.is_file():
        return kept.read_bytes()
    made = _compiled(text, options)
    if kept is not None:
        _keep(kept, made)
    return made


def _keep(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees a part of it; a full disk is no reason to fail."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(content)
        os.replace(file.name, path)
    except OSError:
        pass


def _compiled(text: str, options: list[str]) -> bytes:
    nvrtc = library()
    program = ctypes.c_void_p()
    _check(nvrtc.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernel.cu", 0, None, None))
    try:
        given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        code = nvrtc.nvrtcCompileProgram(program, len(options), given)
        if code:
            log = _text(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program)
            told = log.rstrip(b"\0").decode(errors="replace").strip()
            raise DriverRefused(f"NVRTC: {told or code}")
        return _text(nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX, program)
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _text(get_size: Any, get: Any, program: Any) -> bytes:
    size = ctypes.c_size_t()
    _check(get_size(program, ctypes.byref(size)))
    made = ctypes.create_string_buffer(size.value)
    _check(get(program, made))
    return made.raw


def _check(code: int) -> None:
    if code:
        raise DriverRefused(f"NVRTC: {library().nvrtcGetErrorString(code).decode()}")

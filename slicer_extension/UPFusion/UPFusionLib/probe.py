"""Run by a Python that may become the interpreter: says what it has, as one line of JSON.

Written for any Python 3, so that one that is too old can still say so. Nothing of Slicer or the package is imported.
"""

import json
import os
import platform
import sys


def version_of(name):
    """Version of an installed package, or None."""
    try:
        from importlib.metadata import PackageNotFoundError, version
    except ImportError:
        return None
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def package_version():
    """Version of upfusion-med: of the installation, or of a source folder on the path."""
    found = version_of("upfusion-med")
    if found is not None:
        return found
    try:
        import upfusion_med

        return upfusion_med.__version__
    except ImportError:
        return None


def memory_mib():
    """Memory that can be had, MiB; None where the system does not say."""
    if sys.platform.startswith("linux"):
        with open("/proc/meminfo") as stream:
            for line in stream:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) // 1024
    if sys.platform == "win32":
        import ctypes

        class Status(ctypes.Structure):
            _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
                (name, ctypes.c_ulonglong)
                for name in ("total", "available", "page_total", "page", "virtual_total", "virtual", "extended")
            ]

        status = Status(length=ctypes.sizeof(Status))
        ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return status.available >> 20
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    except (ValueError, OSError, AttributeError):
        return None


def graphics():
    """Name and free memory in MiB of the CUDA device, or None."""
    try:
        import torch

        if not torch.cuda.is_available():
            return None
        free, _total = torch.cuda.mem_get_info()
        return {"name": torch.cuda.get_device_name(0), "free_mib": free >> 20}
    except Exception as error:  # a broken installation must not hide the other facts
        return {"error": str(error).splitlines()[0] if str(error) else type(error).__name__}


def facts():
    """Everything the preflight asks for."""
    names = ("torch", "torchvision", "timm", "safetensors", "onnxruntime", "numpy", "SimpleITK")
    found = {name: version_of(name) for name in names}
    return {
        "executable": sys.executable,
        "python": platform.python_version(),
        "upfusion_med": package_version(),
        "packages": found,
        "memory_mib": memory_mib(),
        "graphics": graphics() if "--graphics" in sys.argv and found["torch"] else None,
    }


if __name__ == "__main__":
    print(json.dumps(facts()))

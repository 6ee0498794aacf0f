"""UP-Fusion Med: fusion of MRI with PET, SPECT and CT. Not for diagnostic use."""

__version__ = "0.1.0"
__all__ = ["__version__"]

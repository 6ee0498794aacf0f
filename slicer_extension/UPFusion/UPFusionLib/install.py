"""Puts the package into Slicer's own Python: offered, never silent, and Slicer's own packages stay as they are."""

from __future__ import annotations

import importlib
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import slicer
from slicer.i18n import tr as _

#: Packages that Slicer or the PyTorch extension bring and that no other version may replace.
PROTECTED = (
    "numpy", "scipy", "pydicom", "SimpleITK", "pillow", "requests", "packaging", "setuptools", "pip", "vtk",
    "highdicom", "dicomweb-client", "torch", "torchvision",
)  # fmt: skip
TORCH, TORCHVISION = ">=2.4", ">=0.19"


class InstallError(RuntimeError):
    """Nothing could be installed; the message is for the user."""


def constraints() -> list[str]:
    """The versions that are installed now, as pip's constraints."""
    lines = []
    for name in PROTECTED:
        try:
            lines.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue
    return lines


def offer_install(requirements: Path) -> bool:
    """Ask, and install into Slicer's own Python what is missing.

    Args:
        requirements: File of the requirements beside PyTorch.

    Returns:
        Whether it was installed; False where the user declined.

    Raises:
        InstallError: PyTorch's extension is missing, or pip failed.
    """
    question = _(
        "The Python package upfusion-med will be installed into Slicer's own Python, with the packages that it needs, "
        "from the Python Package Index; PyTorch (several GB) through the PyTorch extension.\n\n"
        "Packages that Slicer brings are not changed. You can use another Python environment instead.\n\nInstall now?"
    )
    if not slicer.util.confirmOkCancelDisplay(question, windowTitle=_("UP-Fusion")):
        return False
    _ensure_torch()
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "constraints.txt"
        kept.write_text("\n".join(constraints()) + "\n", encoding="utf-8")
        try:
            _pip(requirements, kept)
        except Exception as error:  # pip fails in many ways; Slicer's log has its output
            raise InstallError(
                _("pip could not install the package: {reason}. Its output is in Slicer's log (Help / Report a Bug).")
                .format(reason=error)
            ) from error  # fmt: skip
    importlib.invalidate_caches()
    return True


def _ensure_torch() -> None:
    try:
        import PyTorchUtils
    except ImportError as error:
        raise InstallError(
            _("Install the extension PyTorch in the Extensions Manager first, restart Slicer, and try again.")
        ) from error
    torch_logic = PyTorchUtils.PyTorchUtilsLogic()
    if torch_logic.torchInstalled():
        return
    if torch_logic.installTorch(
        askConfirmation=True, torchVersionRequirement=TORCH, torchvisionVersionRequirement=TORCHVISION
    ) is None:  # fmt: skip
        raise InstallError(_("PyTorch was not installed."))


def _pip(requirements: Path, kept: Path) -> None:
    try:
        from slicer import packaging  # Slicer 5.12 and later; "import slicer.packaging" would hide the name slicer
    except ImportError:
        slicer.util.pip_install(["-r", str(requirements), "-c", str(kept)])
        return
    packaging.pip_ensure(
        packaging.load_requirements(requirements), constraints=kept, prompt_install=False, requester="UP-Fusion"
    )

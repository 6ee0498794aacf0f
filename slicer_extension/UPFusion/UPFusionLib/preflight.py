"""Whether this machine can do the work: Python, packages, disk, memory, graphics memory, each with a clear answer."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from .interpreter import Interpreter
from .process import BackgroundCommand

OLDEST_PYTHON = (3, 10)
OLDEST_PACKAGE = (0, 1)
#: Memory on the CPU, twice: where the network decides for the volume, a fixed part (Python, PyTorch, the network on 16
#: slices) and bytes for each voxel of the MRI; and, of large volumes more, where steps between slices are bounded.
#: Measured on the sample data (8.7 million voxels, a third of its slices) and on phantoms of up to 16 million voxels.
NETWORK_MIB, NETWORK_BYTES_PER_VOXEL = 1800, 30
STEPS_MIB, STEPS_BYTES_PER_VOXEL = 800, 71
#: Bytes on disk for each voxel of the MRI: two inputs of 4 bytes, colours 3, luminance 4, rounded up.
DISK_BYTES_PER_VOXEL = 20
DISK_MIB = 200
GRAPHICS_MIB = 2000
#: Seconds that a Python has to answer; the first import of PyTorch from a slow disk takes most of a minute.
ANSWER_S = 120.0
_NETWORK_PACKAGES = ("torch", "torchvision", "timm", "safetensors")


class Level(Enum):
    """What a check says."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True)
class Check:
    """One answer.

    Attributes:
        name: What was looked at.
        level: How it is.
        text: What was found, and, where it is not good, what to do.
    """

    name: str
    level: Level
    text: str


@dataclass(frozen=True)
class Plan:
    """What the work needs.

    Attributes:
        voxels: Of the MRI; 0 where none is chosen yet.
        device: ``auto``, ``cpu`` or ``cuda``.
        model: Name or path of the model.
    """

    voxels: int = 0
    device: str = "auto"
    model: str = "upfusion"

    @property
    def memory_mib(self) -> int:
        """Memory that it takes."""
        peaks = ((NETWORK_MIB, NETWORK_BYTES_PER_VOXEL), (STEPS_MIB, STEPS_BYTES_PER_VOXEL))
        return max(fixed + self.voxels * each // (1 << 20) for fixed, each in peaks)

    @property
    def disk_mib(self) -> int:
        """Disk space that it takes for a while."""
        return DISK_MIB + self.voxels * DISK_BYTES_PER_VOXEL // (1 << 20)


class Probe:
    """Asks a Python what it has, without waiting: start it by making it, then poll."""

    def __init__(self, interpreter: Interpreter, graphics: bool = True) -> None:
        call = [interpreter.executable, str(Path(__file__).with_name("probe.py"))]
        self._command = BackgroundCommand(call + ["--graphics"] * graphics, interpreter.environment())
        self._give_up_at = time.monotonic() + ANSWER_S
        self.log: list[str] = []

    def poll(self) -> dict[str, Any] | None:
        """The facts, or None while it runs; empty where the Python does not work at all (see ``log``).

        Raises:
            TimeoutError: it has not answered within `ANSWER_S`, and was ended.
        """
        lines, code = self._command.poll()
        self.log += [line.text for line in lines]
        if code is None and time.monotonic() > self._give_up_at:
            self.kill()
            raise TimeoutError(
                _("It did not answer within {seconds:.0f} s. Try again, or choose another one.").format(
                    seconds=ANSWER_S
                )
            )
        if code is None:
            return None
        for text in reversed(self.log):
            with contextlib.suppress(ValueError):  # a Python may say more than it was asked
                answer = json.loads(text)
                if isinstance(answer, dict) and "python" in answer:
                    return answer
        return {}

    def kill(self) -> None:
        """End it."""
        self._command.kill()


def checks(facts: dict[str, Any], plan: Plan, folder: str, is_slicers: bool = True) -> list[Check]:
    """All answers.

    Args:
        facts: Of the `Probe`.
        plan: What the work needs.
        folder: Where temporary files go.
        is_slicers: Whether it is Slicer's own Python, into which the module can install.
    """
    if not facts:
        return [Check("Python", Level.BAD, _("The chosen Python does not start. Choose another one."))]
    remedy = _("Press Install.") if is_slicers else _("Install there: pip install 'upfusion-med[torch]'")
    found = [_python(facts), _package(facts, remedy), _network(facts, plan, remedy)]
    return [*found, _disk(plan, folder), _memory(facts, plan), _graphics(facts, plan)]


def blocking(found: Sequence[Check]) -> list[Check]:
    """The answers that forbid to start."""
    return [check for check in found if check.level is Level.BAD]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _python(facts: dict[str, Any]) -> Check:
    version = facts["python"]
    if _numbers(version) < OLDEST_PYTHON:
        text = _("{version} is too old; 3.10 or newer is needed. Choose a newer environment.").format(version=version)
        return Check("Python", Level.BAD, text)
    return Check("Python", Level.GOOD, f"{version} ({facts['executable']})")


def _package(facts: dict[str, Any], remedy: str) -> Check:
    version = facts["upfusion_med"]
    if version is None:
        return Check("upfusion-med", Level.BAD, _("Not installed here.") + " " + remedy)
    if _numbers(version) < OLDEST_PACKAGE:
        text = _("{version} is too old; 0.1 or newer is needed.").format(version=version)
        return Check("upfusion-med", Level.BAD, f"{text} {remedy}")
    return Check("upfusion-med", Level.GOOD, version)


def _network(facts: dict[str, Any], plan: Plan, remedy: str) -> Check:
    found = facts["packages"]
    if plan.model.strip() and (Path(plan.model.strip()) / "model.json").is_file():  # an exported model
        if found["onnxruntime"] is None:
            text = _("The exported model needs the package onnxruntime. Install it there.")
            return Check("onnxruntime", Level.BAD, text)
        return Check("onnxruntime", Level.GOOD, found["onnxruntime"])
    missing = [name for name in _NETWORK_PACKAGES if found[name] is None]
    if missing:
        text = _("Missing: {names}. An exported model under Advanced does without.").format(names=", ".join(missing))
        return Check("PyTorch", Level.BAD, f"{text} {remedy}")
    return Check("PyTorch", Level.GOOD, found["torch"])


def _disk(plan: Plan, folder: str) -> Check:
    name = _("Disk")
    try:
        free = shutil.disk_usage(folder).free >> 20
    except OSError as error:
        return Check(name, Level.BAD, _("{folder}: {reason}.").format(folder=folder, reason=error.strerror))
    text = _("{free} MiB free, about {need} needed in {folder}").format(free=free, need=plan.disk_mib, folder=folder)
    if free < plan.disk_mib:
        return Check(name, Level.BAD, text + ". " + _("Free some space, or choose another temporary folder."))
    return Check(name, Level.GOOD, text)


def _memory(facts: dict[str, Any], plan: Plan) -> Check:
    name, free = _("Memory"), facts["memory_mib"]
    if free is None:
        return Check(name, Level.WARNING, _("The system does not say how much is free."))
    text = _("{free} MiB free, about {need} needed").format(free=free, need=plan.memory_mib)
    if free < plan.memory_mib:
        return Check(name, Level.WARNING, text + ". " + _("Close other programs, or crop the MRI."))
    return Check(name, Level.GOOD, text)


def _graphics(facts: dict[str, Any], plan: Plan) -> Check:
    name, found = _("Graphics card"), facts["graphics"]
    if plan.device == "cpu":
        return Check(name, Level.GOOD, _("Not used: the device is the CPU."))
    problem = Level.BAD if plan.device == "cuda" else Level.GOOD
    if found is None:
        return Check(name, problem, _("None with CUDA; the CPU is used with the device 'auto'."))
    if "error" in found:
        return Check(name, max(problem, Level.WARNING, key=list(Level).index), found["error"])
    text = _("{name}, {free} MiB free").format(name=found["name"], free=found["free_mib"])
    if found["free_mib"] < GRAPHICS_MIB:
        return Check(name, Level.WARNING, text + ". " + _("Choose the device CPU if it fails."))
    return Check(name, Level.GOOD, text)

"""Example of a MONAI Deploy application: choose two series of a DICOM study, fuse them, write Secondary Captures.

    python fusion_app.py -i STUDY_FOLDER -o OUTPUT_FOLDER

Not for diagnostic use.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from fusion_steps import fuse_series, select_series, write_captures
from monai.deploy.conditions import CountCondition
from monai.deploy.core import AppContext, Application, Fragment, Operator, OperatorSpec

RULES = Path(__file__).parent / "rules.json"
log = logging.getLogger(__name__)


class SeriesSelectionOperator(Operator):
    """Chooses the MR and the functional series of the study folder; emits ``selection``."""

    def __init__(self, fragment: Fragment, *args: Any, study: Path, **kwargs: Any) -> None:
        self.study = study
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """One output."""
        spec.output("selection")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:  # noqa: ARG002 (the SDK's signature)
        """Choose."""
        op_output.emit(select_series(self.study, json.loads(RULES.read_text())), "selection")


class FusionOperator(Operator):
    """Fuses the two series; receives ``selection``, emits ``fusion``."""

    def setup(self, spec: OperatorSpec) -> None:
        """One input, one output."""
        spec.input("selection")
        spec.output("fusion")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:  # noqa: ARG002
        """Fuse."""
        op_output.emit(fuse_series(op_input.receive("selection")), "fusion")


class SecondaryCaptureWriterOperator(Operator):
    """Writes the fused series; receives ``fusion``."""

    def __init__(self, fragment: Fragment, *args: Any, output: Path, **kwargs: Any) -> None:
        self.output = output
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """One input."""
        spec.input("fusion")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:  # noqa: ARG002
        """Write."""
        files = write_captures(op_input.receive("fusion"), self.output)
        log.info("Wrote %d entries to %s.", len(files), self.output)


class FusionApp(Application):
    """Series selection → fusion → Secondary Capture writer."""

    def compose(self) -> None:
        """Wire the operators to the folders of the call."""
        context: AppContext = Application.init_app_context(self.argv)
        once = CountCondition(self, 1)  # an operator without inputs would run for ever
        selection = SeriesSelectionOperator(self, once, study=Path(context.input_path), name="selection")
        fusion = FusionOperator(self, name="fusion")
        writer = SecondaryCaptureWriterOperator(self, output=Path(context.output_path) / "fused", name="writer")
        self.add_flow(selection, fusion, {("selection", "selection")})
        self.add_flow(fusion, writer, {("fusion", "fusion")})


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    FusionApp().run()

"""Example of a MONAI Deploy application: choose the series of a DICOM study, fuse them, write Secondary Captures.

    pip install 'upfusion-med[torch]' monai-deploy-app-sdk
    python fusion_app.py -i STUDY_FOLDER -o OUTPUT_FOLDER

`fuse_study` is the whole work and needs no SDK. Not for diagnostic use.
"""

from __future__ import annotations

import logging
from pathlib import Path

from upfusion_med.core import FuseSettings, OutputFormat
from upfusion_med.inference import fuse

log = logging.getLogger(__name__)


def fuse_study(study: Path, output: Path, settings: FuseSettings | None = None) -> list[Path]:
    """Fuse the one MR series of a study with its one PT or NM series (else its one CT series).

    Args:
        study: DICOM folder, any file names, any number of series.
        output: Folder for the Secondary Capture series, the contact sheet and the report.
        settings: Of the package; defaults otherwise.

    Raises:
        InputError: no or several series of a kind, and everything else that `upfusion fuse` refuses.
    """
    result = fuse(study, study, settings or FuseSettings())
    return result.save(output, (OutputFormat.DICOM, OutputFormat.PNG))


def main() -> None:
    """Run as a MONAI Deploy application."""
    from monai.deploy.conditions import CountCondition
    from monai.deploy.core import AppContext, Application, Fragment, Operator, OperatorSpec

    class FusionOperator(Operator):
        """Reads the study folder of the application context and writes the fused series."""

        def __init__(self, fragment: Fragment, *args: object, study: Path, output: Path, **kwargs: object) -> None:
            self.study, self.output = study, output
            super().__init__(fragment, *args, **kwargs)

        def setup(self, spec: OperatorSpec) -> None:
            """No ports: it begins with a folder and ends with one."""

        def compute(self, op_input: object, op_output: object, context: object) -> None:  # noqa: ARG002
            """Fuse."""
            files = fuse_study(self.study, self.output)
            log.info("Wrote %d entries to %s.", len(files), self.output)

    class FusionApp(Application):
        """One operator."""

        def compose(self) -> None:
            """Wire the operator to the folders of the call."""
            context: AppContext = Application.init_app_context(self.argv)
            study, output = Path(context.input_path), Path(context.output_path)
            once = CountCondition(self, 1)  # an operator without ports would run for ever
            self.add_operator(FusionOperator(self, once, name="fusion", study=study, output=output / "fused"))

    FusionApp().run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main()

"""The tab Batch: many studies, one after the other."""

from __future__ import annotations

from collections.abc import Callable

from slicer.i18n import tr as _

from .batch import Batch, Status
from .interpreter import NoInterpreterError, chosen_interpreter
from .logic import UPFusionLogic
from .parameters import Alignment, BatchSource, UPFusionParameterNode
from .preflight import Check, blocking
from .studies import PairStudy, studies_in_folder, studies_in_scene
from .table import fill_table


class BatchPanel:
    """Binds the tab's widgets.

    Args:
        ui: Widgets by name.
        logic: Runs the studies.
        ensure: Checks the environment, then goes on.
        on_change: Called when a batch starts or ends.
    """

    def __init__(
        self,
        ui,
        logic: UPFusionLogic,
        ensure: Callable[[Callable[[list[Check]], None]], None],
        on_change: Callable[[], None],
    ) -> None:
        self._ui, self._logic, self._ensure, self._on_change = ui, logic, ensure, on_change
        self._node: UPFusionParameterNode | None = None
        self._studies: list[PairStudy] = []
        self._batch: Batch | None = None
        self._source: tuple | None = None
        ui.batchFindButton.connect("clicked()", self.find)
        ui.batchStartButton.connect("clicked()", self.start)
        ui.batchCancelButton.connect("clicked()", self.cancel)
        self._draw()

    @property
    def is_running(self) -> bool:
        """Whether a batch runs."""
        return self._batch is not None

    def follow(self, node: UPFusionParameterNode | None) -> None:
        """Enable what the parameter node allows."""
        self._node = node
        source = None if node is None else (node.batch_source, node.batch_input)
        if source != self._source and not self.is_running:
            self._source, self._studies = source, []
            self._draw()
        from_folder = node is not None and node.batch_source is BatchSource.FOLDER
        self._ui.batchInputEdit.enabled = self._ui.batchOutputEdit.enabled = from_folder and not self.is_running
        self._ui.batchSourceBox.enabled = self._ui.batchFindButton.enabled = not self.is_running
        fusible = any(not study.problem for study in self._studies)
        self._ui.batchStartButton.enabled = fusible and not self._logic.is_running and not self.is_running
        self._ui.batchCancelButton.enabled = self.is_running

    def find(self) -> None:
        """List the studies."""
        node = self._node
        try:
            if node.batch_source is BatchSource.SCENE:
                self._studies = studies_in_scene()
            elif not _has_path(self._ui.batchInputEdit):
                raise NotADirectoryError
            else:
                self._studies = studies_in_folder(node.batch_input)
        except OSError:
            self._studies = []
            self._draw()
            self._ui.batchLabel.text = _("Choose the folder of the studies.")
            return
        self._draw()
        fusible = sum(not study.problem for study in self._studies)
        self._ui.batchLabel.text = _("{fusible} of {count} can be fused.").format(
            fusible=fusible, count=len(self._studies)
        )
        self.follow(node)

    def start(self) -> None:
        """Check the environment and run the studies."""
        node = self._node
        if node.batch_source is BatchSource.FOLDER and not _has_path(self._ui.batchOutputEdit):
            self._ui.batchLabel.text = _("Choose the folder for the results.")
            return
        if node.alignment is Alignment.TRANSFORM:
            self._ui.batchLabel.text = _(
                "One transform does not fit many studies. Put each functional volume on its own, and choose another "
                "alignment in the tab Fuse."
            )
            return
        self._ui.batchLabel.text = _("Checking the environment …")
        self._ensure(self._begin)

    def cancel(self) -> None:
        """End the running study and leave the others."""
        if self._batch is not None:
            self._batch.cancel()

    def close(self) -> None:
        """Forget the batch (the scene or the module is closed)."""
        self._batch, self._studies, self._source = None, [], None
        self._draw()

    def _begin(self, found: list[Check]) -> None:
        if self.is_running:  # the button was pressed twice while the environment was checked
            return
        problems = blocking(found)
        if problems:
            self._ui.batchLabel.text = " ".join(f"{check.name}: {check.text}" for check in problems)
            return
        node = self._node
        try:
            interpreter = chosen_interpreter()
        except NoInterpreterError as error:
            self._ui.batchLabel.text = str(error)
            return
        output = node.batch_output if node.batch_source is BatchSource.FOLDER else None
        self._batch = Batch(self._logic, node, self._studies, interpreter, output, self._draw, self._ended)
        self._ui.batchLabel.text = _("Running.")
        self._batch.start()
        self._on_change()

    def _ended(self) -> None:
        rows = self._batch.rows if self._batch is not None else []
        counts = {status: sum(row.status is status for row in rows) for status in Status}
        self._ui.batchLabel.text = _("{done} done, {skipped} skipped, {failed} failed, {cancelled} cancelled.").format(
            done=counts[Status.DONE],
            skipped=counts[Status.SKIPPED],
            failed=counts[Status.FAILED],
            cancelled=counts[Status.CANCELLED],
        )
        self._draw()
        self._batch = None
        self._on_change()

    def _draw(self) -> None:
        header = (_("Study"), _("Status"), _("Result or reason"))
        if self._batch is None:
            fill_table(self._ui.batchTable, header, [(study.name, "", study.problem) for study in self._studies])
            self._ui.batchBar.value = 0
            return
        fill_table(
            self._ui.batchTable,
            header,
            [(row.study.name, row.status.label(), row.text) for row in self._batch.rows],
        )
        self._ui.batchBar.value = round(1000 * self._batch.fraction)


def _has_path(edit) -> bool:
    """Whether a folder is chosen; of one that was cleared the parameter node is not told."""
    return bool(edit.currentPath.strip(". "))

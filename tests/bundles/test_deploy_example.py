"""The MONAI Deploy example: its steps on DICOM studies, its wiring on a stand-in of the SDK."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from pydicom import dcmread

from tests.io.dicom_phantom import CT, MR, PT, pet_tags, slices, write
from upfusion_med.core import InputError

EXAMPLE = Path(__file__).parents[2] / "bundles" / "upfusion_mri_pet_spect" / "docs" / "deploy"
RULES = json.loads((EXAMPLE / "rules.json").read_text())


@pytest.fixture
def steps(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.delitem(sys.modules, "fusion_steps", raising=False)
    import fusion_steps

    return fusion_steps


@pytest.fixture
def mixed(tmp_path) -> Path:
    """One folder with a simulated MR, PET and CT series of one study."""
    folder = tmp_path / "study"
    for sop, name, tweak in ((MR, "mr", None), (PT, "pet", pet_tags), (CT, "ct", None)):
        write(folder, slices(sop=sop, series=name, tweak=tweak), [f"{name}{k}" for k in range(5)])
    return folder


def test_series_are_chosen_by_the_rules(steps, mixed):
    chosen = steps.select_series(mixed, RULES)
    modality = {s.key: s.modality for s in steps.describe_study(mixed).series}
    assert (modality[chosen.mri], modality[chosen.functional]) == ("MR", "PT")
    by_name = {
        "selections": [RULES["selections"][0], {"name": "functional", "conditions": {"SeriesDescription": "ct$"}}]
    }
    assert modality[steps.select_series(mixed, by_name).functional] == "CT"


def test_no_fitting_series_and_several_are_refused(steps, mixed):
    with pytest.raises(InputError, match="No series fits the rules for 'functional'; the study holds"):
        steps.select_series(mixed, {"selections": [RULES["selections"][0]]})
    with pytest.raises(InputError, match="3 series fit the rule for 'mri'"):
        steps.select_series(mixed, {"selections": [{"name": "mri", "conditions": {"Modality": "."}}]})


def stand_in(folders, order):
    """The few classes of the SDK that the example uses, run in the order in which flows were added."""

    class Operator:
        def __init__(self, fragment, *conditions, name):
            self.name = name
            self.setup(SimpleNamespace(input=lambda port: None, output=lambda port: None))

    class Application:
        argv = ()
        init_app_context = staticmethod(lambda argv: folders)

        def __init__(self):
            self.flows = []

        def add_flow(self, source, target, ports):
            self.flows.append((source, target, ports))

        def run(self):
            self.compose()
            values = {}
            todo = [self.flows[0][0], *(target for _, target, _ in self.flows)]
            for operator in todo:
                fed = {
                    port[1]: values[port[0]] for _, target, ports in self.flows if target is operator for port in ports
                }
                out = SimpleNamespace(emit=lambda value, port: values.__setitem__(port, value))
                operator.compute(SimpleNamespace(receive=fed.__getitem__), out, None)
                order.append(operator.name)

    core, conditions = ModuleType("monai.deploy.core"), ModuleType("monai.deploy.conditions")
    core.Application, core.Operator = Application, Operator
    core.AppContext = core.Fragment = core.OperatorSpec = object
    conditions.CountCondition = lambda fragment, count: count
    return {"monai.deploy": ModuleType("monai.deploy"), core.__name__: core, conditions.__name__: conditions}


def test_the_application_leads_from_a_study_to_secondary_captures(steps, mixed, tmp_path, monkeypatch):
    pytest.importorskip("monai", reason="MONAI is not installed (extra 'monai')")
    order = []
    folders = SimpleNamespace(input_path=str(mixed), output_path=str(tmp_path / "out"))
    for name, module in stand_in(folders, order).items():
        monkeypatch.setitem(sys.modules, name, module)
    runpy.run_path(str(EXAMPLE / "fusion_app.py"))["FusionApp"]().run()
    assert order == ["selection", "fusion", "writer"]
    written = [dcmread(file) for file in (tmp_path / "out" / "fused" / "dicom").iterdir()]
    source = dcmread(mixed / "mr0")
    assert len(written) == 5
    assert {d.SOPClassUID.name for d in written} == {"Secondary Capture Image Storage"}
    assert {d.StudyInstanceUID for d in written} == {source.StudyInstanceUID}
    assert {d.FrameOfReferenceUID for d in written} == {source.FrameOfReferenceUID}


def test_an_empty_folder_is_refused_and_nothing_is_written(steps, tmp_path):
    (tmp_path / "study").mkdir()
    with pytest.raises(InputError):
        steps.select_series(tmp_path / "study", RULES)
    assert not (tmp_path / "out").exists()

"""The report in a real browser, from disk, without a network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from .test_html_report import HOSTILE, run

__all__ = ["run"]

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--virtual-time-budget=4000",
    "--window-size=1400,1600",
)
#: Runs a script in the opened page and leaves what it returns in the page.
PROBE = """<script>
window.addEventListener("load", () => {
  let found;
  try { found = (() => {SCRIPT})(); } catch (error) { found = `ERROR ${error}`; }
  const out = document.createElement("output");
  out.id = "probe";
  out.textContent = encodeURIComponent(JSON.stringify(found));
  document.body.append(out);
});
</script></body>"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on the path (apt-get install chromium)"),
]


@pytest.fixture
def ask(run, tmp_path: Path):
    """Run a script in the opened report and give back what it returns."""

    def go(script: str):
        place = tmp_path / "probed.html"
        place.write_text(run[2].read_text().replace("</body>", PROBE.replace("SCRIPT", script)))
        call = [str(BROWSER), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", place.as_uri()]
        done = subprocess.run(call, capture_output=True, text=True, timeout=120, check=True)
        answer = re.search(r'<output id="probe">(.*?)</output>', done.stdout, re.DOTALL)
        assert answer is not None, done.stderr[-2000:]
        return json.loads(unquote(answer.group(1)))

    return go


def test_the_page_draws_itself_and_hostile_names_stay_text(ask) -> None:
    found = ask("""
        return { ready: document.body.dataset.ready, title: document.title,
                 tables: document.querySelectorAll('#means table').length,
                 first: document.querySelector('#means tbody th').textContent,
                 dots: document.querySelectorAll('#plot circle').length,
                 panels: document.querySelectorAll('#pictures img').length,
                 loaded: [...document.querySelectorAll('#pictures img')].every((i) => i.naturalWidth === 64),
                 failures: document.querySelectorAll('#failures li').length };
    """)
    assert found["ready"] == "yes"
    assert found["title"] == "Atlas <small> & co – fusion benchmark"
    assert found["first"] == HOSTILE
    assert (found["tables"], found["panels"], found["loaded"], found["failures"]) == (1, 5, True, 1)
    assert found["dots"] == 5 * 3


def test_a_click_on_a_heading_sorts_and_a_second_turns_the_order(ask, run) -> None:
    found = ask("""
        const names = () => [...document.querySelectorAll('#means tbody tr:not(.line) th')].map((x) => x.textContent);
        const head = [...document.querySelectorAll('#means thead button')].find((b) => b.textContent === 'VIF');
        head.click(); const down = names(); head.click(); const up = names();
        return { down, up, sort: head.parentElement.getAttribute('aria-sort') };
    """)
    table, section = run[0].table, run[0].sections[0]
    vif = section.summary.mean[:, table.metrics.index("vif")]
    assert found["down"] == [table.methods[m] for m in vif.argsort(kind="stable")[::-1]]
    assert found["up"] == found["down"][::-1]
    assert found["sort"] == "ascending"


def test_the_line_then_published_rows_stay_last_and_say_what_they_are(ask) -> None:
    found = ask("""
        document.querySelectorAll('#sections button')[2].click();
        document.querySelectorAll('#means thead button')[2].click();
        const rows = [...document.querySelectorAll('#means table')[0].querySelectorAll('tbody tr')];
        return rows.map((r) => [r.className.split(' ')[0], r.querySelector('th').textContent]);
    """)
    assert [kind for kind, _ in found if kind in ("line", "published")] == [kind for kind, _ in found[5:]]
    assert [name for kind, name in found if kind == "line"] == [name for _, name in found[5:-17]] != []
    assert [kind for kind, _ in found[-17:]] == ["published"] * 17
    assert all("published, other test pairs" in name for kind, name in found if kind == "published")


def test_all_panels_zoom_and_move_together(ask) -> None:
    found = ask("""
        const images = [...document.querySelectorAll('#pictures img')];
        const moves = () => [...new Set(images.map((i) => i.style.transform))];
        const view = document.querySelector('.view'); const box = view.getBoundingClientRect();
        const before = moves();
        const [clientX, clientY] = [box.left + box.width / 4, box.top + box.height / 2];
        view.dispatchEvent(new WheelEvent('wheel', { deltaY: -800, clientX, clientY, cancelable: true }));
        const zoomed = moves();
        view.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));
        const moved = moves();
        view.dispatchEvent(new MouseEvent('dblclick'));
        return { before, zoomed, moved, after: moves() };
    """)
    assert found["before"] == found["after"] == ["translate(0%, 0%) scale(1)"]
    (zoomed,), (moved,) = found["zoomed"], found["moved"]
    x, y, scale = (float(v) for v in re.findall(r"-?[\d.]+", zoomed))
    assert scale == pytest.approx(3.32, abs=0.01)
    assert x == pytest.approx(25 * (1 - scale), abs=2)  # the point under the pointer stays
    assert y == pytest.approx(50 * (1 - scale), abs=2)
    assert float(re.findall(r"-?[\d.]+", moved)[0]) == pytest.approx(x - 10, abs=0.01)


def test_metric_section_and_method_can_be_chosen(ask) -> None:
    found = ask("""
        document.querySelectorAll('#sections button')[1].click();
        const metric = document.getElementById('metric');
        metric.value = [...metric.options].find((o) => o.textContent.startsWith('hue')).value;
        metric.dispatchEvent(new Event('change'));
        const method = document.getElementById('method'); method.value = '2'; method.dispatchEvent(new Event('change'));
        document.querySelectorAll('#show button')[1].click();
        return { tests: document.getElementById('tests-title').textContent,
                 pairs: [...document.querySelectorAll('#pairs tbody th')].map((x) => x.textContent),
                 intervals: document.querySelectorAll('#means .spread').length };
    """)
    assert "hue turned" in found["tests"]
    assert found["pairs"] == ["PET-MRI/41001", "PET-MRI/41002", "PET-MRI/sa_21"]
    assert found["intervals"] > 10


def test_the_page_asks_the_network_for_nothing(ask) -> None:
    assert (
        ask("return performance.getEntriesByType('resource').filter((e) => !e.name.startsWith('data:')).length;") == 0
    )

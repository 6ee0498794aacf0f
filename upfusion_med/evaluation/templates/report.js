// Puts the page together.

(function start() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const state = { section: data.sections[0], show: "sd", metric: 0, method: data.methods.findIndex((m) => m.name === data.reference) };
  const groups = new Set(data.pairs.map((p) => p.group));
  const inSection = (pair) => !groups.has(state.section.name) || pair.group === state.section.name;

  function choice(place, role, items, current, pick) {
    const mark = role === "tab" ? "aria-selected" : "aria-checked";
    const buttons = items.map(([value, label]) => element("button", { type: "button", role, [mark]: String(value === current), onclick: () => {
      buttons.forEach((b) => b.setAttribute(mark, "false"));
      buttons[items.findIndex(([v]) => v === value)].setAttribute(mark, "true");
      pick(value);
    } }, label));
    place.replaceChildren(...buttons);
  }

  function drawMeans() {
    at("about").textContent = state.section.about;
    at("means").replaceChildren(...state.section.blocks.map((block) => meansTable(data, state.section, block, state.show)));
  }

  function drawSpread() {
    const column = data.columns[state.metric];
    at("plot").replaceChildren(distribution(data, state.section, state.metric, inSection));
    at("tests-title").textContent = `${data.reference} against the others, ${column.label} (${column.wish})`;
    at("tests").replaceChildren(testsTable(data, state.section, column));
  }

  function drawMetricChoice() {
    const there = data.columns.map((c, k) => k).filter((k) => state.section.mean.some((row) => row[k] !== null));
    if (!there.includes(state.metric)) state.metric = there[0];
    at("metric").replaceChildren(...there.map((k) => element("option", { value: k }, data.columns[k].label)));
    at("metric").value = String(state.metric);
  }

  function drawPairs() {
    at("pairs").replaceChildren(pairsTable(data, state.method, inSection));
  }

  const panels = new Panels(at("pictures"), at("zoom"));
  function drawCase(index) {
    const shownCase = data.cases[index];
    const k = data.columns.findIndex((c) => c.key === shownCase.metric);
    panels.show(shownCase.pictures, shownCase.size, (name) => {
      const m = data.methods.findIndex((method) => method.name === name);
      return m < 0 ? data.sources[name] || "" : `${data.columns[k].label} ${shown(data.values[m][shownCase.pair][k], data.columns[k].decimals)}`;
    });
  }

  function drawCases() {
    const there = data.cases.map((c, i) => i).filter((i) => inSection(data.pairs[data.cases[i].pair]));
    for (const id of ["cases", "zoom", "pictures"]) at(id).hidden = !there.length;
    if (!there.length) return;
    const label = (c) => `${c.why}: ${data.pairs[c.pair].id} (${data.columns.find((x) => x.key === c.metric).label} ${c.value.toFixed(3)})`;
    choice(at("cases"), "tab", there.map((i) => [i, label(data.cases[i])]), there[0], drawCase);
    drawCase(there[0]);
  }

  function drawSection() {
    drawMeans();
    drawMetricChoice();
    drawSpread();
    drawCases();
    drawPairs();
  }

  function drawFailures() {
    if (!data.failures.length) return;
    at("failures").replaceChildren(element("div", { class: "warning" }, `${data.failures.length} results could not be scored and are in no mean:`,
      element("ul", {}, ...data.failures.map((f) => element("li", {}, `${f.pair}${f.method ? ` (${f.method})` : ""}: ${f.reason}`)))));
  }

  at("subtitle").textContent = `${data.pairs.length} pairs, ${data.methods.length} methods; reference: ${data.reference}`;
  at("version").textContent = `upfusion-med ${data.version}`;
  at("protocol").replaceChildren(...data.protocol.map((line) => element("li", {}, line)));
  at("facts").textContent = JSON.stringify(data.facts, null, 2);
  choice(at("sections"), "tab", data.sections.map((s) => [s, s.name]), state.section, (s) => { state.section = s; drawSection(); });
  choice(at("show"), "radio", [["sd", "mean ± sd"], ["interval", "95 % interval by case"], ["rank", "rank"]], state.show, (s) => { state.show = s; drawMeans(); });
  at("metric").onchange = () => { state.metric = Number(at("metric").value); drawSpread(); };
  at("method").replaceChildren(...data.methods.map((m, i) => element("option", { value: i }, m.name)));
  at("method").value = String(state.method);
  at("method").onchange = () => { state.method = Number(at("method").value); drawPairs(); };
  drawFailures();
  drawSection();
  document.body.dataset.ready = "yes";
}());

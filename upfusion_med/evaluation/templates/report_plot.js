// Distribution of one metric: a row for every method, a dot for every pair.

const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8a6d3b", "#7f7f7f", "#b5bd00", "#6a51a3"];

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function quantile(sorted, part) {
  const place = (sorted.length - 1) * part;
  const low = Math.floor(place);
  return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (place - low);
}

function niceTicks(low, high) {
  const rough = (high - low) / 6 || 1;
  const power = Math.pow(10, Math.floor(Math.log10(rough)));
  const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) ticks.push(i * step);
  return { ticks, decimals: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

function caseColours(pairs) {
  const names = [...new Set(pairs.map((p) => p.case))];
  return new Map(names.map((name, i) => [name, COLOURS[i % COLOURS.length]]));
}

function distribution(data, section, k, inSection) {
  const column = data.columns[k];
  const places = data.pairs.map((pair, p) => p).filter((p) => inSection(data.pairs[p]));
  const colours = caseColours(places.map((p) => data.pairs[p]));
  const points = data.methods.map((_, m) => places.map((p) => ({ p, value: data.values[m][p][k] })).filter((x) => x.value !== null));
  const all = points.flat().map((x) => x.value);
  if (!all.length) return element("p", { class: "hint" }, "This metric is undefined for all pairs here.");
  let [low, high] = [Math.min(...all), Math.max(...all)];
  const pad = (high - low) * 0.04 || Math.abs(high) * 0.05 || 0.5;
  [low, high] = [low - pad, high + pad];
  const left = 24 + 7.6 * Math.max(...data.methods.map((m) => m.name.length), 8);
  const [width, row, top] = [1060, 44, 8];
  const height = top + row * data.methods.length + 44;
  const x = (value) => left + ((value - low) / (high - low)) * (width - left - 16);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `${column.label} of every pair, by method` });
  const { ticks, decimals } = niceTicks(low, high);
  const floor = top + row * data.methods.length;
  for (const tick of ticks) {
    root.append(svg("line", { class: "axis", x1: x(tick), x2: x(tick), y1: top, y2: floor }));
    root.append(svg("text", { class: "tick", x: x(tick), y: floor + 17, "text-anchor": "middle" }, tick.toFixed(decimals)));
  }
  root.append(svg("text", { class: "tick", x: (left + width) / 2, y: floor + 36, "text-anchor": "middle" }, `${column.label} (${column.wish})`));
  data.methods.forEach((method, m) => drawRow(root, data, section, k, method, m, points[m], x, top + row * (m + 0.5), left, colours));
  const legend = element("div", { class: "legend" }, ...[...colours].slice(0, 24).map(([name, colour]) => {
    const dot = element("i", {});
    dot.style.background = colour;
    return element("span", {}, dot, name);
  }));
  return element("div", {}, root, colours.size > 1 && colours.size <= 24 ? legend : null);
}

function drawRow(root, data, section, k, method, m, points, x, y, left, colours) {
  root.append(svg("text", { x: left - 12, y: y + 4, "text-anchor": "end" }, method.name));
  if (!points.length) return;
  points.forEach(({ p, value }, i) => {
    const pair = data.pairs[p];
    const jitter = (((i * 7) % 11) / 10 - 0.5) * 20;
    const dot = svg("circle", { class: "dot", cx: x(value), cy: y + jitter, r: 3.4, fill: colours.get(pair.case), "fill-opacity": 0.72 });
    dot.append(svg("title", {}, `${pair.id} (${pair.case}): ${shown(value, data.columns[k].decimals + 1)}`));
    root.append(dot);
  });
  const sorted = points.map((point) => point.value).sort((a, b) => a - b);
  const [q1, q2, q3] = [0.25, 0.5, 0.75].map((part) => quantile(sorted, part));
  root.append(svg("rect", { class: "box", x: x(q1), y: y - 14, width: Math.max(x(q3) - x(q1), 0.5), height: 28, rx: 2 }));
  root.append(svg("line", { class: "box", x1: x(q2), x2: x(q2), y1: y - 14, y2: y + 14 }));
  const [mean, low, high] = [section.mean[m][k], section.low[m][k], section.high[m][k]];
  if (mean === null) return;
  if (low !== null) root.append(svg("line", { class: "interval", x1: x(low), x2: x(high), y1: y, y2: y }));
  root.append(svg("path", { class: "mean", d: `M${x(mean) - 5} ${y}L${x(mean)} ${y - 6}L${x(mean) + 5} ${y}L${x(mean)} ${y + 6}Z` }));
}

"use strict";
// Tables that sort by a click. Everything that comes from outside goes in as text, never as markup.

const UNDEFINED = "–";

function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "onclick" || name === "onchange") node[name] = value;
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}

function shown(value, decimals) {
  return value === null || value === undefined ? UNDEFINED : value.toFixed(decimals);
}

// headings: [{label, title, first}] with first = -1 where the largest value should come first;
// rows: [{className, cells: [{key, text | node, className}], fixed}]; rows with fixed = 1, then 2 stay at the end.
function sortableTable(caption, headings, rows, tall) {
  const body = element("tbody");
  const heads = headings.map((heading, column) => {
    const button = element("button", { type: "button", title: heading.title || "" }, heading.label);
    const head = element("th", { scope: "col", "aria-sort": "none" }, button);
    button.onclick = () => {
      const state = head.getAttribute("aria-sort");
      const first = heading.first === -1 ? "descending" : "ascending";
      const next = state === "none" ? first : state === "ascending" ? "descending" : "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", next);
      fill(column, next === "ascending" ? 1 : -1);
    };
    return head;
  });

  function fill(column, direction) {
    const order = rows.map((row, place) => ({ row, place }));
    if (column !== undefined) order.sort((x, y) => compare(x, y, column, direction));
    body.replaceChildren(...order.map(({ row }) => row.node));
  }

  function compare(x, y, column, direction) {
    if ((x.row.fixed || 0) !== (y.row.fixed || 0)) return (x.row.fixed || 0) - (y.row.fixed || 0);
    const [a, b] = [x.row.cells[column].key, y.row.cells[column].key];
    const [noA, noB] = [a === null || a === undefined, b === null || b === undefined];
    if (noA || noB) return noA && noB ? x.place - y.place : noA ? 1 : -1;
    const order = typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
    return order === 0 ? x.place - y.place : direction * order;
  }

  for (const row of rows) {
    row.node = element("tr", { class: row.className || null });
    row.cells.forEach((cell, column) => {
      const tag = column === 0 ? "th" : "td";
      const node = element(tag, { class: cell.className || null, title: cell.title || null, scope: column === 0 ? "row" : null });
      node.append(...(cell.nodes || [cell.text]));
      row.node.append(node);
    });
  }
  fill();
  const table = element("table", {}, caption ? element("caption", {}, caption) : null,
    element("thead", {}, element("tr", {}, ...heads)), body);
  return element("div", { class: tall ? "scroll tall" : "scroll", tabindex: "0" }, table);
}

function columnHeading(column) {
  return { label: column.label, title: `${column.meaning} (${column.wish})`, first: column.best === null && column.order === 1 ? -1 : 1 };
}

function meansTable(data, section, block, show) {
  const columns = block.columns.map((k) => [k, data.columns[k]]);
  const sided = { label: "one-sided?", title: "Whether the weaker source keeps less VIF than the average rule leaves it; the letter names the source that is lost" };
  const headings = [{ label: "method" }, sided, ...columns.map(([, c]) => columnHeading(c))];
  const rows = data.methods.map((method, m) => ({
    className: [method.kind === "copy" ? "copy" : "", method.name === data.reference ? "reference" : ""].join(" ").trim(),
    cells: [
      { key: method.name, text: method.name + (section.scored[m] === section.pairs ? "" : ` (${section.scored[m]} of ${section.pairs} pairs)`), title: method.kind },
      { key: section.sides[m], text: section.sides[m], className: section.keepsBoth[m] ? "" : "side-lost" },
      ...columns.map(([k, c]) => meanCell(section, m, k, c, show)),
    ],
  }));
  for (const line of section.lines) {
    if (!columns.some(([k]) => line.holders[k])) continue;
    rows.push({
      className: "line", fixed: 1,
      cells: [
        { key: line.name, text: line.name, title: line.meaning }, { key: null, text: "" },
        ...columns.map(([k, c]) => ({
          key: line.values[k], title: line.holders[k],
          nodes: line.holders[k] ? [shown(line.values[k], c.decimals), element("span", { class: "holder" }, line.holders[k])] : [""],
        })),
      ],
    });
  }
  for (const paper of section.published) {
    if (!columns.some(([, c]) => c.key in paper.values)) continue;
    rows.push({
      className: "published", fixed: 2,
      cells: [
        { key: paper.method, nodes: [paper.method, element("span", { class: "mark" }, paper.mark)], title: paper.source },
        { key: null, text: "" },
        ...columns.map(([, c]) => ({ key: paper.values[c.key], text: c.key in paper.values ? shown(paper.values[c.key], c.decimals) : "" })),
      ],
    });
  }
  return sortableTable(block.name, headings, rows, false);
}

function meanCell(section, m, k, column, show) {
  const mean = section.mean[m][k];
  const best = section.best[k].includes(m) ? "best" : "";
  if (show === "rank") return { key: section.ranks[m][k], text: section.ranks[m][k] === null ? UNDEFINED : String(section.ranks[m][k]), className: best };
  const nodes = [shown(mean, column.decimals)];
  if (show === "sd" && section.sd[m][k] !== null) nodes.push(element("span", { class: "spread" }, `± ${shown(section.sd[m][k], column.decimals)}`));
  if (show === "interval" && section.low[m][k] !== null) nodes.push(element("span", { class: "spread" }, `${shown(section.low[m][k], column.decimals)} … ${shown(section.high[m][k], column.decimals)}`));
  return { key: mean, nodes, className: best, title: `n = ${section.count[m][k]}` };
}

function testsTable(data, section, column) {
  const found = section.comparisons.filter((c) => c.metric === column.key);
  if (!found.length) return element("p", { class: "hint" }, "No tests here: the metric has no direction, or this part pools means.");
  const headings = [{ label: "against" }, { label: "difference", title: "mean of reference − other" }, { label: "95 % interval by case" },
    { label: "p, Holm", title: "Wilcoxon signed-rank over pairs, corrected over all methods and metrics of this part" },
    { label: "better in cases" }, { label: "p over cases", title: "Wilcoxon signed-rank over case means; needs six cases" }, { label: "pairs" }];
  const digits = column.decimals + 1;
  const p = (value) => (value === null ? UNDEFINED : value < 0.0001 ? "< 0.0001" : value.toFixed(4));
  return sortableTable(null, headings, found.map((c) => ({
    cells: [
      { key: c.method, text: c.method }, { key: c.difference, text: (c.difference > 0 ? "+" : "") + shown(c.difference, digits) },
      { key: c.low, text: c.low === null ? "one case only" : `${shown(c.low, digits)} … ${shown(c.high, digits)}` },
      { key: c.p_holm, text: p(c.p_holm) }, { key: c.better_cases / c.cases, text: `${c.better_cases} of ${c.cases}` },
      { key: c.p_cases, text: p(c.p_cases) }, { key: c.pairs, text: String(c.pairs) },
    ],
  })), false);
}

function pairsTable(data, m, inSection) {
  const headings = [{ label: "pair" }, { label: "case" }, ...data.columns.map(columnHeading)];
  const rows = data.pairs.map((pair, p) => ({ pair, p })).filter(({ pair }) => inSection(pair)).map(({ pair, p }) => ({
    cells: [{ key: pair.id, text: pair.id }, { key: pair.case, text: pair.case },
      ...data.columns.map((c, k) => ({ key: data.values[m][p][k], text: shown(data.values[m][p][k], c.decimals) }))],
  }));
  return sortableTable(null, headings, rows, true);
}

// Side-by-side pictures that zoom and move together.

class Panels {
  constructor(place, controls) {
    this.place = place;
    this.views = [];
    this.reset();
    this.scaleNote = element("span", { class: "about", id: "scale" });
    controls.replaceChildren(
      element("button", { type: "button", title: "Zoom in (+)", onclick: () => this.zoomAt(1.5) }, "+"),
      element("button", { type: "button", title: "Zoom out (−)", onclick: () => this.zoomAt(1 / 1.5) }, "−"),
      element("button", { type: "button", title: "Show the whole picture (0)", onclick: () => { this.reset(); this.update(); } }, "Fit"),
      this.scaleNote,
      element("span", { class: "about" }, "Wheel: zoom. Drag: move. All panels follow."),
    );
  }

  reset() {
    [this.scale, this.x, this.y] = [1, 0, 0];
  }

  show(pictures, size, captions) {
    this.views = [];
    this.reset();
    const panels = pictures.map((picture) => {
      const image = element("img", { src: picture.src, alt: `${picture.name}`, draggable: "false" });
      const cross = element("div", { class: "cross" });
      const view = element("div", { class: "view", tabindex: "0", role: "group", "aria-label": `${picture.name}, zoomable` }, image, cross);
      view.style.aspectRatio = `${size[0]} / ${size[1]}`;
      this.listen(view);
      this.views.push({ view, image, cross });
      return element("figure", { class: "panel" }, view, element("figcaption", {}, element("b", {}, picture.name), element("span", {}, captions(picture.name))));
    });
    this.place.replaceChildren(element("div", { class: "panels" }, ...panels));
    this.update();
  }

  listen(view) {
    view.addEventListener("wheel", (event) => {
      event.preventDefault();
      const box = view.getBoundingClientRect();
      this.zoomAt(Math.exp(-event.deltaY * 0.0015), (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    }, { passive: false });
    view.addEventListener("pointerdown", (event) => {
      view.setPointerCapture(event.pointerId);
      view.classList.add("dragging");
      this.from = [event.clientX, event.clientY];
    });
    view.addEventListener("pointermove", (event) => {
      const box = view.getBoundingClientRect();
      this.point((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
      if (!view.classList.contains("dragging")) return;
      this.move((event.clientX - this.from[0]) / box.width, (event.clientY - this.from[1]) / box.height);
      this.from = [event.clientX, event.clientY];
    });
    view.addEventListener("pointerup", () => view.classList.remove("dragging"));
    view.addEventListener("pointercancel", () => view.classList.remove("dragging"));
    view.addEventListener("pointerleave", () => this.point(null));
    view.addEventListener("dblclick", () => { this.reset(); this.update(); });
    view.addEventListener("keydown", (event) => {
      const step = 0.1;
      const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
      if (event.key === "+" || event.key === "=") this.zoomAt(1.5);
      else if (event.key === "-") this.zoomAt(1 / 1.5);
      else if (event.key === "0") { this.reset(); this.update(); }
      else if (event.key in moves) this.move(...moves[event.key]);
      else return;
      event.preventDefault();
    });
  }

  // u, v: the point of the view, 0 to 1, that stays where it is.
  zoomAt(factor, u = 0.5, v = 0.5) {
    const scale = Math.min(Math.max(this.scale * factor, 1), 32);
    this.x = u - ((u - this.x) * scale) / this.scale;
    this.y = v - ((v - this.y) * scale) / this.scale;
    this.scale = scale;
    this.update();
  }

  move(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.update();
  }

  point(u, v) {
    for (const { cross } of this.views) {
      cross.style.display = u === null ? "none" : "block";
      if (u !== null) [cross.style.left, cross.style.top] = [`${u * 100}%`, `${v * 100}%`];
    }
  }

  update() {
    const most = 1 - this.scale;
    this.x = Math.min(0, Math.max(most, this.x));
    this.y = Math.min(0, Math.max(most, this.y));
    for (const { image } of this.views) image.style.transform = `translate(${this.x * 100}%, ${this.y * 100}%) scale(${this.scale})`;
    this.scaleNote.textContent = `${this.scale.toFixed(1)}×`;
  }
}

"use strict";
(() => {
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));

  /* Copy buttons. */
  for (const button of all("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      const label = button.textContent;
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "Copied";
      } catch {
        source.hidden = false;
        getSelection().selectAllChildren(source);
        button.textContent = "Selected: press Ctrl+C";
      }
      setTimeout(() => { button.textContent = label; }, 2500);
    });
  }

  /* Print: folded parts open, figures in their static form. */
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details.fold:not([open])");
    for (const entry of opened) entry.open = true;
  });
  addEventListener("afterprint", () => { for (const entry of opened) entry.open = false; });

  /* A table wider than the screen can be reached and moved with the keyboard. */
  const measure = () => {
    for (const box of all(".table-scroll")) {
      const wide = box.scrollWidth > box.clientWidth + 1;
      if (!wide) { box.removeAttribute("tabindex"); box.removeAttribute("role"); box.removeAttribute("aria-label"); continue; }
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", box.querySelector("caption").textContent);
    }
  };
  measure();
  addEventListener("resize", measure);
  document.addEventListener("toggle", measure, true);

  /* Contents: the section in view is marked. */
  const links = new Map(all(".contents a").map((link) => [link.hash.slice(1), link]));
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  for (const id of links.keys()) watch.observe(document.getElementById(id));

  /* Tooltips: built from text only. */
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const showTip = (_handler, event, _item, value) => {
    tip.hidden = value === null || value === undefined || value === "";
    if (tip.hidden) return;
    tip.replaceChildren();
    const rows = typeof value === "object" ? Object.entries(value) : [["", value]];
    for (const [name, text] of rows) {
      const line = document.createElement("div");
      const head = document.createElement("span");
      head.textContent = name;
      const body = document.createElement("b");
      body.textContent = String(text);
      line.append(head, body);
      tip.append(line);
    }
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8);
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${Math.max(8, top)}px`;
  };

  /* Charts: the static drawing gives way to the live one when it comes into view on a wide screen. */
  const wide = matchMedia("(min-width: 700px)");
  const start = async (box) => {
    const data = document.getElementById(`chart-${box.dataset.chart}`);
    if (!data || !window.vegaEmbed || box.dataset.live) return;
    box.dataset.live = "starting";
    const still = box.querySelector(".still");
    const live = box.querySelector(".live");
    try {
      live.hidden = false;
      live.classList.add("preparing");
      await vegaEmbed(live, JSON.parse(data.textContent), {
        ast: true, renderer: "svg", actions: false, defaultStyle: false, tooltip: showTip, logLevel: 0,
      });
      const drawn = live.querySelector("svg");
      const named = still.querySelector("svg");
      for (const name of ["viewBox", "role", "aria-labelledby", "width", "height"]) {
        if (named.hasAttribute(name)) drawn.setAttribute(name, named.getAttribute(name));
      }
      /* One image with one name, as the static drawing: its marks are not read one by one. */
      for (const part of drawn.children) part.setAttribute("aria-hidden", "true");
      live.classList.remove("preparing");
      box.classList.add("is-live");
    } catch {
      live.hidden = true;
    }
    box.dataset.live = "done";
  };
  const charts = all(".drawing[data-chart]").filter((box) => box.dataset.chart);
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting || !wide.matches) continue;
      near.unobserve(entry.target);
      start(entry.target);
    }
  }, { rootMargin: "200px" });
  for (const box of charts) near.observe(box);

  /* Save a figure: colours of the light page written out, title and subtitle on top. */
  const resolved = (svg) => {
    const copy = svg.cloneNode(true);
    const look = getComputedStyle(document.documentElement);
    const light = (name) => look.getPropertyValue(`--print-${name.slice(2)}`) || look.getPropertyValue(name);
    for (const node of [copy, ...copy.querySelectorAll("*")]) {
      for (const attribute of Array.from(node.attributes)) {
        const value = attribute.value.replace(/var\((--[\w-]+)\)/g, (_all, name) => light(name).trim());
        if (value !== attribute.value) node.setAttribute(attribute.name, value);
      }
    }
    return copy;
  };
  const compose = (figure) => {
    const space = "http://www.w3.org/2000/svg";
    const drawings = all(".still:not(.still-narrow) svg", figure).map(resolved);
    const sizes = drawings.map((d) => d.getAttribute("viewBox").split(/\s+/).map(Number));
    const width = Math.max(560, sizes.reduce((sum, size) => sum + size[2] + 20, 20));
    const height = 84 + Math.max(...sizes.map((size) => size[3]));
    const out = document.createElementNS(space, "svg");
    const set = (node, attributes) => { for (const key in attributes) node.setAttribute(key, attributes[key]); return node; };
    set(out, { xmlns: space, width, height, viewBox: `0 0 ${width} ${height}` });
    const add = (name, attributes) => out.appendChild(set(document.createElementNS(space, name), attributes));
    add("rect", { width, height, fill: "#ffffff" });
    const words = (selector, y, size, weight) => {
      const text = add("text", { x: 20, y, "font-size": size, "font-weight": weight, fill: "#1b2430", "font-family": "sans-serif" });
      text.textContent = figure.querySelector(selector)?.textContent.trim() ?? "";
      if (text.textContent.length * size * 0.56 > width - 40) set(text, { textLength: width - 40, lengthAdjust: "spacingAndGlyphs" });
    };
    words(".figure-title", 32, 15, 600);
    words(".figure-subtitle", 54, 12, 400);
    let left = 20;
    const labels = all(".panel-label", figure).map((label) => label.textContent.trim());
    drawings.forEach((drawing, i) => {
      const label = add("text", { x: left + sizes[i][2] - 8, y: 80, "text-anchor": "end", "font-size": 12, "font-weight": 600, fill: "#1b2430", "font-family": "sans-serif" });
      label.textContent = labels[i] ?? "";
      set(drawing, { x: left, y: 72, width: sizes[i][2], height: sizes[i][3] });
      out.append(drawing);
      left += sizes[i][2] + 20;
    });
    return { text: new XMLSerializer().serializeToString(out), width, height };
  };
  const download = (address, name) => {
    const link = document.createElement("a");
    link.href = address;
    link.download = name;
    link.click();
  };
  const save = async (figure, format) => {
    const { text, width, height } = compose(figure);
    const address = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    if (format === "svg") return download(address, `${figure.id}.svg`);
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = 2 * width;
    canvas.height = 2 * height;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return download(canvas.toDataURL("image/png"), `${figure.id}.png`);
  };
  for (const buttons of all(".figure-buttons")) {
    buttons.hidden = false;
    const figure = buttons.closest("figure");
    const zooms = all('script[type="application/json"]', figure).some((data) => data.textContent.includes('"zoom"'));
    if (zooms && wide.matches) {
      const hint = document.createElement("span");
      hint.className = "zoom-hint";
      hint.textContent = "Shift + wheel zooms, Shift + drag moves, double click resets";
      buttons.prepend(hint);
    }
    buttons.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) save(button.closest("figure"), button.dataset.format);
    });
  }
})();

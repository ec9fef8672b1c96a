"use strict";
// Replaces the still pictures by live charts, and computes expected robustness over the chosen
// distribution. Without this script the page is complete.
(function () {
  var root = document.documentElement;
  var data = JSON.parse(document.getElementById("data").textContent);
  var weights = [];
  var views = {};  // of each chart: a promise of the drawn view

  function dark() {
    if (root.classList.contains("dark")) return true;
    if (root.classList.contains("light")) return false;
    return window.matchMedia("(prefers-color-scheme: dark)").matches;
  }

  function colored(value) {
    var style = getComputedStyle(root);
    return JSON.parse(JSON.stringify(value), function (key, item) {
      if (typeof item !== "string") return item;
      var found = /^var\((--[a-z0-9]+)\)$/.exec(item);
      return found ? style.getPropertyValue(found[1]).trim() : item;
    });
  }

  function theme() {
    var style = getComputedStyle(root), font = style.getPropertyValue("font-family");
    function color(name) { return style.getPropertyValue(name).trim(); }
    return {
      font: getComputedStyle(document.body).fontFamily || font,
      view: { stroke: null },
      axis: { labelColor: color("--muted"), titleColor: color("--muted"), gridColor: color("--rule"),
        domainColor: color("--rule"), tickColor: color("--rule"), labelFontSize: 12, titleFontSize: 12,
        titleFontWeight: "normal", titlePadding: 10, labelPadding: 6 }
    };
  }

  var tooltip = document.createElement("div");
  tooltip.id = "tooltip";
  tooltip.hidden = true;
  document.body.appendChild(tooltip);

  // The values of a point are text, so that names of classes cannot become markup.
  function showTooltip(handler, event, item, value) {
    tooltip.hidden = !value;
    if (!value) return;
    tooltip.replaceChildren();
    Object.keys(value).forEach(function (name) {
      var row = tooltip.appendChild(document.createElement("div"));
      row.appendChild(document.createElement("span")).textContent = name;
      row.appendChild(document.createElement("b")).textContent = value[name];
    });
    var right = document.documentElement.clientWidth - tooltip.offsetWidth - 8;
    tooltip.style.left = Math.max(8, Math.min(event.clientX + 12, right)) + "px";
    tooltip.style.top = event.clientY + 14 + "px";
  }

  function draw(figure) {
    var id = figure.dataset.chart, spec = colored(data.charts[id]);
    var hidden = {};
    figure.querySelectorAll("input[data-group]").forEach(function (box) {
      if (!box.checked) hidden[box.dataset.group] = true;
    });
    spec.datasets.points = spec.datasets.points.filter(function (row) { return !hidden[row.group]; });
    spec.datasets.weights = id === "curve" ? weights : [];
    var place = figure.querySelector(".live"), still = figure.querySelector(".still");
    place.hidden = false;
    // A chart is drawn after its last drawing, which would fail if it lost its view in between.
    views[id] = Promise.resolve(views[id]).then(function (former) {
      var compiled = vegaLite.compile(spec, { config: theme() }).spec;
      var options = { renderer: "svg", container: place, tooltip: showTooltip };
      return new vega.View(vega.parse(compiled), options).runAsync().then(function (view) {
        if (former) former.finalize();
        still.setAttribute("hidden", "");
        return view;
      });
    }).catch(function (error) {
      place.hidden = true;
      still.removeAttribute("hidden");
      console.error(error);
    });
    return views[id];
  }

  function drawAll() {
    return Promise.all(Array.prototype.map.call(document.querySelectorAll("figure.chart"), draw));
  }

  function percent(value) { return (100 * value).toFixed(1); }

  function spelled(eps) {
    if (data.expectation.norm === "linf") return String(Number((255 * eps).toPrecision(3))) + "/255";
    return String(Number(eps.toPrecision(3)));
  }

  function chosenLaw(form) {
    var grid = data.expectation.grid, last = grid[grid.length - 1];
    function slid(id) {
      var value = Number(form.querySelector("#" + id).value);
      return value === 100 ? last : last * value / 100;
    }
    function typed(id) { return Math.max(0.1, Number(form.querySelector("#" + id).value) || 0.1); }
    var kind = form.querySelector("#law").value;
    if (kind === "point") return { name: "point", eps: slid("eps") };
    if (kind === "uniform") {
      var low = slid("low"), high = slid("high");
      return low < high ? { name: "uniform", low: low, high: high } : { name: "point", eps: high };
    }
    var ab = { weak: [2, 5], strong: [5, 2] }[kind] || [typed("a"), typed("b")];
    return { name: "beta", a: ab[0], b: ab[1], high: slid("high") };
  }

  function weightRows(law) {
    var grid = data.expectation.grid, last = grid[grid.length - 1], rows = [], k;
    var scale = data.expectation.norm === "linf" ? 255 : 1, most = 0, n = 120;
    if (law.name === "point") {
      var half = last / 400;
      return [[law.eps - half, 0], [law.eps - half, 24], [law.eps + half, 24], [law.eps + half, 0]]
        .map(function (one) { return { x: scale * clip(one[0], last), y: one[1] }; });
    }
    if (law.name === "uniform") {
      return [[law.low, 14], [law.high, 14]].map(function (one) {
        return { x: scale * one[0], y: one[1] };
      });
    }
    for (k = 1; k < n; k++) {
      var x = law.high * k / n, y = expectation.density(law, x);
      most = Math.max(most, y);
      rows.push({ x: scale * x, y: y });
    }
    return rows.map(function (row) { return { x: row.x, y: 24 * row.y / most }; });
  }

  function clip(x, last) { return Math.min(Math.max(x, 0), last); }

  function recompute(form) {
    var kind = form.querySelector("#law").value, law = chosenLaw(form);
    form.querySelectorAll("label.for").forEach(function (label) {
      label.hidden = !label.classList.contains(kind);
    });
    var grid = data.expectation.grid, last = grid[grid.length - 1];
    ["low", "high", "eps"].forEach(function (id) {
      var value = Number(form.querySelector("#" + id).value);
      form.querySelector("#" + id + "-shown").textContent = spelled(last * value / 100);
    });
    var found = expectation.expected(data.expectation, law);
    form.querySelector("#expected").textContent = percent(found.value) + " %";
    form.querySelector("#expected").dataset.value = String(found.value);
    form.querySelector("#expected-interval").textContent =
      "[" + percent(found.low) + ", " + percent(found.high) + "]";
    return law;
  }

  function show(law) {
    weights = weightRows(law);
    document.getElementById("weights-hint").hidden = false;
    if (!views.curve) return;
    views.curve.then(function (view) { if (view) view.data("weights", weights).run(); });
  }

  root.classList.remove("plain");
  document.querySelectorAll(".legend input").forEach(function (box) {
    box.hidden = false;
    box.addEventListener("change", function () { draw(box.closest("figure")); });
  });

  var form = document.getElementById("distribution");
  if (form && data.expectation) {
    form.hidden = false;
    // The weights are drawn once they are chosen; before, every strength is equally likely.
    form.addEventListener("input", function () { show(recompute(form)); });
    form.addEventListener("submit", function (event) { event.preventDefault(); });
    recompute(form);
  }

  var button = document.getElementById("theme");
  function label() {
    button.textContent = dark() ? "Light colors" : "Dark colors";
    button.setAttribute("aria-pressed", String(dark()));
  }
  button.hidden = false;
  label();
  button.addEventListener("click", function () {
    var now = dark();
    root.classList.toggle("dark", !now);
    root.classList.toggle("light", now);
    label();
    drawAll();
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", function () {
    label();
    drawAll();
  });
  drawAll().then(function () { root.classList.add("drawn"); });
})();

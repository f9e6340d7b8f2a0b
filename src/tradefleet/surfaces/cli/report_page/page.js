"use strict";
(() => {
  const run = JSON.parse(document.getElementById("run").textContent);
  const rows = [...document.querySelectorAll("tbody tr[data-from]")];
  const root = document.documentElement;
  const ink = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const number = (value, digits) =>
    value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

  /* Draws each trade at its exact prices: entry and exit joined by a line. */
  class Trades {
    constructor(trades) { this.trades = trades; this.chosen = -1; this.colors = {}; }
    attached({ chart, series, requestUpdate }) {
      Object.assign(this, { chart, series, requestUpdate });
    }
    paneViews() { return [{ zOrder: () => "top", renderer: () => ({ draw: (target) => this.draw(target) }) }]; }
    choose(index) { this.chosen = index; this.requestUpdate(); }
    draw(target) {
      const scale = this.chart.timeScale();
      const range = scale.getVisibleLogicalRange();
      if (!range) return;
      const spacing = scale.width() / (range.to - range.from);
      const size = Math.max(3.5, Math.min(7, spacing * 0.9));
      target.useMediaCoordinateSpace(({ context }) => {
        this.trades.forEach((trade, index) => {
          if (trade.to < range.from - 1 || trade.from > range.to + 1) return;
          const x1 = scale.logicalToCoordinate(trade.from), x2 = scale.logicalToCoordinate(trade.to);
          const y1 = this.series.priceToCoordinate(trade.entry), y2 = this.series.priceToCoordinate(trade.exit);
          if (x1 === null || x2 === null || y1 === null || y2 === null) return;
          const color = trade.won ? this.colors.up : this.colors.down;
          const chosen = index === this.chosen;
          context.globalAlpha = this.chosen >= 0 && !chosen ? 0.45 : 1;
          context.lineWidth = chosen ? 2.5 : 1.25;
          context.strokeStyle = color;
          context.setLineDash(chosen ? [] : [4, 3]);
          context.beginPath(); context.moveTo(x1, y1); context.lineTo(x2, y2); context.stroke();
          context.setLineDash([]);
          triangle(context, x1, y1, size, 1, this.colors.equity, this.colors.panel);
          triangle(context, x2, y2, size, -1, color, this.colors.panel);
          if (spacing > 7 || chosen) {
            context.fillStyle = color;
            context.font = "600 11px system-ui, sans-serif";
            context.textAlign = "center";
            context.strokeStyle = this.colors.panel; context.lineWidth = 4; context.lineJoin = "round";
            context.strokeText(trade.label, x2, y2 - size * 2 - 5);
            context.fillText(trade.label, x2, y2 - size * 2 - 5);
          }
          context.globalAlpha = 1;
        });
      });
    }
  }

  /* An arrowhead whose tip stands at the price: direction 1 points up, -1 down. */
  function triangle(context, x, y, size, direction, fill, edge) {
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x - size, y + direction * size * 1.7);
    context.lineTo(x + size, y + direction * size * 1.7);
    context.closePath();
    context.fillStyle = fill; context.strokeStyle = edge; context.lineWidth = 1;
    context.fill(); context.stroke();
  }

  const { createChart, CandlestickSeries, HistogramSeries, LineSeries, AreaSeries } = LightweightCharts;
  const holder = document.getElementById("chart");
  const chart = createChart(holder, {
    autoSize: true,
    localization: { locale: "en-US" },
    timeScale: { timeVisible: true, secondsVisible: run.seconds < 60, minBarSpacing: 0.02, rightOffset: 3 },
    crosshair: { mode: LightweightCharts.CrosshairMode.Normal },
  });
  const { time, open, high, low, close, volume, equity, market, drawdown } = run.candles;
  const flat = { priceLineVisible: false, lastValueVisible: true };
  const worthFormat = { type: "price", precision: run.worthDigits, minMove: 1 / 10 ** run.worthDigits };
  const price = { type: "price", precision: run.digits, minMove: 1 / 10 ** run.digits };
  const percent = { type: "custom", minMove: 0.01, formatter: (value) => `${number(value, 2)} %` };
  const bars = chart.addSeries(HistogramSeries, { priceScaleId: "volume", priceFormat: { type: "volume" }, ...flat, lastValueVisible: false }, 0);
  const candles = chart.addSeries(CandlestickSeries, { priceFormat: price, priceLineVisible: false }, 0);
  const hold = chart.addSeries(LineSeries, { ...flat, lineWidth: 1, title: "market", priceFormat: worthFormat }, 1);
  const worth = chart.addSeries(LineSeries, { ...flat, lineWidth: 2, title: "equity", priceFormat: worthFormat }, 1);
  const under = chart.addSeries(AreaSeries, { ...flat, lineWidth: 1, invertFilledArea: true, title: "drawdown", priceFormat: percent }, 2);
  const series = (values) => time.flatMap((at, i) => values[i] === null ? [] : [{ time: at, value: values[i] }]);
  bars.setData(series(volume));
  candles.setData(time.map((at, i) => ({ time: at, open: open[i], high: high[i], low: low[i], close: close[i] })));
  worth.setData(series(equity));
  hold.setData(series(market));
  under.setData(series(drawdown));
  chart.priceScale("volume", 0).applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
  candles.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.2 } });
  under.priceScale().applyOptions({ scaleMargins: { top: 0.04, bottom: 0.1 } });
  [58, 24, 18].forEach((share, i) => chart.panes()[i]?.setStretchFactor(share));
  const marks = new Trades(run.trades);
  candles.attachPrimitive(marks);

  function paint() {
    const up = ink("up"), down = ink("down"), line = ink("line"), grid = ink("grid");
    chart.applyOptions({
      layout: {
        background: { color: ink("panel") }, textColor: ink("soft"), fontSize: 12,
        fontFamily: getComputedStyle(document.body).fontFamily,
        panes: { separatorColor: line, separatorHoverColor: grid },
      },
      grid: { vertLines: { color: grid }, horzLines: { color: grid } },
      rightPriceScale: { borderColor: line }, timeScale: { borderColor: line },
    });
    candles.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down, borderVisible: false });
    bars.applyOptions({ color: ink("volume") });
    worth.applyOptions({ color: ink("equity") });
    hold.applyOptions({ color: ink("market") });
    under.applyOptions({ lineColor: down, topColor: ink("down-fill"), bottomColor: ink("down-fill") });
    marks.colors = { up, down, equity: ink("mark"), panel: ink("panel") };
  }

  const legend = document.getElementById("legend");
  function show(i) {
    if (i === undefined || !(i in time)) i = time.length - 1;
    const at = new Date(time[i] * 1000).toISOString().replace("T", " ").slice(0, run.seconds < 60 ? 19 : 16);
    const part = (name, value, kind = "") => `<span>${name} <b class="${kind}">${value}</b></span>`;
    const kind = close[i] >= open[i] ? "up" : "down";
    const p = (value) => number(value, run.digits);
    legend.innerHTML = [
      part("", at), part("O", p(open[i]), kind), part("H", p(high[i]), kind), part("L", p(low[i]), kind),
      part("C", p(close[i]), kind), part("volume", number(volume[i], 2)),
      equity[i] === null ? "" : part("equity", number(equity[i], run.worthDigits)),
      drawdown[i] === null ? "" : part("drawdown", `${number(drawdown[i], 2)} %`),
    ].join("");
  }
  chart.subscribeCrosshairMove((move) => show(move.logical === undefined ? undefined : Math.round(move.logical)));

  function choose(row) {
    rows.forEach((other) => other.classList.toggle("chosen", other === row));
    const from = Number(row.dataset.from), to = Number(row.dataset.to);
    const room = Math.max(20, (to - from) * 0.7);
    chart.timeScale().setVisibleLogicalRange({ from: from - room, to: to + room });
    marks.choose(Number(row.dataset.index));
    holder.scrollIntoView({ behavior: "smooth", block: "center" });
  }
  rows.forEach((row) => {
    row.tabIndex = 0;
    row.addEventListener("click", () => choose(row));
    row.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(row); });
  });

  document.querySelectorAll("th[aria-sort]").forEach((head) => {
    const column = head.cellIndex, body = head.closest("table").tBodies[0];
    const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent;
    const sort = () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      head.closest("tr").querySelectorAll("th[aria-sort]").forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const sorted = [...body.rows].sort((a, b) => {
        const x = key(a), y = key(b), difference = Number(x) - Number(y);
        return Number.isNaN(difference) ? x.localeCompare(y) : difference;
      });
      body.append(...(falling ? sorted.reverse() : sorted));
    };
    head.tabIndex = 0;
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  });

  const choices = [...document.querySelectorAll("button[data-show]")];
  choices.forEach((button) => button.addEventListener("click", () => {
    choices.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    const wanted = button.dataset.show;
    rows.forEach((row) => { row.hidden = wanted !== "all" && row.dataset.outcome !== wanted; });
  }));

  document.getElementById("fit").addEventListener("click", () => {
    rows.forEach((row) => row.classList.remove("chosen"));
    marks.choose(-1);
    chart.timeScale().fitContent();
  });
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    paint();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  paint();
  chart.timeScale().fitContent();
  show();
})();
